"""A live session: the pure session, its music, and a clock. Events are carried out at once, on the spot."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from musicmed_live.composer.preferences import check_forbidden
from musicmed_live.core import messages
from musicmed_live.core.answers import REACTION_FRAMES, REST_FRAMES
from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.estimate import CORRECTION_SECONDS
from musicmed_live.core.events import (
    Bound,
    End,
    Event,
    Fade,
    Finished,
    Halt,
    Land,
    Play,
    Recompose,
    Rest,
    Run,
    Sense,
    Shorten,
    Stop,
    Unsensed,
)
from musicmed_live.core.exposure import SENSITIVE_WEEK_PA2H, WEEK_PA2H
from musicmed_live.core.generator import Samples, frames_of
from musicmed_live.core.phases import Phase
from musicmed_live.core.plan import Plan, PlannedPause
from musicmed_live.core.profile import Profile
from musicmed_live.core.readings import Kind, Reading
from musicmed_live.core.session import Session
from musicmed_live.core.snapshot import Past, Snapshot, recall, remember
from musicmed_live.core.sources import OLDEST_SECONDS
from musicmed_live.core.telling import state_of
from musicmed_live.errors import InvalidInput
from musicmed_live.service.attendance import Attendance
from musicmed_live.service.conductor import Conductor
from musicmed_live.service.playhead import Playhead
from musicmed_live.service.safety import SafeSound
from musicmed_live.service.sources import Sources

log = logging.getLogger(__name__)

URGENT_FRAMES = frames_of(0.1)  # so much is mixed ahead of what is heard, composed or not
MEMORY_FRAMES = frames_of(5.0)  # sound that was heard is kept for the bars that may have to be repeated
KEPT_FRAMES = frames_of(1.0)  # mixed sound is kept so long for players that are behind the clock
REMEMBERED = 64  # messages: a page sends what is not acknowledged again, at most one of each type
TICK_SECONDS = 0.05
SOURCES_SECONDS = 1.0

ENDED, DELETED, FAILED = 1000, 1008, 1011  # WebSocket close codes (RFC 6455, 7.4.1)

SERVER = "server"  # who lets a session end, where no client does

CutListener = Callable[[int, str], None]
EventListener = Callable[[Event, str, str], None]
ChangeListener = Callable[[], None]


class LiveSession:
    """Plays one plan. `run` it as a task; talk to it from the same event loop."""

    def __init__(
        self,
        name: str,
        patient: str,
        wish: Plan,
        sources: Sources,
        profile: Profile | None = None,
        past: Past | None = None,
        offset_db: float | None = None,
    ) -> None:
        """`profile` is of a patient who has a name. With a `past`, the session goes on from there.

        `offset_db` is that of the calibrated output that it is heard by, if it is known.

        Raises `InvalidInput` where it cannot.
        """
        self.name = name
        self.patient = patient
        self.named = profile is not None if past is None else past.snapshot.named
        self._clock_offset = 0.0 if past is None else past.clock - time.monotonic()
        if past is None:
            self.session = Session(wish, profile, self.now)
        else:
            self.session = recall(past.snapshot.memory, wish, self.now)
        self.over = asyncio.Event()
        self.close_code = ENDED  # told to those who are connected when it is over
        self.on_event: set[EventListener] = set()  # of what was done, once it is taken in: by whom, and whose name
        self.on_cut: set[CutListener] = set()
        self.on_change: set[ChangeListener] = set()  # of anything that `state` tells, but for the passing of time
        self._playhead = Playhead(self.session.ends, 0 if past is None else past.position)
        self._music = Conductor(
            name, patient, self.session, sources, self._playhead, self._announce_cut, self._go_if_waiting
        )
        self.timeline, self.mixer = self._music.timeline, self._music.mixer
        self.safety = SafeSound(self.mixer, offset_db, self.heard, SENSITIVE_WEEK_PA2H if wish.sensitive else WEEK_PA2H)
        self._wish = wish
        self._ends = self.session.ends
        self.attendance = Attendance()
        done = () if past is None else past.snapshot.done
        self.done = deque(done, REMEMBERED)  # ids of messages that are not to be done again
        if past is not None:
            self._music.go_on(past)
            if past.snapshot.playing:
                self._playhead.wait()
        self.safety.heed(self.session.bounds, self.heard)

    @property
    def now(self) -> float:
        """The session's clock, in seconds: it goes on when another process takes the session up."""
        return time.monotonic() + self._clock_offset

    @property
    def heard(self) -> int:
        """The frame being heard now."""
        return self._playhead.heard

    @property
    def playing(self) -> bool:
        """Whether the play-head moves."""
        return self._playhead.playing

    @property
    def goes_on(self) -> bool:
        """Whether it plays, or will without a word: it waits for music, or rests for a while."""
        moves = self.session.phase in (Phase.PLAYING, Phase.LANDING)
        return moves or self.session.rest_seconds(self.now) is not None

    @property
    def available(self) -> int:
        """Position up to which there is sound to send: composed, or urgently needed."""
        heard = self.heard
        ready = self.mixer.ready_until(heard)
        return max(ready, heard + URGENT_FRAMES) if self.playing else ready

    @property
    def sends_until(self) -> int | None:
        """Position beyond which nothing will be heard for now; None while the play-head is free."""
        return self._playhead.halts_at

    @property
    def ends(self) -> int | None:
        """Position at which the session ends; None while that is open."""
        return self._ends

    @property
    def started(self) -> bool:
        """Whether the play-head has ever been set going."""
        return self._playhead.started

    @property
    def bridges(self) -> int:
        """Times that the composer took over from the chosen generator."""
        return self._music.bridges

    @property
    def broken(self) -> int:
        """Times that a generator made what the bounds forbid. Nothing of that was heard."""
        return self._music.broken

    @property
    def felt(self) -> Emotion:
        """What holds for an axis that a report leaves out: the word of just now that it corrects, or the estimate."""
        now, reported = self.now, self.session.reported
        if reported is not None and now - reported[1] <= CORRECTION_SECONDS:
            return reported[0]
        estimate = self.session.estimate(now)
        return NEUTRAL if estimate is None else estimate.emotion

    def follow(self, position: int) -> None:
        """A sound card says that it plays `position`: its clock rules."""
        self._playhead.follow(position)

    def handle(self, event: Event, by: str = SERVER, name: str = "", said_as: str | None = None) -> None:
        """Do what `event` asks for; `by` is a client's role, or the way it came, `name` whose that was, if it is known.

        `said_as` is the id of the message, if it had one: it is `done` then.

        Raises `IllegalTransition` after the end, `InvalidInput` where it asks for bounds that cannot be kept.
        """
        if isinstance(event, Bound):
            self._check_bounds(event)
        self._carry_out(event)
        if said_as is not None:
            self.done.append(said_as)
        for listener in list(self.on_event):
            listener(event, by, name)
        self._announce_change()

    def sense(self, reading: Reading) -> None:
        """Take in what a wearable measured. Raises `IllegalTransition` after the end."""
        if self._carry_out(Sense(reading, time.time() - reading.at)):
            self._announce_change()

    def _carry_out(self, event: Event) -> bool:
        """Whether that changed what is decided."""
        heard, before = self.heard, self.session.decision
        clip = self.timeline.clip_at(heard)
        sounding, expresses = (None, None) if clip is None else (clip.emotion_at(heard), clip.expressed_at(heard))
        actions = self.session.handle(event, heard, sounding, self.now, expresses)
        for action in actions:
            match action:
                case Run():
                    self._go()
                case Halt(position):
                    self._playhead.halt(position)
                case Fade(position, frames, gain, reason):
                    self.mixer.fade(position, frames, gain)
                    self._announce_cut(position, reason)
                case Recompose():
                    self._music.want(action)
                case Land():
                    self._music.land(action)
                case Shorten(position, fade_frames):
                    self._shorten(position, fade_frames)
                case End(position):
                    self._ends = min(position, self._ends or position) if self.playing else heard
                    self._playhead.halt(self._ends)
        decision = self.session.decision
        if actions or decision is not before:  # most readings change nothing
            self._music.wake()
        if decision.why != before.why:
            log.info("%s: %s: %s", self.patient, decision.stance.value, decision.why)
        return decision is not before

    def _check_bounds(self, event: Bound) -> None:
        check_forbidden(event.changes.get("forbid", ()), "forbid")
        if event.changes.get("loudest_dba") is not None and not self.safety.is_calibrated:
            raise InvalidInput(
                "loudest_dba: this session plays on no calibrated output; limit loudest_lufs, or open one whose output "
                "is calibrated (on the page /calibrate.html)",
                "loudest_dba",
            )

    def _shorten(self, position: int, fade_frames: int) -> None:
        """Let the session end at `position` already."""
        mixed = self.mixer.end
        self.mixer.end_at(position, fade_frames)
        self._playhead.end_at(position)
        self._ends = position
        if mixed > position - fade_frames:
            self._announce_cut(position - fade_frames, "ending")

    def state(self) -> dict[str, Any]:
        """The `state` message."""
        heard = self.heard
        clip = self.timeline.clip_at(heard)
        return {
            "type": "state",
            "patient": self.patient,
            "position": heard,
            "playing": self.playing,
            "listening": self.attendance.listening,
            "ends": self._ends,
            **state_of(self.session, heard, self.now),
            "clip": None if clip is None else messages.clip_object(clip, self.timeline.describe(clip)),
            "generator": self._music.generator_at(heard),
            "level": self.safety.level_object(heard if self.playing else None),
            "dose": self.safety.dose_object(_hour()),
        }

    def snapshot(self) -> Snapshot:
        """All that it needs to go on in another process."""
        heard, phase = self.heard, self.session.phase
        waits = self._playhead.waiting_since is not None
        return Snapshot(
            self.patient,
            self.named,
            self._wish,
            self.now,
            heard,
            (self.playing or waits) and phase in (Phase.PLAYING, Phase.LANDING),
            remember(self.session),
            self.mixer.level_at(heard),
            self._music.wanted,
            self._music.passages,
            waits=waits,
            done=tuple(self.done),
        )

    def audio(self, position: int, frames: int) -> Samples:
        """Mixed sound, shape (frames, 2)."""
        return self.mixer.read(position, frames)

    async def settled(self) -> None:
        """Return when so much is composed ahead that there is nothing to do."""
        await self._music.settled.wait()

    async def run(self) -> None:
        """Compose and keep time until the session is over."""
        try:
            async with asyncio.TaskGroup() as group:
                music = self._music
                loops = (
                    *(music.compose, music.prepare_landing, music.come_back, music.hearing.run),
                    *(self._keep_time, self._watch_sources),
                )
                tasks = [group.create_task(loop(), name=f"{self.patient} {loop.__name__}") for loop in loops]
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
        self._playhead.halt(self.heard)
        self._music.close()
        self.over.set()
        self._announce_change()

    async def _keep_time(self) -> None:
        moved, phase = False, ""
        while True:
            heard, moves = self.heard, self.playing
            before, phase = phase, self.session.wire_phase(heard)
            if phase != before:
                self._announce_change()  # a path leads, and arrives, by itself
            self._music.watch()
            self._keep_pauses(heard)
            self._keep_safe(heard)
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

    def _keep_safe(self, heard: int) -> None:
        """Count what was heard, and keep the ceilings that hold now."""
        self.safety.count(heard, _hour())
        mixed, position = self.mixer.end, heard + REACTION_FRAMES if self.started else heard
        if self.safety.heed(self.session.bounds, position) and mixed > position:
            self._announce_cut(position, "level")

    def _keep_pauses(self, heard: int) -> None:
        """Rest where that was planned, and go on after it."""
        session = self.session
        rest_seconds, pause = session.rest_seconds(self.now), session.next_pause
        if rest_seconds is not None and rest_seconds <= 0:
            self.handle(Play())
        elif pause is not None and session.phase in (Phase.PLAYING, Phase.LANDING) and heard >= self._fade_to(pause):
            self.handle(Rest(pause.seconds))

    def _fade_to(self, pause: PlannedPause) -> int:
        """Where to begin to fade out, so that it rests at a bar line, if one is near."""
        return self.timeline.bar_near(pause.position) - REST_FRAMES - REACTION_FRAMES

    async def _watch_sources(self) -> None:
        """Tell of what becomes of the sources: they may go wrong without anything being heard of them."""
        faults: dict[Kind, str | None] = {}
        trusted = self.session.waits_for_body  # in a session that was taken up: a wearable has a while to come back
        seconds = OLDEST_SECONDS if trusted else SOURCES_SECONDS
        while True:
            await asyncio.sleep(seconds)
            seconds = SOURCES_SECONDS
            sources = self.session.sensing.sources(self.now)
            before, trusted = trusted, any(source.trust > 0 for source in sources)
            if before and not trusted and self.session.phase is not Phase.ENDED:
                self.handle(Unsensed())
            for source in sources:
                if source.kind not in faults or faults[source.kind] != source.fault:
                    faults[source.kind] = source.fault
                    log.info("%s: %s: trust %.2f: %s", self.patient, source.kind.value, source.trust, source.reason)
                    self._announce_change()

    def _mix_ahead(self, heard: int) -> None:
        before = self.mixer.underruns
        if self.mixer.end < heard + URGENT_FRAMES:
            self.mixer.read(heard, URGENT_FRAMES)
        if self.mixer.underruns > before:
            log.warning("%s: music was late at %d; the last bars repeat", self.patient, heard)
        self.mixer.forget(max(0, heard - KEPT_FRAMES))
        self.timeline.forget_before(heard - MEMORY_FRAMES)
        self._music.wake()

    def _go(self) -> None:
        """Set the play-head going, as soon as there is music."""
        if self._music.ready:
            self._playhead.go()
            self._announce_change()
        else:
            self._playhead.wait()

    def _go_if_waiting(self) -> None:
        if self._playhead.waiting_since is not None:
            self._go()

    def _announce_cut(self, position: int, reason: str) -> None:
        for listener in list(self.on_cut):
            listener(position, reason)
        self._announce_change()

    def _announce_change(self) -> None:
        for listener in list(self.on_change):
            listener()


def _hour() -> int:
    """The present hour, since 1970."""
    return int(time.time() // 3600)
