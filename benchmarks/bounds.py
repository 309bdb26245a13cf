"""Whether anything passes a therapist's bounds: `python -m benchmarks.bounds`.

`passed` counts what did, and has to be 0. 10,000 random sequences of events and of changes of the bounds go through the
session and the composer's writing; some are sounded, in a live session with a clock of its own; and in some the
composer is one that breaks the bounds on purpose. What is looked for here is reckoned anew: the positions of beats, the
names of notes, the loudness of what is mixed (BS.1770 over 3 s, with pyloudnorm), and not what the enforcement says.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pyloudnorm

from benchmarks.report import print_figures, print_table
from musicmed_live.composer import voice as composer
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.sampler import Sampler
from musicmed_live.composer.score import Note
from musicmed_live.composer.voice import ComposerGenerator, ComposerVoice
from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.ceilings import LOWERING_FRAMES, TOLERANCE_LU
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import (
    Bound,
    Event,
    Goal,
    Hold,
    Land,
    Lead,
    Obey,
    Pause,
    Play,
    Recompose,
    Report,
    Rest,
    Sense,
    StepBack,
    TooMuch,
)
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Block, ClipRequest, Samples, frames_of
from musicmed_live.core.plan import Plan
from musicmed_live.core.readings import HeartRate
from musicmed_live.core.session import Session
from tests.service.stage import Stage, ToneGenerator, ToneVoice, stage

SEQUENCES = 10_000
EVENTS = 6  # in a sequence
BEATS = 5  # that are written after each
SOUNDED = 16  # live sessions with the composer's sound,
HOSTILE = 8  # and with a composer that does not obey,
LIVE_EVENTS = 12  # each of so many events
CUE_SECONDS = (
    2.0  # a beat of the slowest music, and what it takes to make one: heard until then is what was there before
)
HEARD_BPM = 0.5  # a beat is a whole number of frames long
ALARM_HZ = 5000.0  # of a tone that must never be heard
NAMES = tuple(INSTRUMENTS)


@dataclass(slots=True)
class Tally:
    """What was looked at, and how much of it passed the bounds."""

    looked_at: int = 0
    passed: int = 0

    def note(self, within: bool) -> None:
        self.looked_at += 1
        self.passed += not within


class Silent:
    """Takes notes as the composer's renderer does, and remembers them instead of sounding them."""

    def __init__(self, _sampler: Sampler, position: int = 0) -> None:
        self.position = position
        self.notes: list[Note] = []

    def render(self, notes: Sequence[Note], until: int) -> Samples:
        self.notes += notes
        silence = np.zeros((until - self.position, CHANNELS), np.float32)
        self.position = until
        return silence

    def rewind(self, position: int) -> None:
        self.notes = [note for note in self.notes if note.position < position]
        self.position = position

    def rings(self, instruments: Sequence[str]) -> bool:
        return any(note.instrument in instruments for note in self.sounding(self.position - frames_of(3.0)))

    def sounding(self, since: int) -> Iterator[Note]:
        return (note for note in self.notes if note.position + note.frames > since)


def main() -> None:
    logging.getLogger("musicmed_live").setLevel(logging.CRITICAL)  # a composer that does not obey is told of
    sampler, generator = Sampler(), ComposerGenerator()
    parts: list[tuple[str, int, Callable[[int], Tally]]] = [
        ("written", SEQUENCES, lambda seed: written(seed, sampler)),
        ("sounded", SOUNDED, lambda seed: sounded(seed, generator)),
        ("a composer that does not obey", HOSTILE, hostile),
    ]
    rows: list[tuple[str, int, int, int, float]] = []
    for name, sequences, play in parts:
        begun = time.perf_counter()
        tallies = [play(seed) for seed in range(sequences)]
        looked_at, passed = sum(tally.looked_at for tally in tallies), sum(tally.passed for tally in tallies)
        rows.append((name, sequences, looked_at, passed, time.perf_counter() - begun))
    print_table(("", "sequences", "looked at", "passed", "s"), rows, "What was held against the bounds")
    looked_at, passed = sum(row[2] for row in rows), sum(row[3] for row in rows)
    print_figures("bounds", {"passed": passed, "sequences": SEQUENCES, "looked_at": looked_at})


def written(seed: int, sampler: Sampler) -> Tally:
    """One sequence through the session and the composer's writing, without sound."""
    chance, tally = Random(seed), Tally()
    session = Session(draw_plan(chance))
    with patch.object(composer, "Renderer", Silent):
        voice = ComposerVoice(session.wish.seed, sampler)
        session.handle(Play(), 0, now=0.0)
        heard = 0
        for _ in range(EVENTS):
            actions = session.handle(draw_event(chance, heard), heard, now=heard / SAMPLE_RATE)
            if any(isinstance(action, Recompose | Land) for action in actions):
                voice.rewind(heard)
            request = session.next_clip(voice.position)
            if request is None:
                break
            begins = voice.position
            check_request(request, session, tally)
            for block in islice(voice.compose(request), BEATS):
                check_block(block, session.bounds, request, tally)
                check_notes(cast(Silent, voice._renderer), session.bounds, block.position, tally)
            heard = chance.randint(max(heard, begins), voice.position)
    return tally


def sounded(seed: int, generator: ComposerGenerator) -> Tally:
    """A live session: what is heard, and how loud it is."""
    chance, tally = Random(seed), Tally()
    with stage(wish=replace(draw_plan(chance), frames=None)) as on:
        on.worker.generator = cast(Any, generator)
        on.worker.delay = 0.02
        on.do(Play())
        on.until(lambda: on.live.playing)
        for _ in range(LIVE_EVENTS):
            event = draw_live_event(chance)
            changed, bounds = on.do(event), on.live.session.bounds
            music = listen(on, chance.uniform(3.0, 8.0), changed, tally)
            lowered = LOWERING_FRAMES + frames_of(0.3)
            if bounds.loudest_lufs is not None and len(music) >= lowered + frames_of(3.0):
                loudness = short_term_lufs(music[lowered:])
                tally.note(max(loudness) <= bounds.loudest_lufs + TOLERANCE_LU)
    return tally


def hostile(seed: int) -> Tally:
    """A live session whose composer breaks the bounds on purpose, with a tone that would be heard."""
    chance, tally = Random(seed), Tally()
    bounds = Bounds(tempo_bpm=(50.0, 80.0), forbid=("choir",))
    with stage(wish=Plan(None, draw_emotion(chance), None, seed, bounds=bounds)) as on:
        on.worker.generator = Traitor()
        on.do(Play())
        on.until(lambda: on.live.playing)
        for _ in range(LIVE_EVENTS):
            events: list[Event] = [Report(draw_emotion(chance)), Goal(draw_emotion(chance)), TooMuch(), Play()]
            on.do(chance.choice(events))
            music = listen(on, chance.uniform(1.0, 4.0), 0, tally)
            tally.note(amplitude_at(ALARM_HZ, music) < 1e-4)
        tally.note(on.live.broken > 0)  # else nothing was tried
    return tally


def listen(on: Stage, seconds: float, changed: int, tally: Tally) -> Samples:
    """What is heard in the next seconds; its blocks are looked at from `CUE_SECONDS` after `changed` on."""
    heard: list[Samples] = []
    for _ in range(round(seconds / 0.2)):
        before = on.live.heard
        on.wait(0.2)
        if on.live.heard > before:
            heard.append(on.live.audio(before, on.live.heard - before))
        if before >= changed + frames_of(CUE_SECONDS):
            timeline, now = on.live.timeline, (on.live.heard, on.live.heard + 1)
            for block in (*timeline.blocks(*now), *timeline.fading(*now)):
                check_block(block, on.live.session.bounds, None, tally)
            tally.note(is_inside(on.sounding, on.live.session.bounds.region))
    return np.concatenate(heard)


def check_request(request: ClipRequest, session: Session, tally: Tally) -> None:
    region = session.bounds.region
    points = (request.start, request.end, request.start.blend(request.end, 0.5), session.goal)
    for emotion in points:
        tally.note(is_inside(emotion, region))


def check_block(block: Block, bounds: Bounds, request: ClipRequest | None, tally: Tally) -> None:
    tally.note(not set(block.instruments) & set(bounds.forbid))
    if bounds.tempo_bpm is not None:
        lowest, highest = bounds.tempo_bpm[0] - HEARD_BPM, bounds.tempo_bpm[1] + HEARD_BPM
        tally.note(lowest <= block.tempo_bpm <= highest)
        is_held = (
            request is not None and request.frames < frames_of(6.0) and block.end == request.position + request.frames
        )
        if request is not None and not is_held:
            tally.note(lowest <= 60 * SAMPLE_RATE / len(block.samples) <= highest)


def check_notes(renderer: Silent, bounds: Bounds, since: int, tally: Tally) -> None:
    for note in renderer.sounding(since):
        tally.note(note.instrument not in bounds.forbid)


def is_inside(emotion: Emotion, region: Region) -> bool:
    axes = ((emotion.valence, region.valence), (emotion.arousal, region.arousal))
    return all(lowest - 1e-9 <= value <= highest + 1e-9 for value, (lowest, highest) in axes)


def short_term_lufs(music: Samples) -> list[float]:
    """Loudness of each 3 s, every half second. Silence is -inf."""
    meter, window = pyloudnorm.Meter(SAMPLE_RATE, block_size=3.0), frames_of(3.0)
    starts = range(0, len(music) - window + 1, frames_of(0.5))
    return [float(meter.integrated_loudness(music[start : start + window])) for start in starts]


def amplitude_at(hz: float, music: Samples) -> float:
    """Of a tone within the music, shape (frames, 2)."""
    mono = music.mean(axis=1) * np.hanning(len(music))
    phases = np.exp(-2j * np.pi * hz / SAMPLE_RATE * np.arange(len(mono)))
    return float(4 * abs(mono @ phases) / max(1, len(mono)))


class TraitorVoice(ToneVoice):
    """Every other beat obeys; the others are those that the composer must not play."""

    def _blocks(self, request: ClipRequest, clip: int) -> Iterator[Block]:
        for number, block in enumerate(super()._blocks(request, clip)):
            good = replace(block, tempo_bpm=60.0)
            if number % 8 < 4:
                yield good
                continue
            time_s = np.arange(block.position, block.end)[:, None] / SAMPLE_RATE
            alarm = np.repeat(0.3 * np.sin(2 * np.pi * ALARM_HZ * time_s), CHANNELS, axis=1).astype(np.float32)
            bad = replace(good, samples=alarm)
            yield replace(bad, tempo_bpm=200.0) if number % 2 else replace(bad, instruments=("choir",))


class Traitor(ToneGenerator):
    """Opens such voices."""

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> TraitorVoice:
        return TraitorVoice(seed, position, memory)


def draw_plan(chance: Random) -> Plan:
    start = chance.choice([None, draw_emotion(chance)])
    frames = chance.choice([None, frames_of(chance.uniform(30, 600))])
    return Plan(
        start, draw_emotion(chance), frames, chance.randrange(2**32), bounds=Bounds().changed(draw_changes(chance))
    )


def draw_event(chance: Random, heard: int) -> Event:
    events: list[Event] = [
        *(Report(draw_emotion(chance)), Goal(draw_emotion(chance)), Hold(), Lead(), StepBack(), TooMuch()),
        *(
            Pause(),
            Play(),
            Play(),
            Rest(5.0),
            Obey({"step": chance.uniform(0.02, 1.0), "patience": chance.randint(1, 10)}),
        ),
        Sense(HeartRate(heard / SAMPLE_RATE, chance.uniform(50, 150), (), True), 0.0),
        *(Bound(draw_changes(chance)) for _ in range(6)),
    ]
    return chance.choice(events)


def draw_live_event(chance: Random) -> Event:
    """Nothing that leaves the music standing still."""
    events: list[Event] = [Report(draw_emotion(chance)), Goal(draw_emotion(chance)), Hold(), Lead(), StepBack()]
    return chance.choice([*events, TooMuch(), Play(), Play(), *(Bound(draw_changes(chance)) for _ in range(6))])


def draw_changes(chance: Random) -> dict[str, Any]:
    """Some of the bounds."""
    lowest = chance.uniform(40.0, 140.0)
    highest = min(180.0, lowest * chance.uniform(1.25, 3.0))
    changes = {
        "region": Region(draw_side(chance), draw_side(chance)),
        "tempo_bpm": chance.choice([None, (lowest, highest)]),
        "loudest_lufs": chance.choice([None, chance.uniform(-45.0, -20.0)]),
        "forbid": tuple(chance.sample(NAMES, chance.randrange(len(NAMES)))),
    }
    return {name: changes[name] for name in chance.sample(sorted(changes), chance.randint(1, len(changes)))}


def draw_side(chance: Random) -> tuple[float, float]:
    width = chance.uniform(0.1, 2.0)
    lowest = chance.uniform(-1.0, 1.0 - width)
    return lowest, min(1.0, lowest + width)


def draw_emotion(chance: Random) -> Emotion:
    return Emotion(chance.uniform(-1, 1), chance.uniform(-1, 1))


if __name__ == "__main__":
    main()
