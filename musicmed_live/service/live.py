"""A live session: the pure session, its timeline and mixer, a voice in a worker, and a clock.

Events are carried out at once, on the spot; what needs new music is noted and taken up by `_compose`, the one
task that changes the timeline's music.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from musicmed_live.core import messages
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Cue, Samples, frames_of
from musicmed_live.core.limiter import LOOKAHEAD
from musicmed_live.core.mixer import Mixer
from musicmed_live.core.session import (
    LANDING_EMOTION,
    End,
    Event,
    Fade,
    Finished,
    Halt,
    Land,
    Phase,
    Plan,
    Recompose,
    Run,
    Session,
)
from musicmed_live.core.timeline import Clip, Timeline, Track
from musicmed_live.core.transport import Transport
from musicmed_live.errors import GeneratorFailed
from musicmed_live.service import voices
from musicmed_live.service.workers import Workers

log = logging.getLogger(__name__)

HORIZON_FRAMES = frames_of(10.0)  # so much is composed ahead of what is heard
PREROLL_FRAMES = frames_of(0.8)  # so much is composed before the play-head may go
MARGIN_FRAMES = frames_of(0.12)  # composing the first beat after a cut takes about that long
GUARD_FRAMES = frames_of(0.02)  # a splice is never nearer to what is heard
URGENT_FRAMES = frames_of(0.1)  # so much is mixed ahead of what is heard, composed or not
MEMORY_FRAMES = frames_of(6.0)  # sound that was heard is kept for the bars that may have to be repeated
SPLICE_FRAMES = frames_of(1.0)  # fade between two threads of music
LANDING_CLIP_FRAMES = frames_of(8.0)
LANDING_OUT_FRAMES = frames_of(2.5)
KEPT_FRAMES = frames_of(1.0)  # mixed sound is kept so long for players that are behind the clock
TICK_SECONDS = 0.05
MAX_FAILURES = 3  # of the worker in a row, without a block in between

CutListener = Callable[[int, str], None]
ChangeListener = Callable[[], None]


class LiveSession:
    """Plays one plan. `run` it as a task; talk to it from the same event loop."""

    def __init__(self, name: str, wish: Plan, workers: Workers) -> None:
        self.name = name
        self.session = Session(wish)
        self.timeline = Timeline()
        self.mixer = Mixer(self.timeline, wish.frames)
        self.over = asyncio.Event()
        self.on_cut: set[CutListener] = set()
        self.on_change: set[ChangeListener] = set()  # of anything that `state` tells, but for the passing of time
        self._transport = Transport(wish.frames)
        self._worker = workers.assign()
        self._wish = wish
        self._track = Track()
        self._music = asyncio.Event()  # there is something to play
        self._wake = asyncio.Event()
        self._recompose: Recompose | Land | None = None
        self._clip_done = True
        self._run_pending = False
        self._landing: list[Block] = []  # calm music, kept ready
        self._ends: int | None = wish.frames
        self._failures = 0
        self._voice_open = False
        self._started = False
        self._attending = 0
        self._last_used = time.monotonic()

    @property
    def heard(self) -> int:
        """The frame being heard now."""
        return self._transport.position(time.monotonic())

    @property
    def playing(self) -> bool:
        """Whether the play-head moves."""
        return self._transport.moves(time.monotonic())

    @property
    def available(self) -> int:
        """Position up to which there is sound to send: composed, or urgently needed."""
        heard = self.heard
        ready = self.timeline.ready_until(heard)
        if ready != self._wish.frames:
            ready -= LOOKAHEAD
        return max(ready, heard + URGENT_FRAMES) if self.playing else ready

    @property
    def sends_until(self) -> int | None:
        """Position beyond which nothing will be heard for now; None while the play-head is free."""
        return self._transport.halts_at

    @property
    def ends(self) -> int | None:
        """Position at which the session ends; None while that is open."""
        return self._ends

    @property
    def started(self) -> bool:
        """Whether the play-head has ever been set going."""
        return self._started

    @contextmanager
    def attended(self) -> Iterator[None]:
        """While a client is connected."""
        self._attending += 1
        try:
            yield
        finally:
            self._attending -= 1
            self._last_used = time.monotonic()

    def idle_seconds(self, now: float) -> float:
        """For how long nobody has been connected and nothing has played."""
        return 0.0 if self.playing or self._attending else now - self._last_used

    def follow(self, position: int) -> None:
        """A sound card says that it plays `position`: its clock rules."""
        self._transport.follow(position, time.monotonic())

    def handle(self, event: Event) -> None:
        """Do what `event` asks for. Raises `IllegalTransition` after the end."""
        heard = self.heard
        for action in self.session.handle(event, heard):
            match action:
                case Run():
                    self._go()
                case Halt(position):
                    self._transport.halt(position)
                case Fade(position, frames, gain, reason):
                    self.mixer.fade(position, frames, gain)
                    self._announce_cut(position, reason)
                case Recompose():
                    self._recompose = action
                case Land(position, fade_frames):
                    self._land(position, fade_frames)
                    self._recompose = action
                case End(position):
                    self._ends = position
                    self._transport.halt(position)
        self._wake.set()
        self._announce_change()

    def state(self) -> dict[str, Any]:
        """The `state` message."""
        heard = self.heard
        clip = self.timeline.clip_at(heard)
        estimate = self.session.estimate
        return {
            "type": "state",
            "position": heard,
            "playing": self.playing,
            "phase": self.session.wire_phase(heard),
            "frames": self._wish.frames,
            "estimate": None if estimate is None else messages.emotion_object(estimate),
            "target": messages.emotion_object(self.session.target(heard)),
            "goal": messages.emotion_object(self.session.goal),
            "path": messages.path_objects(self.session.path),
            "clip": None if clip is None else messages.clip_object(clip, self.timeline.describe(clip)),
        }

    def audio(self, position: int, frames: int) -> Samples:
        """Mixed sound, shape (frames, 2)."""
        return self.mixer.read(position, frames)

    async def run(self) -> None:
        """Compose and keep time until the session is over."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._compose(), name=f"{self.name} compose"),
                group.create_task(self._keep_time(), name=f"{self.name} time"),
            ]
            await self.over.wait()
            for task in tasks:
                task.cancel()
        await self._worker.call(self._soon(60.0), voices.close_voice, self.name)

    async def _keep_time(self) -> None:
        moved = False
        while True:
            heard, moves = self.heard, self.playing
            if moves:
                self._mix_ahead(heard)
            elif moved:
                self._announce_change()
            moved = moves
            if self._ends is not None and heard >= self._ends:
                if self.session.phase is not Phase.ENDED:
                    self.handle(Finished())
                self.over.set()
            await asyncio.sleep(TICK_SECONDS)

    def _mix_ahead(self, heard: int) -> None:
        before = self.mixer.underruns
        if self.mixer.end < heard + URGENT_FRAMES:
            self.mixer.read(heard, URGENT_FRAMES)
        if self.mixer.underruns > before:
            log.warning("%s: music was late at %d; the last bars repeat", self.name, heard)
        self.mixer.forget(max(0, heard - KEPT_FRAMES))
        self.timeline.forget_before(heard - MEMORY_FRAMES)
        self._wake.set()

    def _go(self) -> None:
        self._run_pending = not self._music.is_set()
        if not self._run_pending:
            self._transport.run(time.monotonic())
            self._started = True
            self._announce_change()

    async def _compose(self) -> None:
        while True:
            try:
                await self._compose_next()
            except GeneratorFailed as fault:
                self._failures += 1
                if self._failures > MAX_FAILURES:
                    raise
                log.warning("%s: %s", self.name, fault)
                self._voice_open = False

    async def _compose_next(self) -> None:
        if not self._voice_open:
            await self._open_voice()
        match self._recompose:
            case Recompose() as wanted:
                self._recompose = None
                await self._cut(wanted.cue, wanted.reason)
            case Land():
                self._recompose = None
                await self._follow_landing()
            case _ if self._track.end - self.heard < HORIZON_FRAMES and await self._extend():
                pass
            case _ if not self._landing and self._music.is_set():
                await self._prepare_landing()
            case _:
                self._wake.clear()
                await self._wake.wait()

    async def _open_voice(self) -> None:
        """Open the voice; after a worker died, let a new one go on from what was composed, faded in over it."""
        anew = self._track.end > 0
        position = max(self._track.end - SPLICE_FRAMES, self.heard + MARGIN_FRAMES) if anew else 0
        await self._worker.call(self._soon(0.5), voices.open_voice, self.name, self._wish.seed, position)
        self._voice_open = True
        request = self.session.next_clip(position)
        if not anew or request is None:
            return
        block = await self._worker.call(self._soon(0.0), voices.begin_clip, self.name, request, False)
        self._clip_done = False
        self._track = Track()
        self._splice(position, request, block, SPLICE_FRAMES, "late")

    async def _extend(self) -> bool:
        """Compose one more block; False where the music ends."""
        deadline = self._soon((self._track.end - self.heard) / SAMPLE_RATE)
        if not self._clip_done:
            block = await self._worker.call(deadline, voices.next_block, self.name)
            if block is not None:
                self._add(block)
                return True
            self._clip_done = True
        request = self.session.next_clip(self.timeline.end)
        if request is None:
            return False
        block = await self._worker.call(deadline, voices.begin_clip, self.name, request, False)
        if self.timeline.end == request.position:  # else a landing took its place meanwhile
            self.timeline.append(Clip(request.position, request.frames, request.start, request.end, self._track))
        self._clip_done = False
        self._add(block)
        return True

    def _add(self, block: Block) -> None:
        self._track.add(block)
        self._failures = 0
        if self._track.end - self.heard >= PREROLL_FRAMES:
            self._music.set()
        if self._run_pending:
            self._go()

    async def _cut(self, kind: Cue, reason: str) -> None:
        """Rewind the voice to the first cue that can be reached and let it go on along the path."""
        if not self._track.end:
            return  # nothing is composed yet: the first clip will follow the path
        earliest = min(self.heard + (MARGIN_FRAMES if self.playing else 0), self._track.end)
        cue = self.timeline.next_cue(earliest, kind) or self.timeline.next_cue(earliest, Cue.BEAT) or earliest
        request = self.session.next_clip(cue)
        if request is None:
            return
        block = await self._worker.call(self._soon(0.0), voices.begin_clip, self.name, request, True)
        self._clip_done = False
        if isinstance(self._recompose, Land):
            return  # came meanwhile, and goes before
        below = self.timeline.clip_at(block.position) or self.timeline.clip_at(block.position - 1)
        in_time = not self.playing or block.position >= self.heard + GUARD_FRAMES
        goes_on = below is not None and below.track is self._track and below.position < block.position
        if in_time and goes_on:
            self._track.cut(block.position)
            self._splice(block.position, request, block, 0, reason)
        else:
            self._track = Track()
            self._splice(block.position, request, block, SPLICE_FRAMES, reason)

    def _splice(self, position: int, request: ClipRequest, block: Block, fade_frames: int, reason: str) -> None:
        """Let the timeline go on at `position`, or as soon as it can, with the clip that begins with `block`."""
        if self.playing:
            position = max(position, self.heard + GUARD_FRAMES)
        position = min(position, self.timeline.end)
        fade_frames = self._fade_at(position, fade_frames)
        frames = max(block.position + len(block.samples), request.position + request.frames) - position
        self.timeline.cut(position)
        self.timeline.append(Clip(position, frames, request.start, request.end, self._track, fade_frames))
        self._add(block)
        self.mixer.rewind(position)
        self._announce_cut(position, reason)

    def _land(self, position: int, fade_frames: int) -> None:
        """Put the landing music that is kept ready over everything, now."""
        if not self._landing:
            return
        landing = Track()
        for block in self._landing:
            landing.add(replace(block, position=block.position + position))
        position = min(position, self.timeline.end)
        fade_frames = self._fade_at(position, fade_frames)
        self.timeline.cut(position)
        self.timeline.append(
            Clip(position, LANDING_CLIP_FRAMES, LANDING_EMOTION, LANDING_EMOTION, landing, fade_frames)
        )
        self.mixer.rewind(position)

    def _fade_at(self, position: int, frames: int) -> int:
        """At most `frames`: no longer than there is sound to fade out. Where there is none, the mixer fills."""
        return min(frames, self.timeline.ready_until(position) - position)

    async def _follow_landing(self) -> None:
        """Compose calm music under the landing clip, and let it take over before that ends."""
        if not self._landing:
            await self._cut(Cue.BEAT, "too_much")
            return
        earliest = min(self.heard + MARGIN_FRAMES, self._track.end)
        request = self.session.next_clip(earliest)
        if request is None:
            return
        block = await self._worker.call(self._soon(0.0), voices.begin_clip, self.name, request, True)
        self._clip_done = False
        self._track = Track()
        takes_over = self.timeline.end - LANDING_OUT_FRAMES
        self._splice(max(takes_over, block.position), request, block, LANDING_OUT_FRAMES, "too_much")

    async def _prepare_landing(self) -> None:
        request = ClipRequest(
            0, LANDING_CLIP_FRAMES, LANDING_EMOTION, LANDING_EMOTION, self._wish.instruments, self._wish.style
        )
        self._landing = await self._worker.call(self._soon(4.0), voices.compose_alone, self._wish.seed, request)

    def _announce_cut(self, position: int, reason: str) -> None:
        for listener in list(self.on_cut):
            listener(position, reason)
        self._announce_change()

    def _announce_change(self) -> None:
        for listener in list(self.on_change):
            listener()

    def _soon(self, seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds
