"""What of each session goes into the journal, as it happens. Nothing here waits, or stands in a session's way."""

import asyncio
import logging
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from musicmed_live import __version__
from musicmed_live.core import messages
from musicmed_live.core.events import Event, Finished, Goal, Obey, Pause, Play, Report, Stop, TooMuch, Unsensed
from musicmed_live.core.path import EmotionPath
from musicmed_live.core.plan import Plan
from musicmed_live.core.readings import Kind as Sign
from musicmed_live.core.timeline import Clip
from musicmed_live.errors import CannotServe
from musicmed_live.journal.entries import Entry, Kind
from musicmed_live.service.generators import Choice
from musicmed_live.service.live import LiveSession

LOOK_SECONDS = 0.1
SUMMARY_SECONDS = 10.0  # between two summaries of one source, or two estimates
NONE = "none"  # the address of no journal
LIBRARIES = ("numpy", "scipy", "torch", "transformers")  # their versions are kept, as they shape the music

# What the readings of a source come to, of the session's vital signs.
_SIGNS = {
    Sign.HEART_RATE: ("heart_rate_bpm", "rmssd_ms"),
    Sign.SKIN_CONDUCTANCE: ("skin_conductance_us",),
    Sign.RESPIRATION: ("respiration_per_minute",),
    Sign.MOTION: (),
}

_WORDS: dict[type[Event], str] = {
    Play: "play",
    Pause: "pause",
    TooMuch: "too_much",
    Stop: "stop",
    Report: "report",
    Goal: "goal",
    Obey: "rules",
    Unsensed: "unsensed",
    Finished: "finished",
}

log = logging.getLogger(__name__)

Put = Callable[[Entry], None]
Body = dict[str, Any]


class Scribe:
    """Writes down one session, from when it is opened until `end`."""

    def __init__(self, live: LiveSession, opened: Body, put: Put) -> None:
        """`opened` is what there is to say of it from the beginning."""
        self._live, self._put = live, put
        self._clips: dict[tuple[int, int], bool] = {}  # track and position of those that began; whether they are judged
        self._decided: tuple[str, str, EmotionPath] | None = None
        self._felt: Body | None = None
        self._underruns = 0
        self._summed: dict[Sign, float] = {}  # when each source was summed up,
        self._lost: set[Sign] = set()  # and those that were not worth anything then
        self._felt_at = float("-inf")
        self._note(Kind.OPENED, opened)
        live.on_event.add(self._note_event)
        live.on_cut.add(self._note_cut)
        self._look_at_decision()

    def look(self, now: float) -> None:
        """Write down what has become of the session since; `now` in seconds of a steady clock."""
        self._look_at_decision()
        self._look_at_clips()
        self._look_at_underruns()
        self._look_at_estimate(now)
        self._look_at_sources(now)

    def end(self, reason: str) -> None:
        """It is over: `reason` says how that came."""
        self._look_at_decision()
        self._look_at_clips()
        self._look_at_underruns()
        body = {"reason": reason, "underruns": self._live.mixer.underruns, "bridges": self._live.bridges}
        self._note(Kind.ENDED, body)

    def _note(self, kind: Kind, body: Body, position: int | None = None) -> None:
        at = self._live.heard if position is None else position
        self._put(Entry(self._live.name, time.time(), at, kind, body))

    def _note_event(self, event: Event, by: str) -> None:
        self._note(Kind.EVENT, {"event": _WORDS[type(event)], "by": by, **_details(event)})
        self._look_at_decision()

    def _note_cut(self, position: int, reason: str) -> None:
        self._note(Kind.CUT, {"reason": reason}, position)

    def _look_at_decision(self) -> None:
        session, heard = self._live.session, self._live.heard
        decision, phase = session.decision_at(heard), session.wire_phase(heard)
        if self._decided is not None:
            before = self._decided
            if (phase, decision.why) == before[:2] and decision.path is before[2]:
                return
        self._decided = phase, decision.why, decision.path
        body = {"phase": phase, "stance": decision.stance.value, "why": decision.why}
        self._note(Kind.DECISION, {**body, "path": messages.path_objects(decision.path)})

    def _look_at_clips(self) -> None:
        """What lies before the frame that is being heard has begun to be heard; what comes may still be changed."""
        live, heard = self._live, self._live.heard
        for clip in live.timeline.clips:
            if clip.position >= heard:
                break
            key = id(clip.track), clip.position
            if key not in self._clips:
                self._note(Kind.CLIP, self._of_clip(clip), clip.position)
            elif not self._clips[key] and clip.heard is not None:
                self._note(Kind.JUDGED, {"heard": messages.judgement_object(clip.heard)}, clip.position)
            self._clips[key] = clip.heard is not None

    def _of_clip(self, clip: Clip) -> Body:
        return {
            **messages.clip_object(clip, self._live.timeline.describe(clip)),
            "from": messages.emotion_object(clip.start),
            "to": messages.emotion_object(clip.end_emotion),
            "generator": clip.track.generator,
        }

    def _look_at_underruns(self) -> None:
        found = self._live.mixer.underruns
        if found > self._underruns:
            self._note(Kind.UNDERRUN, {"times": found - self._underruns})
            self._underruns = found

    def _look_at_estimate(self, now: float) -> None:
        if now - self._felt_at < SUMMARY_SECONDS:
            return
        felt = messages.estimate_object(self._live.session.estimate(now))
        if felt is not None and felt != self._felt:
            self._felt, self._felt_at = felt, now
            self._note(Kind.ESTIMATE, dict(felt))

    def _look_at_sources(self, now: float) -> None:
        """Sum up each source that is worth something, and once that it no longer is."""
        sensing = self._live.session.sensing
        if now - min(self._summed.values(), default=float("-inf")) < SUMMARY_SECONDS:
            return
        for source in sensing.sources(now):
            if now - self._summed.get(source.kind, float("-inf")) < SUMMARY_SECONDS:
                continue
            self._summed[source.kind] = now
            if source.trust > 0 or source.kind not in self._lost:
                vitals = messages.vitals_object(sensing.vitals(now))
                signs = {name: vitals[name] for name in _SIGNS[source.kind]}
                self._note(Kind.READING, {**messages.source_object(source), **signs})
            (self._lost.discard if source.trust > 0 else self._lost.add)(source.kind)


class Journaling:
    """Writes down all sessions of a hub, each beside a task that watches it."""

    def __init__(self, choice: Choice, put: Put, health: Callable[[], Body]) -> None:
        """`put` takes entries, at once and whatever happens; `health` says what becomes of them."""
        self.health = health
        self._put = put
        self._made_with = {
            "generator": {"name": choice.name, "model": choice.model or None, "adapters": list(choice.adapters)},
            "versions": _versions(),
        }
        self._scribes: dict[LiveSession, Scribe] = {}

    def begin(self, live: LiveSession, wish: Plan) -> None:
        """A session is opened."""
        self._scribes[live] = Scribe(live, {**_planned(live.patient, wish), **self._made_with}, self._put)

    def end(self, live: LiveSession, reason: str) -> None:
        """It is over."""
        self._scribes.pop(live).end(reason)

    async def watch(self, live: LiveSession) -> None:
        """Look at what becomes of it, until cancelled."""
        while True:
            self._scribes[live].look(time.monotonic())
            await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def keeping(choice: Choice, address: str, keep_days: int) -> Iterator[Journaling | None]:
    """The journal at `address`, which is written until this ends; None where there is to be none.

    Raises `InvalidInput` where the address is none, or what is there is no journal, or one of a newer version. One that
    cannot be had for now keeps nobody from playing.
    """
    if address == NONE:
        yield None
        return
    from musicmed_live.journal.store import Journal
    from musicmed_live.journal.writer import Writer

    with closing(Journal(address)) as journal:
        try:
            journal.prepare()
        except CannotServe as fault:
            log.warning("%s; the music plays all the same", fault)
        with Writer(journal, keep_days) as writer:
            yield Journaling(choice, writer.put, writer.health)


def _planned(patient: str, wish: Plan) -> Body:
    return {
        "patient": patient,
        "start": None if wish.start is None else messages.emotion_object(wish.start),
        "goal": messages.emotion_object(wish.goal),
        "frames": wish.frames,
        "seed": wish.seed,
        "instruments": asdict(wish.instruments),
        "style": asdict(wish.style),
        "rules": asdict(wish.rules),
    }


def _versions() -> dict[str, str]:
    """Of this program, of Python, and of the libraries that are installed."""
    found = {"musicmed-live": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _details(event: Event) -> Body:
    """What an event says, as a client's message would."""
    match event:
        case Report(emotion) | Goal(emotion):
            return messages.emotion_object(emotion)
        case Obey(changes):
            return dict(changes)
        case _:
            return {}
