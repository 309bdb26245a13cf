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
    Stop,
)
from musicmed_live.core.timeline import Clip, Timeline, Track
from musicmed_live.core.transport import Transport
from musicmed_live.errors import GeneratorFailed
from musicmed_live.service import voices
from musicmed_live.service.remote import RemoteVoice
from musicmed_live.service.workers import MAX_DEATHS, Workers

log = logging.getLogger(__name__)

HORIZON_FRAMES = frames_of(9.0)  # so much is composed ahead of what is heard
RUNWAY_FRAMES = frames_of(0.6)  # less than that is not given up for something new
PREROLL_FRAMES = frames_of(2.0)  # so much is composed before the play-head may go
MARGIN_FRAMES = frames_of(0.12)  # composing the first beat after a cut takes about that long
GUARD_FRAMES = frames_of(0.02)  # a splice is never nearer to what is heard
URGENT_FRAMES = frames_of(0.1)  # so much is mixed ahead of what is heard, composed or not
MEMORY_FRAMES = frames_of(5.0)  # sound that was heard is kept for the bars that may have to be repeated
SPLICE_FRAMES = frames_of(1.0)  # fade between two threads of music
LANDING_CLIP_FRAMES = frames_of(8.0)
LANDING_OUT_FRAMES = frames_of(2.5)
KEPT_FRAMES = frames_of(1.0)  # mixed sound is kept so long for players that are behind the clock
TICK_SECONDS = 0.05

ENDED, DELETED, FAILED = 1000, 1008, 1011  # WebSocket close codes (RFC 6455, 7.4.1)

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
        self.close_code = ENDED  # told to those who are connected when it is over
        self.on_cut: set[CutListener] = set()
        self.on_change: set[ChangeListener] = set()  # of anything that `state` tells, but for the passing of time
        self._transport = Transport(wish.frames)
        self._worker = workers.assign()
        self._voice = RemoteVoice(name, wish.seed, self._worker)
        self._wish = wish
        self._track = Track()
        self._wake = asyncio.Event()
        self._wanted: Recompose | Land | None = None  # what is to be composed next, before more of the same
        self._complete = False  # everything up to the end is composed
        self._run_pending = False
        self._landing: list[Block] = []  # calm music, kept ready
        self._ends: int | None = wish.frames
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
        ready = self.mixer.ready_until(heard)
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
        """For how long nobody has been connected."""
        return 0.0 if self._attending else now - self._last_used

    def follow(self, position: int) -> None:
        """A sound card says that it plays `position`: its clock rules."""
        self._transport.follow(position, time.monotonic())

    def handle(self, event: Event) -> None:
        """Do what `event` asks for. Raises `IllegalTransition` after the end."""
        heard = self.heard
        clip = self.timeline.clip_at(heard)
        sounding = None if clip is None else clip.emotion_at(heard)
        for action in self.session.handle(event, heard, sounding):
            match action:
                case Run():
                    self._go()
                case Halt(position):
                    self._run_pending = False
                    self._transport.halt(position)
                case Fade(position, frames, gain, reason):
                    self.mixer.fade(position, frames, gain)
                    self._announce_cut(position, reason)
                case Recompose():
                    self._want(action)
                case Land(position, fade_frames):
                    placed = self._land(position, fade_frames)
                    self._want(action if placed else Recompose(Cue.BEAT, "too_much"))
                case End(position):
                    self._run_pending = False
                    self._ends = min(position, self._wish.frames or position) if self.playing else heard
                    self._transport.halt(self._ends)
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
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._compose(), name=f"{self.name} compose"),
                    group.create_task(self._keep_time(), name=f"{self.name} time"),
                ]
                await self.over.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._finish()

    def _finish(self) -> None:
        """Stand still, be over, and let go of the voice."""
        if self.session.phase is not Phase.ENDED:
            self.close_code = FAILED
            self.session.handle(Stop(), self.heard)
        self._transport.halt(self.heard)
        self._voice.close()
        self.over.set()
        self._announce_change()

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
        """Set the play-head going, as soon as there is music and what was asked for before is composed."""
        ready = self.timeline.ready_until(self.heard) - self.heard >= PREROLL_FRAMES or self._complete
        self._run_pending = self._wanted is not None or not ready
        if not self._run_pending:
            self._transport.run(time.monotonic())
            self._started = True
            self._announce_change()

    def _want(self, action: Recompose | Land) -> None:
        """Note what is to be composed. A later wish replaces an earlier one, but none is made to wait for a bar."""
        if isinstance(action, Recompose) and isinstance(self._wanted, Recompose) and self._wanted.cue is Cue.BEAT:
            action = replace(action, cue=Cue.BEAT)
        self._wanted = action

    async def _compose(self) -> None:
        failures = 0
        while True:
            try:
                await self._compose_next()
                failures = 0
            except GeneratorFailed as fault:
                failures += 1
                if failures == MAX_DEATHS:
                    raise
                log.warning("%s: %s", self.name, fault)
            if self._run_pending:
                self._go()

    async def _compose_next(self) -> None:
        wish = self._wanted
        match wish:
            case Land():
                await self._take_up(wish, Cue.BEAT, "too_much", self.timeline.end - LANDING_OUT_FRAMES)
            case Recompose(cue, reason) if self._has_runway():
                await self._take_up(wish, cue, reason)
            case _ if self._thread_is_lost():
                await self._take_up(None, Cue.BEAT, "late", self.timeline.ready_until(self.heard) - SPLICE_FRAMES)
            case _ if self._voice.end - self.heard < HORIZON_FRAMES and not self._complete:
                await self._extend()
            case _ if not self._landing and self._started:
                await self._prepare_landing()
            case _:
                self._wake.clear()
                await self._wake.wait()

    def _thread_is_lost(self) -> bool:
        """Whether what was planned last is not what the voice composes."""
        if self._complete or not self.timeline.clips:
            return False
        return self._voice.begins is None or self.timeline.clips[-1].track is not self._track

    async def _extend(self) -> None:
        """Compose one more block, or note that the music ends."""
        deadline = self._soon((self._voice.end - self.heard) / SAMPLE_RATE)
        block = await self._voice.next_block(deadline)
        if block is None:
            request = self.session.next_clip(self.timeline.end)
            if request is None:
                self._complete = True
                return
            block = await self._voice.begin(request, deadline)
            if self.timeline.end == request.position:  # else a landing took its place meanwhile
                self.timeline.append(Clip(request.position, request.frames, request.start, request.end, self._track))
        self._track.add(block)

    async def _take_up(self, wish: Recompose | Land | None, kind: Cue, reason: str, enters: int = 0) -> None:
        """Go on along the path from the first cue that can be reached, heard from `enters` on.

        Where the thread that is heard breaks, the new one fades in over it.
        """
        at = self._reachable(kind)
        if self._voice.begins is None:
            at = max(at, enters)
        goes_on = not enters and self._voice.remembers(at)
        request = self.session.next_clip(at)
        if request is None:
            self._complete = True
        else:
            block = await self._voice.begin(request, self._soon(0.0))
            if isinstance(self._wanted, Land) and self._wanted is not wish:
                return  # came meanwhile, and goes before
            goes_on = goes_on and self._continues(block.position)
            if goes_on:
                self._track.cut(block.position)
            else:
                self._track = Track()
            self._complete = False
            fade_frames = 0 if goes_on else LANDING_OUT_FRAMES if isinstance(wish, Land) else SPLICE_FRAMES
            self._splice(max(block.position, enters), request, block, fade_frames, reason)
        if self._wanted is wish:
            self._wanted = None

    def _has_runway(self) -> bool:
        """Whether there is music to cut, and enough of it that a burst of wishes does not eat it up."""
        left = self.timeline.ready_until(self.heard) - self.heard
        return left > 0 and (not self.playing or left >= RUNWAY_FRAMES or self._complete)

    def _reachable(self, kind: Cue) -> int:
        """The first cue of that kind, or else the first beat, for which a block can still be made in time."""
        earliest = self.heard + (MARGIN_FRAMES if self.playing else 0)
        if not self._voice.remembers(min(earliest, self._voice.end)):
            return earliest
        for cue in (self._track.next_cue(earliest, kind), self._track.next_cue(earliest, Cue.BEAT)):
            if cue is not None and cue <= self._voice.end:
                return cue
        return min(earliest, self._voice.end)

    def _continues(self, position: int) -> bool:
        """Whether the voice goes on at `position` from the very music that is heard up to there."""
        below = self.timeline.clip_at(position - 1)
        return (
            position >= self._soonest()
            and below is not None
            and below.track is self._track
            and self._track.end >= position
        )

    def _soonest(self) -> int:
        """The first position from which on the music may still be changed."""
        return self.heard + (GUARD_FRAMES if self.playing else 0)

    def _splice(self, position: int, request: ClipRequest, block: Block, fade_frames: int, reason: str) -> None:
        """Let the timeline go on at `position`, or as soon as it can, with the clip that begins with `block`."""
        position = max(position, self._soonest())
        self._track.add(block)
        end = max(block.end, request.position + request.frames, position + 1)
        self._put(Clip(position, end - position, request.start, request.end, self._track, fade_frames))
        self._announce_cut(position, reason)

    def _land(self, position: int, fade_frames: int) -> bool:
        """Put the landing music that is kept ready over everything, now; False where there is none yet."""
        landing = Track()
        for block in self._landing:
            landing.add(replace(block, position=block.position + position))
        if self._landing:
            self._put(Clip(position, LANDING_CLIP_FRAMES, LANDING_EMOTION, LANDING_EMOTION, landing, fade_frames))
        return bool(self._landing)

    def _put(self, clip: Clip) -> None:
        """Cut the timeline where `clip` begins, and append it."""
        self.timeline.extend(clip.position)
        fade_frames = min(clip.fade_frames, self.timeline.ready_until(clip.position) - clip.position)
        self.timeline.cut(clip.position)
        self.timeline.append(replace(clip, fade_frames=fade_frames))
        self.mixer.rewind(clip.position)

    async def _prepare_landing(self) -> None:
        request = ClipRequest(
            0, LANDING_CLIP_FRAMES, LANDING_EMOTION, LANDING_EMOTION, self._wish.instruments, self._wish.style
        )
        self._landing = await self._worker.call(self._soon(1.0), voices.compose_alone, self._wish.seed, request)

    def _announce_cut(self, position: int, reason: str) -> None:
        for listener in list(self.on_cut):
            listener(position, reason)
        self._announce_change()

    def _announce_change(self) -> None:
        for listener in list(self.on_change):
            listener()

    def _soon(self, seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds
