"""A session written to a file, faster than it plays: the same session, timeline and mixer as live, on one core."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from musicmed_live.core import loudness
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Block, ClipRequest, Generator, Samples, Voice
from musicmed_live.core.judgement import Judgement
from musicmed_live.core.limiter import LOOKAHEAD
from musicmed_live.core.messages import clip_object
from musicmed_live.core.mixer import GRID, Mixer
from musicmed_live.core.plan import Plan
from musicmed_live.core.session import Session
from musicmed_live.core.timeline import Clip, Timeline, Track
from musicmed_live.errors import CannotJudge, CannotServe, InvalidInput
from musicmed_live.recognition.audition import Audition
from musicmed_live.recognition.embedded import load_recognizer
from musicmed_live.recognition.features import listen
from musicmed_live.service.hearing import BEGINNING_FRAMES
from musicmed_live.service.remote import checked

SUBTYPES = {".wav": "PCM_24", ".flac": "PCM_24"}

Progress = Callable[[int, int], None]  # frames done, frames in all


def render(wish: Plan, generator: Generator, out: Path, report: Path | None, progress: Progress) -> None:
    """Write the session to `out` (.wav or .flac, 24 bit) and what it consists of to `report` (JSON).

    Raises `InvalidInput` for an open-ended session or an unknown file type, `CannotServe` for a file that
    cannot be written, `GeneratorFailed` where the generator makes what is no sound.
    """
    if wish.frames is None:
        raise InvalidInput("minutes: an open-ended session cannot be written to a file", "minutes")
    if out.suffix.lower() not in SUBTYPES:
        raise InvalidInput(f"output: {out.name!r} ends in none of {', '.join(SUBTYPES)}", "output")
    if report is not None and report.resolve() == out.resolve():
        raise InvalidInput(f"--report: {report} is the output itself", "report")
    try:
        with soundfile.SoundFile(out, "w", SAMPLE_RATE, CHANNELS, subtype=SUBTYPES[out.suffix.lower()]) as sink:
            if report is not None:
                report.touch()  # better refused now than after the work
            with closing(generator.open_voice(wish.seed)) as voice:
                length = wish.frames
                performance = Performance(voice, generator.takes, lambda done: progress(done, length))
                clips = _render_clips(wish, length, performance, sink.write)
        if report is not None:
            report.write_text(json.dumps(_report(wish, clips), indent=1) + "\n")
    except (soundfile.LibsndfileError, OSError) as fault:
        raise CannotServe(f"cannot write {out if report is None else f'{out} or {report}'}: {fault}") from None


def _report(wish: Plan, clips: list[dict[str, Any]]) -> dict[str, Any]:
    return {"seed": wish.seed, "sample_rate": SAMPLE_RATE, "max_step": wish.rules.step, "clips": clips}


def _render_clips(
    wish: Plan, length: int, performance: "Performance", write: Callable[[Samples], None]
) -> list[dict[str, Any]]:
    session, timeline, track = Session(wish), Timeline(), Track()
    mixer = Mixer(timeline, length, wish.ending_frames)
    waiting: deque[Clip] = deque()
    clips = []
    for clip in _compose(session, performance, timeline, track):
        waiting.append(clip)
        while waiting and (track.end >= waiting[0].end + GRID + LOOKAHEAD or track.end == length):
            done = waiting.popleft()
            samples = mixer.read(done.position, done.frames)
            write(samples)
            clips.append({**clip_object(done, timeline.describe(done)), **_measure(samples)})
            mixer.forget(done.end)
            timeline.forget_before(done.end)
    return clips


def _compose(session: Session, performance: "Performance", timeline: Timeline, track: Track) -> Iterator[Clip]:
    """Compose the whole session into `track`, clip by clip."""
    while (request := session.next_clip(timeline.end)) is not None:
        blocks, heard = performance.play(request)
        for block in blocks:
            track.add(block)
        clip = Clip(request.position, request.frames, request.start, request.end, track, heard=heard)
        timeline.append(clip)
        yield clip


class Performance:
    """A voice that tries each clip but the first before it plays it, as it does live where there is time for that."""

    def __init__(self, voice: Voice, takes: int, progress: Callable[[int], None]) -> None:
        """`takes` as in `Generator`; `progress` is told the position that was come to."""
        self._voice, self._takes, self._progress = voice, takes, progress
        self._audition = Audition()
        self._recognizer = load_recognizer()

    def play(self, request: ClipRequest) -> tuple[list[Block], Judgement | None]:
        """The clip, and what is heard in it. Raises `GeneratorFailed` where the voice makes what is no sound."""
        if not self._takes or request.position == 0:
            blocks = self._collect(self._voice.compose(request))
            return blocks, self._judge([block for block in blocks if block.end <= request.position + BEGINNING_FRAMES])
        asked: ClipRequest | None = self._audition.ask(request)
        while asked is not None:
            last, takes = asked, self._rehearse(asked)
            share = (takes[0][-1].end - request.position) / request.frames
            asked = self._audition.hear([self._judge(take) for take in takes], share)
        trial = self._audition.settle()
        if trial.request != last:
            takes = self._rehearse(trial.request)
        self._voice.settle(trial.take)
        blocks = takes[trial.take]
        self._progress(blocks[-1].end)
        rest = trial.request.rest(blocks[-1].end)
        return blocks + ([] if rest is None else self._collect(self._voice.compose(rest))), trial.judgement

    def _rehearse(self, request: ClipRequest) -> list[list[Block]]:
        together = [[checked(block) for block in blocks] for blocks in self._voice.rehearse(request, self._takes)]
        return [list(take) for take in zip(*together, strict=True)]

    def _collect(self, blocks: Iterable[Block]) -> list[Block]:
        made = []
        for block in blocks:
            made.append(checked(block))
            self._progress(block.end)
        return made

    def _judge(self, blocks: list[Block]) -> Judgement | None:
        try:
            return self._recognizer.judge(listen(np.concatenate([block.samples for block in blocks])))
        except CannotJudge:
            return None


def _measure(samples: Samples) -> dict[str, float]:
    cells = [samples[i : i + loudness.METER_FRAMES] for i in range(0, len(samples), loudness.METER_FRAMES)]
    peak = 0.0
    for cell in cells:
        if float(np.abs(cell).max()) * loudness.OVERSHOOT > peak:  # else it cannot hold the highest true peak
            peak = max(peak, loudness.true_peak(cell))
    return {
        "loudness_lufs": round(loudness.integrated([loudness.energy(cell) for cell in cells]), 2),
        "true_peak_dbtp": round(loudness.decibels(peak), 2),
    }
