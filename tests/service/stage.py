"""A live session on a stage of its own: time that passes at once, and workers that do what they are told to."""

import asyncio
import selectors
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from musicmed_live.core import snapshot
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import Event
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Cue, Pace, frames_of
from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.core.plan import Plan
from musicmed_live.core.snapshot import Past, Snapshot
from musicmed_live.errors import MusicmedError, WorkerDied
from musicmed_live.service import live as service
from musicmed_live.service import playhead, voices
from musicmed_live.service.generators import Choice
from musicmed_live.service.judging import Judge
from musicmed_live.service.live import LiveSession
from musicmed_live.service.runway import GUARD_FRAMES
from musicmed_live.service.sources import Source, Sources
from musicmed_live.service.workers import Arguments, R, Worker, Workers
from tests.core.sounds import BEAT, BEATS_PER_BAR, tone

ANXIOUS, CALM, JOYFUL = Emotion(-0.6, 0.6), Emotion(0.6, -0.4), Emotion(0.7, 0.7)
REMEMBERED_FRAMES = frames_of(19.5)
TAKE_FRAMES = frames_of(10.0)  # of a clip that are rehearsed
FREE_FRAMES = frames_of(0.2)
STEP_SECONDS = 0.01
LEAD_FRAMES = frames_of(0.1)
MARGIN_FRAMES = frames_of(0.12)  # in which a block is made and carried to where it is heard


class ToneVoice:
    """Beats of half a second, each of a tone that tells the emotion and how many beats the voice has played."""

    def __init__(self, seed: int, position: int, memory: str | None = None) -> None:
        self._seed = seed
        self._beats = [position] * int(memory or 1)  # where one begins or will begin
        self._clip = 0
        self._doubles: list[ToneVoice] = []

    def compose(self, request: ClipRequest, heard_from: int = 0) -> Iterator[Block]:
        if request.position != self._beats[-1]:
            raise ValueError(f"a clip at {request.position} does not continue the music at {self._beats[-1]}")
        self._clip += 1
        self._last = request
        return self._blocks(request, self._clip)

    def rehearse(self, request: ClipRequest, takes: int) -> Iterator[Sequence[Block]]:
        self._clip += 1
        self._doubles = [type(self)(self._seed + 20 * take, 0) for take in range(takes)]
        for double in self._doubles:
            double._beats = self._beats.copy()
        beginning = replace(request, frames=min(request.frames, TAKE_FRAMES))
        return zip(*(double.compose(beginning) for double in self._doubles), strict=True)

    def settle(self, take: int) -> None:
        self._clip += 1
        self._seed, self._beats = self._doubles[take]._seed, self._doubles[take]._beats

    def rewind(self, position: int) -> int:
        if not max(self._beats[0], self._beats[-1] - REMEMBERED_FRAMES) <= position <= self._beats[-1]:
            raise ValueError(f"cannot rewind to {position}")
        self._clip += 1
        while len(self._beats) > 1 and self._beats[-2] >= position:
            self._beats.pop()
        return self._beats[-1]

    def memory(self) -> str:
        return str(len(self._beats))

    def close(self) -> None:
        self._clip += 1

    def _blocks(self, request: ClipRequest, clip: int) -> Iterator[Block]:
        end = request.position + request.frames
        for number, start in enumerate(range(request.position, end, BEAT)):
            assert clip == self._clip, "a clip that was given up goes on"
            cue = Cue.BEAT if number % BEATS_PER_BAR else Cue.BAR
            feeling = request.start.blend(request.end, (start - request.position) / request.frames)
            hz = 300 + 50 * feeling.valence + 100 * feeling.arousal + self._seed + len(self._beats) % 7
            frames = min(BEAT, end - start)
            self._beats.append(start + frames)
            yield Block(start, tone(start, frames, hz=hz), cue, 120.0, "C ionian", ("piano",))


class FreeVoice(ToneVoice):
    """Blocks of a fifth of a second, without beats: it may be cut anywhere."""

    def rewind(self, position: int) -> int:
        super().rewind(position)
        self._beats[-1] = position
        return position

    def _blocks(self, request: ClipRequest, clip: int) -> Iterator[Block]:
        end = request.position + request.frames
        for start in range(request.position, end, FREE_FRAMES):
            assert clip == self._clip, "a clip that was given up goes on"
            feeling = request.start.blend(request.end, (start - request.position) / request.frames)
            frames = min(FREE_FRAMES, end - start)
            self._beats.append(start + frames)
            samples = tone(start, frames, hz=500 + 100 * feeling.valence + self._seed)
            yield Block(start, samples, Cue.FREE, 0.0, "", ())


class ToneGenerator:
    """Opens such voices."""

    voices: int | None = None
    takes = 1
    pace = Pace(100.0, 0.01)

    def warm_up(self) -> Pace:
        return self.pace

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> ToneVoice:
        return ToneVoice(seed, position, memory)


class FreeGenerator(ToneGenerator):
    """Has room for one, and makes music 1.7 times as fast as it is heard."""

    voices = 1

    def __init__(self, pace: Pace, takes: int = 0) -> None:
        self.pace, self.takes = pace, takes
        self.opened: list[int] = []  # at which positions voices were,
        self.memories: list[str | None] = []  # and with which memories

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> FreeVoice:
        self.opened.append(position)
        self.memories.append(memory)
        return FreeVoice(seed, position, memory)


class Puppet(Worker):
    """A worker that runs in this process. It takes `delay` seconds over a call; None: until it is told to answer.

    The first block of a clip takes it `first_delay` longer.
    """

    def __init__(self, generator: ToneGenerator) -> None:
        self.generator = generator
        self.delay: float | None = 0.0
        self.first_delay = 0.0
        self.busy_with: Callable[..., Any] | None = None
        self.deaths = 0
        self._call: Callable[[], Any] = lambda: None  # that is being waited for
        self._answer: asyncio.Future[Any] | None = None
        self._dead = False
        self._turn = asyncio.Lock()

    async def call(self, deadline: float, function: Callable[[*Arguments], R], *args: *Arguments) -> R:
        async with self._turn:
            return await self._carry_through(function, *args)

    async def _carry_through(self, function: Callable[..., R], *args: Any) -> R:
        if self._dead:
            self._dead = False
            raise WorkerDied("it died when it had nothing to do")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self.busy_with, self._answer, self._call = function, answer, partial(function, *args)
        first = self.first_delay if function is voices.begin_clip else 0.0
        timer = None if self.delay is None else loop.call_later(self.delay + first, self.answer)
        try:
            return await answer
        finally:
            self.busy_with = self._answer = None
            if timer is not None:
                timer.cancel()

    def post(self, function: Callable[[*Arguments], None], *args: *Arguments) -> None:
        function(*args)

    def answer(self) -> None:
        """Carry out the call that is being waited for, if any."""
        if self._answer is None or self._answer.done():
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(voices, "_generator", lambda: self.generator)
            try:
                self._answer.set_result(self._call())
            except MusicmedError as fault:
                self._answer.set_exception(fault)

    def die(self) -> None:
        """Take all its voices along."""
        kind = FreeVoice if isinstance(self.generator, FreeGenerator) else ToneVoice
        for name in [name for name, voice in voices._voices.items() if type(voice) is kind]:
            del voices._voices[name]
            voices._clips.pop(name, None)
            voices._rehearsals.pop(name, None)
        self.deaths += 1
        if self._answer is None or self._answer.done():
            self._dead = True
        else:
            self._answer.set_exception(WorkerDied("it died"))


class OnePuppet(Workers):
    """The house of which it is the only worker."""

    def __init__(self, puppet: Puppet) -> None:
        self._puppet = puppet

    def assign(self) -> Worker:
        return self._puppet

    async def warm_up(self) -> list[voices.Measured]:
        generator = self._puppet.generator
        return [voices.Measured(generator.warm_up(), generator.voices, generator.takes)]


class Listener(Judge):
    """Says of all music what it is told to say, and keeps what it was asked about."""

    def __init__(self) -> None:
        self.verdict: Callable[[Mono], Judgement | None] = lambda _: None
        self.heard: list[Mono] = []
        self.delay = 0.0

    async def judge(self, mono: Mono, deadline: float) -> Judgement | None:
        self.heard.append(mono)
        await asyncio.sleep(self.delay)
        return self.verdict(mono)


class Clock(selectors.SelectSelector):
    """Waiting takes no time, but lets it pass."""

    now = 0.0
    _looks = 0  # at the clock, since others had their turn

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits for something that nobody does"
        self.now += timeout
        self._looks = 0
        return super().select(0)

    def monotonic(self) -> float:
        self._looks += 1
        assert self._looks < 10_000, "somebody goes round and round and lets no time pass"
        return self.now


class Loop(asyncio.SelectorEventLoop):
    """An event loop by that clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


class Stage:
    """A session, the composer's worker, and what was announced. `other` is a chosen generator's, if there is one."""

    def __init__(self, loop: Loop, wish: Plan, chosen: FreeGenerator | None = None, loaded: bool = True) -> None:
        self._loop = loop
        self.clock = loop.clock
        self.worker = Puppet(ToneGenerator())
        self.composer = Source(Choice(), OnePuppet(self.worker))
        self.chosen = self.composer
        if chosen is not None:
            self.other = Puppet(chosen)
            self.other.delay = FREE_FRAMES / SAMPLE_RATE / chosen.pace.realtime_x
            self.other.first_delay = chosen.pace.first_block_seconds - self.other.delay
            self.chosen = Source(Choice("musicgen"), OnePuppet(self.other))
            if loaded:
                self.load()
        loop.run_until_complete(self.composer.warm_up())
        self.listener = Listener()
        self._sources = Sources(self.chosen, self.composer, self.listener)
        self.live = LiveSession("s", "anna", wish, self._sources)
        self.cuts: list[tuple[int, str]] = []
        self.live.on_cut.add(lambda position, reason: self.cuts.append((position, reason)))
        self.running = loop.create_task(self.live.run())

    def die(self, seconds: float, change: Callable[[Snapshot], Snapshot] = lambda found: found) -> "LiveSession":
        """Let the server be killed, and another one take the session up after so many seconds; what is left behind."""
        before, found = self.live, snapshot.read(snapshot.write(self.live.snapshot()))
        self.running.cancel()
        self._loop.run_until_complete(asyncio.wait({self.running}))
        voices._voices.clear()
        self.wait(seconds)
        past = Past(change(found), seconds)
        self.live = LiveSession("s", "anna", found.plan, self._sources, past=past)
        self.running = self._loop.create_task(self.live.run())
        return before

    @contextmanager
    def beside(self, name: str) -> Iterator[LiveSession]:
        """Another session of the same house."""
        live = LiveSession(name, name, Plan(ANXIOUS, CALM, None, 2), self._sources)
        running = self._loop.create_task(live.run())
        try:
            yield live
        finally:
            running.cancel()
            self._loop.run_until_complete(asyncio.wait({running}))

    def unload(self) -> None:
        """Let the chosen generator have to be loaded again."""
        self.chosen._pace = None

    def load(self) -> None:
        """Let the chosen generator become ready."""
        self._loop.run_until_complete(self.chosen.warm_up())

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._loop.run_until_complete(asyncio.sleep(seconds))

    def until(self, happened: Callable[[], Any], within: float = 60.0) -> None:
        """Let time pass until something has happened."""
        for _ in range(round(within / STEP_SECONDS)):
            if happened():
                return
            self.wait(STEP_SECONDS)
        raise AssertionError(f"not within {within:g} s")

    def do(self, *events: Event, live: LiveSession | None = None) -> int:
        """Let them happen now, in another session or this one; the position of that."""

        async def happen() -> int:
            meant = live or self.live
            for event in events:
                meant.handle(event)
            return meant.heard

        return self._loop.run_until_complete(happen())

    @property
    def runway(self) -> float:
        """Seconds of music ahead of what is heard."""
        return (self.live.timeline.ready_until(self.live.heard) - self.live.heard) / SAMPLE_RATE

    @property
    def generator(self) -> dict[str, Any]:
        """Who plays what is being heard, as a client is told it."""
        told: dict[str, Any] = self.live.state()["generator"]
        return told

    @property
    def sounding(self) -> Emotion:
        """What the music was asked for that is being heard."""
        clip = self.live.timeline.clip_at(self.live.heard)
        assert clip is not None
        return clip.emotion_at(self.live.heard)

    def check(self) -> None:
        """The session lives, and between what is heard and the end of what is composed there is no gap."""
        assert not self.running.done(), self.running
        clips, heard = self.live.timeline.clips, self.live.heard
        assert all(a.end == b.position for a, b in pairwise(clips))
        if clips:
            assert clips[0].position <= heard
            soon = heard + MARGIN_FRAMES + GUARD_FRAMES
            ready = self.live.timeline.ready_until(soon)
            composed = min(clips[-1].end, clips[-1].track.end)
            assert ready >= composed or ready == soon
            assert np.abs(self.live.audio(heard, LEAD_FRAMES)).max() < 1.0


@contextmanager
def stage(
    frames: int | None = None,
    start: Emotion | None = ANXIOUS,
    seed: int = 1,
    chosen: FreeGenerator | None = None,
    loaded: bool = True,
    wish: Plan | None = None,
) -> Iterator[Stage]:
    """A session that nobody has started yet, of `wish` or a short one; at the end all that it left is looked after."""
    faults: list[Any] = []
    loop = Loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    with pytest.MonkeyPatch.context() as patch:
        for module in (service, playhead):
            clock = loop.clock.monotonic
            patch.setattr(module, "time", SimpleNamespace(monotonic=clock, time=clock))
        opened = Stage(loop, wish or Plan(start, CALM, frames, seed), chosen, loaded)
        try:
            yield opened
        finally:
            opened.running.cancel()
            loop.run_until_complete(asyncio.wait({opened.running}))
            loop.close()
    assert not faults
    assert not voices._voices, "a voice was not let go"
    assert not opened.chosen.held, "its room was not given back"
