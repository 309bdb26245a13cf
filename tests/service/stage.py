"""A live session on a stage of its own: time that passes at once, and a worker that does what it is told to."""

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Cue, Pace, frames_of
from musicmed_live.core.session import Event, Plan
from musicmed_live.errors import WorkerDied
from musicmed_live.service import live as service
from musicmed_live.service import voices
from musicmed_live.service.live import GUARD_FRAMES, MARGIN_FRAMES, LiveSession
from musicmed_live.service.workers import Arguments, R, Worker, Workers
from tests.core.sounds import BEAT, BEATS_PER_BAR, tone

ANXIOUS, CALM, JOYFUL = Emotion(-0.6, 0.6), Emotion(0.6, -0.4), Emotion(0.7, 0.7)
REMEMBERED_FRAMES = frames_of(14.0)
STEP_SECONDS = 0.01
LEAD_FRAMES = frames_of(0.1)


class ToneVoice:
    """Beats of half a second, each of a tone that tells the emotion and how many beats the voice has played."""

    def __init__(self, seed: int, position: int) -> None:
        self._seed = seed
        self._beats = [position]  # where one begins or will begin
        self._clip = 0

    def compose(self, request: ClipRequest) -> Iterator[Block]:
        if request.position != self._beats[-1]:
            raise ValueError(f"a clip at {request.position} does not continue the music at {self._beats[-1]}")
        self._clip += 1
        return self._blocks(request, self._clip)

    def rewind(self, position: int) -> int:
        if not max(self._beats[0], self._beats[-1] - REMEMBERED_FRAMES) <= position <= self._beats[-1]:
            raise ValueError(f"cannot rewind to {position}")
        self._clip += 1
        while len(self._beats) > 1 and self._beats[-2] >= position:
            self._beats.pop()
        return self._beats[-1]

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


class ToneGenerator:
    """Opens such voices."""

    voices = None

    def warm_up(self) -> Pace:
        return Pace(100.0, 0.01)

    def open_voice(self, seed: int, position: int = 0) -> ToneVoice:
        return ToneVoice(seed, position)


class Puppet(Worker):
    """A worker that runs in this process. It takes `delay` seconds over a call; None: until it is told to answer."""

    def __init__(self) -> None:
        self.delay: float | None = 0.0
        self.busy_with: Callable[..., Any] | None = None
        self.deaths = 0
        self._answer: asyncio.Future[None] | None = None
        self._dead = False

    async def call(self, deadline: float, function: Callable[[*Arguments], R], *args: *Arguments) -> R:
        if self._dead:
            self._dead = False
            raise WorkerDied("it died when it had nothing to do")
        loop = asyncio.get_running_loop()
        self.busy_with, self._answer = function, loop.create_future()
        timer = None if self.delay is None else loop.call_later(self.delay, self.answer)
        try:
            await self._answer
        finally:
            self.busy_with = self._answer = None
            if timer is not None:
                timer.cancel()
        return function(*args)

    def post(self, function: Callable[[*Arguments], None], *args: *Arguments) -> None:
        function(*args)

    def answer(self) -> None:
        """Carry out the call that is being waited for, if any."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def die(self) -> None:
        """Take all voices along."""
        voices._voices.clear()
        voices._clips.clear()
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
    """A session, its worker, and what it announced."""

    def __init__(self, loop: Loop, wish: Plan) -> None:
        self._loop = loop
        self.worker = Puppet()
        self.live = LiveSession("s", wish, OnePuppet(self.worker))
        self.cuts: list[tuple[int, str]] = []
        self.live.on_cut.add(lambda position, reason: self.cuts.append((position, reason)))
        self.running = loop.create_task(self.live.run())

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

    def do(self, *events: Event) -> int:
        """Let them happen now; the position of that."""
        for event in events:
            self.live.handle(event)
        return self.live.heard

    @property
    def runway(self) -> float:
        """Seconds of music ahead of what is heard."""
        return (self.live.timeline.ready_until(self.live.heard) - self.live.heard) / SAMPLE_RATE

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
def stage(frames: int | None = None, start: Emotion | None = ANXIOUS, seed: int = 1) -> Iterator[Stage]:
    """A session that nobody has started yet; at the end everything that it left is looked after."""
    faults: list[Any] = []
    loop = Loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voices, "_generator", ToneGenerator)
        patch.setattr(service, "time", SimpleNamespace(monotonic=loop.clock.monotonic))
        opened = Stage(loop, Plan(start, CALM, frames, seed))
        try:
            yield opened
        finally:
            opened.running.cancel()
            loop.run_until_complete(asyncio.wait({opened.running}))
            loop.close()
    assert not faults
    assert not voices._voices, "a voice was not let go"
