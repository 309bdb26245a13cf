"""One session as the journal has it: everything that happens to it, and where it is. Nothing here waits."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from musicmed_live.core import messages, snapshot
from musicmed_live.core.bounds import Bounds, bounds_object
from musicmed_live.core.events import WORDS, Bound, Event, Goal, Obey, Report, Rest
from musicmed_live.core.generator import frames_of
from musicmed_live.core.path import EmotionPath
from musicmed_live.core.phases import Phase
from musicmed_live.core.readings import Kind as Sign
from musicmed_live.core.timeline import Clip, Description, Timeline
from musicmed_live.journal.entries import Checkpoint, Entry, Kind
from musicmed_live.service.live import LiveSession

SUMMARY_SECONDS = 10.0  # between two summaries of one source, or two estimates
CHECKPOINT_SECONDS = 1.0  # between two checkpoints while nobody does anything
DESCRIBED_FRAMES = frames_of(3.0)  # so far into a clip it is written down, even if it is not known yet what plays

# What the readings of a source come to, of the session's vital signs.
_SIGNS = {
    Sign.HEART_RATE: ("heart_rate_bpm", "rmssd_ms"),
    Sign.SKIN_CONDUCTANCE: ("skin_conductance_us",),
    Sign.RESPIRATION: ("respiration_per_minute",),
    Sign.MOTION: (),
}

Body = dict[str, Any]


class Keeper(Protocol):
    """What is told to it is kept, at once and whatever happens; `journal.writer.Writer` is one."""

    def put(self, entry: Entry) -> bool:
        """Keep `entry`; whether there is room for it."""
        ...

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep it in place of the session's last one."""
        ...

    def when_written(self, then: Callable[[], None]) -> None:
        """Call `then`, from another thread, when all that was told before is on the disk."""
        ...

    def health(self) -> Body:
        """What becomes of what it was told."""
        ...


class Scribe:
    """Writes down one session, from when it is opened, or goes on, until `end`."""

    def __init__(self, live: LiveSession, owner: str, keeper: Keeper, first: Kind, body: Body, begins: int) -> None:
        """`first` is what the first entry is, with its `body`; `owner` is the server's name.

        Of clips that began before the position `begins`, another one has written already.
        """
        self._live, self._owner, self._keeper = live, owner, keeper
        self._begins = begins
        self._goes = False  # whether anything was heard since; until then, who takes it up next begins there, too
        self._clips: dict[tuple[int, int], bool] = {}  # track and position of those that began; whether they are judged
        self._over: set[tuple[int, int]] = set()  # those of them that are
        self._decided: tuple[str, str, EmotionPath] | None = None
        self._felt: Body | None = None
        self._underruns = 0
        self._summed: dict[Sign, float] = {}  # when each source was summed up,
        self._lost: set[Sign] = set()  # and those that were not worth anything then
        self._felt_at = float("-inf")
        self._kept_at = float("-inf")
        self.kept = True  # whether there was room for the last event
        self._note(first, body)
        self._keep()
        live.on_event.add(self._note_event)
        live.on_cut.add(self._note_cut)
        self._look_at_decision()

    def look(self, now: float) -> None:
        """Write down what has become of the session since; `now` in seconds of the session's clock."""
        self._goes = self._goes or self._live.playing
        if now - self._kept_at >= CHECKPOINT_SECONDS:
            self._kept_at = now
            self._keep()
        self._look_at_decision()
        self._look_at_clips()
        self._look_at_underruns()
        self._look_at_estimate(now)
        self._look_at_sources(now)

    def end(self, reason: str) -> None:
        """It is over: `reason` says how that came."""
        self._look_at_decision()
        self._look_at_clips(is_last=True)
        self._look_at_underruns()
        body = {"reason": reason, "underruns": self._live.mixer.underruns, "bridges": self._live.bridges}
        self._note(Kind.ENDED, body)

    def _note(self, kind: Kind, body: Body, position: int | None = None) -> bool:
        at = self._live.heard if position is None else position
        return self._keeper.put(Entry(self._live.name, time.time(), at, kind, body))

    def _keep(self) -> None:
        """Keep what the session needs to go on, unless it is over: then it is not to."""
        live = self._live
        position = live.heard if self._goes or live.playing else self._begins
        body = "" if live.session.phase is Phase.ENDED else snapshot.write(live.snapshot())
        self._keeper.keep(Checkpoint(live.name, self._owner, time.time(), position, body))

    def _note_event(self, event: Event, by: str, name: str) -> None:
        self._keep()  # not later than the event
        named = {"name": name} if name else {}
        self.kept = self._note(Kind.EVENT, {"event": WORDS[type(event)], "by": by, **named, **_details(event)})
        self._look_at_decision()

    def _note_cut(self, position: int, reason: str) -> None:
        self._note(Kind.CUT, {"reason": reason}, position)

    def _look_at_decision(self) -> None:
        session, heard = self._live.session, self._live.heard
        decision, phase = session.decision_at(heard), session.wire_phase(heard)
        if self._decided is not None:
            before = self._decided
            if (phase, str(decision.why)) == before[:2] and decision.path is before[2]:
                return
        self._decided = phase, str(decision.why), decision.path
        body = {"phase": phase, "stance": decision.stance.value, "why": str(decision.why)}
        self._note(Kind.DECISION, {**body, "path": messages.path_objects(decision.path)})

    def _look_at_clips(self, is_last: bool = False) -> None:
        """What lies before the frame that is being heard has begun to be heard; what comes may still be changed."""
        live, heard = self._live, self._live.heard
        begun = [clip for clip in live.timeline.clips if clip.position < heard]
        for clip in begun:
            key = _key(clip)
            if key not in self._clips:
                described = live.timeline.describe(clip)
                begins = heard < min(clip.end, clip.position + DESCRIBED_FRAMES)
                if begins and not described.instruments and not is_last:
                    continue  # after a cut, hardly anything of it may be composed
                if clip.position >= self._begins:
                    self._note(Kind.CLIP, _clip(clip, described), clip.position)
            elif not self._clips[key] and clip.heard is not None:
                self._note(Kind.JUDGED, {"heard": messages.judgement_object(clip.heard)}, clip.position)
            self._clips[key] = clip.heard is not None
        for clip in begun if is_last else begun[:-1]:
            self._look_back(clip, min(heard, clip.end))

    def _look_back(self, clip: Clip, end: int) -> None:
        """Write down what was really heard of a clip that is over: it may have been cut, or composed further, since."""
        if (key := _key(clip)) not in self._over:
            self._over.add(key)
            self._note(Kind.PLAYED, _played(clip, end, self._live.timeline), clip.position)

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


def _key(clip: Clip) -> tuple[int, int]:
    return id(clip.track), clip.position


def _played(clip: Clip, end: int, timeline: Timeline) -> Body:
    """What of a clip was heard until `end`. Of one that was taken up, its music is known from there on alone."""
    found = timeline.describe(replace(clip, frames=end - clip.position))
    first = next(iter(clip.track.between(clip.position, end)), None)
    known_from = end if first is None else max(clip.position, first.position)
    instruments = list(found.instruments)
    return {"known_from": known_from, "key": found.key, "tempo_bpm": found.tempo_bpm, "instruments": instruments}


def _clip(clip: Clip, described: Description) -> Body:
    return {
        **messages.clip_object(clip, described),
        "from": messages.emotion_object(clip.start),
        "to": messages.emotion_object(clip.end_emotion),
        "generator": clip.track.generator,
    }


def _details(event: Event) -> Body:
    """What an event says, as a client's message would."""
    match event:
        case Report(emotion) | Goal(emotion):
            return messages.emotion_object(emotion)
        case Obey(changes):
            return dict(changes)
        case Bound(changes):
            return _bounds(changes)
        case Rest(seconds):
            return {"seconds": seconds}
        case _:
            return {}


def _bounds(changes: Mapping[str, Any]) -> Body:
    bounds = bounds_object(Bounds().changed(changes))
    return {name: bounds[name] for name in changes}
