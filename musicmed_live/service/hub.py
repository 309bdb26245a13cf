"""All sessions of this process: who may enter, and that none disturbs another."""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from musicmed_live.core.events import Stop
from musicmed_live.core.messages import Role
from musicmed_live.core.phases import Phase
from musicmed_live.core.plan import DRAWN_SEEDS, Plan
from musicmed_live.core.snapshot import Past, read
from musicmed_live.errors import CannotServe, InvalidInput, shown
from musicmed_live.journal.entries import RESUMABLE_SECONDS, Checkpoint, short_id
from musicmed_live.service.access import Access, session_tokens
from musicmed_live.service.connection import WhenKept
from musicmed_live.service.journaling import Journaling
from musicmed_live.service.live import DELETED, ENDED, SERVER, LiveSession
from musicmed_live.service.outputs import Outputs
from musicmed_live.service.profiles import Profiles
from musicmed_live.service.sources import Sources

log = logging.getLogger(__name__)

MAX_SESSIONS = 64
REMEMBERED_SESSIONS = 256  # so many that have ended can still be asked for their last state
IDLE_SECONDS = 180.0  # a session that nobody listens to is ended after this, whether it plays or not;
WAITING_SECONDS = 12 * 3600.0  # one that is prepared for somebody and was not started waits so long
RETRY_SECONDS = 2.0  # between two looks for sessions to be taken up
CANNOT_RESUME = "cannot_resume"  # why a session has ended that could not be taken up
SWEEP_SECONDS = 30.0
DOSE_SECONDS = 30.0  # what a patient has heard is written down so often


@dataclass(frozen=True, slots=True)
class Entry:
    """A session and the words that open it."""

    live: LiveSession
    access: Access
    opened_at: float = field(default_factory=time.time)  # seconds since 1970

    @property
    def tokens(self) -> dict[Role, str]:
        """New ones: those that were given out before may have been taken back."""
        return session_tokens(self.access, self.live.name, self.live.session.wish.frames)


class Metrics:
    """What `/metrics` tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.opened = Counter("musicmed_sessions_opened", "Sessions opened", registry=self.registry)
        self.playing = Gauge("musicmed_sessions_playing", "Sessions that play", registry=self.registry)
        self.open = Gauge("musicmed_sessions_open", "Sessions that have not ended", registry=self.registry)
        self.listeners = Gauge("musicmed_listeners", "Connected sockets", registry=self.registry)
        self.underruns = Gauge("musicmed_underruns", "Times that music was late", registry=self.registry)
        self.bridges = Gauge(
            "musicmed_bridges", "Times that the composer took over from another generator", registry=self.registry
        )
        self.refused = Counter("musicmed_refused", "Refused calls and messages", registry=self.registry)
        self.workers_lost = Gauge("musicmed_workers_lost", "Worker processes that died", registry=self.registry)


class Hub:
    """Opens, finds and ends sessions."""

    def __init__(
        self,
        sources: Sources,
        group: asyncio.TaskGroup,
        profiles: Profiles,
        access: Access,
        outputs: Outputs,
        journaling: Journaling | None = None,
    ) -> None:
        """Without `journaling`, nobody writes down what happens."""
        self.sources = sources
        self.outputs = outputs
        self.on_open: set[Callable[[LiveSession], None]] = set()
        self.metrics = Metrics()
        self._group = group
        self._profiles = profiles
        self._access = access
        self._journaling = journaling
        self._newest: dict[str, LiveSession] = {}  # of each patient who has a name, until its profile is kept
        self._entries: dict[str, Entry] = {}
        self._last_states: OrderedDict[str, dict[str, Any]] = OrderedDict()  # of sessions that have ended
        self._past_underruns = self._past_bridges = 0
        self._tasks = {group.create_task(self._sweep(), name="sweep")}

    @property
    def when_kept(self) -> WhenKept | None:
        """How to learn that what was done is in the journal; None where none is kept."""
        return None if self._journaling is None else self._journaling.when_kept

    def draw_seed(self) -> int:
        """A seed for a session that named none."""
        return secrets.randbelow(DRAWN_SEEDS)

    async def open(self, wish: Plan, patient: str | None = None) -> Entry:
        """Start a session. Raises `InvalidInput` `too_many_sessions` when the house is full, or `unknown_output`."""
        named = patient is not None
        patient = patient or f"guest-{secrets.token_hex(3)}"  # of whom nothing is known, and nothing learned
        profile = await asyncio.to_thread(self._profiles.load, patient) if named else None
        offset_db = await asyncio.to_thread(self._offset_db, wish)
        if len(self._entries) >= MAX_SESSIONS:
            raise InvalidInput(
                f"{MAX_SESSIONS} sessions are open already; end one, or try again later", code="too_many_sessions"
            )
        name = secrets.token_hex(16)  # short enough, and easy to type where it is asked for
        live = LiveSession(name, patient, wish, self.sources, profile, offset_db=offset_db)
        entry = Entry(live, self._access)
        if self._journaling is not None:
            self._journaling.begin(live, wish)
        self._begin(entry)
        self.metrics.opened.inc()
        return entry

    def _begin(self, entry: Entry) -> None:
        live = entry.live
        self._entries[live.name] = entry
        if live.named:
            self._newest[live.patient] = live
        task = self._group.create_task(self._supervise(live), name=f"session {live.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        for listener in list(self.on_open):
            listener(live)

    async def take_up(self, seconds: float) -> None:
        """Go on with the sessions that this server was playing when it was killed or closed, as the journal has them.

        Returns when they go on, or after `seconds`: a journal that cannot be read yet is asked again and again.
        """
        if self._journaling is not None:
            task = self._group.create_task(self._take_up(self._journaling), name="take up")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.wait({task}, timeout=seconds)

    async def settle(self, seconds: float) -> None:
        """Return when every session has music ahead and nothing to do, or after `seconds`."""
        waiting = [asyncio.ensure_future(live.settled()) for live in self.lives]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=seconds)
            for task in late:
                task.cancel()

    async def _take_up(self, journaling: Journaling) -> None:
        begun, fault = time.monotonic(), ""
        while time.monotonic() - begun < RESUMABLE_SECONDS:
            try:
                checkpoints = await journaling.take_up()
            except CannotServe as found:
                if str(found) != fault:
                    fault = str(found)
                    log.error("sessions that were playing cannot be taken up yet: %s", fault)
                await asyncio.sleep(RETRY_SECONDS)
            except InvalidInput as found:
                log.error("sessions that were playing cannot be taken up: %s", found)
                return
            else:
                for checkpoint in checkpoints:
                    await self._try_to_resume(journaling, checkpoint)
                return

    async def _try_to_resume(self, journaling: Journaling, checkpoint: Checkpoint) -> None:
        """Whatever is wrong with a checkpoint, nobody else has to bear it."""
        task = asyncio.create_task(self._resume(journaling, checkpoint), name=f"resume {checkpoint.session}")
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        fault = task.exception()
        if fault is not None:
            trace = None if isinstance(fault, InvalidInput) else fault
            log.error("session %s cannot be taken up: %s", short_id(checkpoint.session), fault, exc_info=trace)
            journaling.give_up(checkpoint, CANNOT_RESUME)

    async def _resume(self, journaling: Journaling, checkpoint: Checkpoint) -> None:
        gone_seconds = max(0.0, time.time() - checkpoint.at)
        past = Past(read(checkpoint.body), gone_seconds)
        wish = past.snapshot.plan
        offset_db = await asyncio.to_thread(self._offset_db, wish)
        live = LiveSession(checkpoint.session, past.snapshot.patient, wish, self.sources, None, past, offset_db)
        journaling.resume(live, gone_seconds, checkpoint.position)
        self._begin(Entry(live, self._access))
        log.warning("session %s goes on at %d, after %.1f s", short_id(live.name), live.heard, gone_seconds)

    def of_patient(self, patient: str) -> LiveSession | None:
        """The open session of a patient that was started, or else one that is prepared; of several the newest."""
        lives = (entry.live for entry in self._entries.values())
        found = [live for live in lives if live.patient == patient and not live.over.is_set()]
        return max(reversed(found), key=lambda live: live.started, default=None)

    @property
    def entries(self) -> list[Entry]:
        """All that have not ended, the oldest first."""
        return list(self._entries.values())

    @property
    def lives(self) -> list[LiveSession]:
        """All that have not ended."""
        return [entry.live for entry in self._entries.values()]

    def find(self, name: str) -> Entry:
        """The session of that id. Raises `InvalidInput` `unknown_session`, or `session_ended`."""
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        if name in self._last_states:
            raise InvalidInput("session: it has ended", "id", "session_ended")
        raise InvalidInput(f"session: there is none with the id {shown(name)}", "id", "unknown_session")

    def state(self, name: str) -> dict[str, Any]:
        """The state of a session, the last one where it has ended. Raises `InvalidInput` `unknown_session`."""
        last = self._last_states.get(name)
        return self.find(name).live.state() if last is None else last

    def end(self, name: str, by: str = SERVER, person: str = "") -> None:
        """Fade a session out and forget it, as `by` wishes, in the name of `person`.

        Raises `InvalidInput` `unknown_session`.
        """
        if self._last_states.pop(name, None) is None:
            live = self.find(name).live
            live.close_code = DELETED
            if live.session.phase is not Phase.ENDED:
                live.handle(Stop(), by, person)
            del self._entries[name]

    def close(self) -> None:
        """End every session at once: the server goes away."""
        for task in self._tasks:
            task.cancel()

    def measure(self) -> Metrics:
        """The metrics, brought up to date."""
        lives = self.lives
        self.metrics.open.set(len(lives))
        self.metrics.playing.set(sum(live.playing for live in lives))
        self.metrics.underruns.set(self._past_underruns + sum(live.mixer.underruns for live in lives))
        self.metrics.bridges.set(self._past_bridges + sum(live.bridges for live in lives))
        self.metrics.workers_lost.set(self.sources.restarts)
        return self.metrics

    async def _supervise(self, live: LiveSession) -> None:
        """Run a session so that whatever becomes of it stays its own affair."""
        task = asyncio.create_task(live.run(), name=f"{short_id(live.name)} run")
        tasks = {task, asyncio.create_task(self._keep_dose(live), name=f"{short_id(live.name)} dose")}
        if self._journaling is not None:
            tasks.add(asyncio.create_task(self._journaling.watch(live), name=f"{short_id(live.name)} journal"))
        for each in tasks:
            each.add_done_callback(_tell_fault)
        try:
            await asyncio.wait({task})
        finally:
            cut_off = not task.done()
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
            if self._journaling is not None:
                self._journaling.end(live, _reason(live, cut_off))
            await self._add_dose(live)
            await self._keep_profile(live)
        self._past_underruns += live.mixer.underruns
        self._past_bridges += live.bridges
        if self._entries.pop(live.name, None) is not None:
            self._last_states[live.name] = live.state()
            while len(self._last_states) > REMEMBERED_SESSIONS:
                self._last_states.popitem(last=False)

    async def _keep_dose(self, live: LiveSession) -> None:
        """Learn what the patient has heard in the last week, and add to it while the session plays."""
        if live.named:
            profile = await asyncio.to_thread(self._profiles.load, live.patient)
            live.safety.know(profile.week, {})
            while True:
                await asyncio.sleep(DOSE_SECONDS)
                await self._add_dose(live)

    async def _add_dose(self, live: LiveSession) -> None:
        doses_pa2h = live.safety.unkept_pa2h
        if live.named and doses_pa2h:
            week = await asyncio.to_thread(self._profiles.expose, live.patient, doses_pa2h)
            if week is not None:
                live.safety.know(week, doses_pa2h)

    async def dose(self, patient: str) -> dict[str, Any] | None:
        """How much of the week's dose a patient has used, as it is kept; None where nothing is known of that.

        Raises `InvalidInput` where `patient` is no pseudonym.
        """
        profile = await asyncio.to_thread(self._profiles.load, patient)
        hour = int(time.time() // 3600)
        return {"week_share": round(profile.week.share(hour), 4)} if profile.week.hours else None

    def _offset_db(self, wish: Plan) -> float | None:
        return None if wish.output is None else self.outputs.find(wish.output).offset_db

    async def _keep_profile(self, live: LiveSession) -> None:
        """Keep what was learned of a patient who has a name, unless a later session has begun to learn anew."""
        if self._newest.get(live.patient) is live:
            del self._newest[live.patient]
            await asyncio.to_thread(self._profiles.save, live.patient, live.session.profile)

    async def _sweep(self) -> None:
        """End the sessions that everybody has left."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for name, entry in list(self._entries.items()):
                seconds = IDLE_SECONDS if entry.live.started else WAITING_SECONDS
                if entry.live.attendance.idle_seconds(now) > seconds:
                    log.warning("session %s: nobody has listened for %d s; it is ended", short_id(name), seconds)
                    self.end(name)


def _tell_fault(task: asyncio.Task[None]) -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        log.error("%s failed", task.get_name(), exc_info=fault)


def _reason(live: LiveSession, cut_off: bool) -> str:
    """How a session came to its end, as the journal has it."""
    if cut_off:
        return "server_closed"
    return {ENDED: "ended", DELETED: "deleted"}.get(live.close_code, "failed")
