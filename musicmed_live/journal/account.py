"""What a session came to: its entries, sorted into what was asked for, heard, reported, estimated and measured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.estimate import Estimate
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.judgement import Judgement, Reason, miss
from musicmed_live.errors import InvalidInput
from musicmed_live.journal.entries import Entry, Kind, Sitting

MISSING_SECONDS = 30.0  # after so long without a value a line is broken off


@dataclass(frozen=True, slots=True)
class Played:
    """A clip that was heard."""

    at: float  # when it began, in seconds since 1970; so are all others here
    position: int
    planned_frames: int
    frames: int  # of it that were heard
    start: Emotion  # asked for at its beginning
    end: Emotion  # and at its planned end
    asked: Emotion  # in the middle: what it was to stand for, and what it was judged by
    heard: Judgement | None
    generator: str
    key: str | None
    tempo_bpm: float | None
    instruments: tuple[str, ...]

    def asked_at(self, position: int) -> Emotion | None:
        """What was asked of it at a place in the music; None where it was not heard there."""
        passed = position - self.position
        return self.start.blend(self.end, passed / self.planned_frames) if 0 <= passed < self.frames else None

    @property
    def miss(self) -> float | None:
        """How far what is heard lies from what was asked for, in units of the plane; None where nobody judged."""
        return None if self.heard is None else miss(self.asked, self.heard)


@dataclass(frozen=True, slots=True)
class Felt:
    """How the patient felt at some time, as far as the reports and readings told."""

    at: float
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Beat:
    """The heart at some time."""

    at: float
    heart_rate_bpm: float | None  # None: there was a source, and it was not to be trusted
    trust: float  # 0 .. 1


@dataclass(frozen=True, slots=True)
class Account:
    """One session."""

    sitting: Sitting
    opened: Mapping[str, Any]
    entries: tuple[Entry, ...]  # all of them, in order
    clips: tuple[Played, ...]
    reports: tuple[tuple[float, Emotion], ...]
    estimates: tuple[Felt, ...]
    beats: tuple[Beat, ...]
    ended: Mapping[str, Any] | None  # None: nobody wrote that down

    @property
    def until(self) -> float:
        """When the last thing happened that is known."""
        return max((entry.at for entry in self.entries), default=self.sitting.opened_at)

    @property
    def heard_seconds(self) -> float:
        """How much music was heard."""
        return sum(clip.frames for clip in self.clips) / SAMPLE_RATE

    @property
    def goal(self) -> Emotion:
        """Where it was to lead at last."""
        goals = [entry for entry in self.entries if entry.kind is Kind.EVENT and entry.body["event"] == "goal"]
        return _emotion(goals[-1].body if goals else self.opened["goal"])

    @property
    def judged(self) -> tuple[Played, ...]:
        """The clips of which somebody said what is heard in them."""
        return tuple(clip for clip in self.clips if clip.heard is not None)

    @property
    def mean_miss(self) -> float | None:
        """Of the clips that were judged, by how long each was heard."""
        misses = [(clip.miss, clip.frames) for clip in self.judged]
        frames = sum(length for _, length in misses)
        return sum(off * length for off, length in misses if off is not None) / frames if frames else None

    @property
    def gaps(self) -> list[float]:
        """How far the music was from the patient at each report that came while it played."""
        told = [(e.position, _emotion(e.body)) for e in self.of_kind(Kind.EVENT) if e.body["event"] == "report"]
        met = ((clip.asked_at(position), emotion) for position, emotion in told for clip in self.clips)
        return [asked.distance(emotion) for asked, emotion in met if asked is not None]

    def of_kind(self, *kinds: Kind) -> Iterator[Entry]:
        """The entries of some kinds."""
        return (entry for entry in self.entries if entry.kind in kinds)


def account_of(sitting: Sitting, entries: Sequence[Entry]) -> Account:
    """The account of a session from its entries, in order. Raises `InvalidInput` where there are none."""
    opened = next((entry.body for entry in entries if entry.kind is Kind.OPENED), None)
    if opened is None:
        raise InvalidInput("session: nothing is kept of it any more", "id", "unknown_session")
    return Account(
        sitting,
        opened,
        tuple(entries),
        tuple(_clips(entries)),
        tuple((e.at, _emotion(e.body)) for e in entries if e.kind is Kind.EVENT and e.body["event"] == "report"),
        tuple(Felt(e.at, _estimate(e.body)) for e in entries if e.kind is Kind.ESTIMATE),
        tuple(_beats(entries)),
        _end(entries),
    )


def unbroken(beats: Sequence[Beat]) -> list[list[tuple[float, float]]]:
    """Times and heart rates, in stretches within which none is missing."""
    runs: list[list[tuple[float, float]]] = []
    last = float("-inf")
    for beat in beats:
        if beat.heart_rate_bpm is None:
            last = float("-inf")
            continue
        if beat.at - last > MISSING_SECONDS:
            runs.append([])
        runs[-1].append((beat.at, beat.heart_rate_bpm))
        last = beat.at
    return runs


def _end(entries: Sequence[Entry]) -> Mapping[str, Any] | None:
    """How it ended; None where nobody wrote that down, or it went on after a server had been closed."""
    last = next((entry for entry in reversed(entries) if entry.kind in (Kind.ENDED, Kind.RESUMED)), None)
    return last.body if last is not None and last.kind is Kind.ENDED else None


def _clips(entries: Iterable[Entry]) -> Iterator[Played]:
    """The clips, each as long as it was heard: until the next one, or until the last that is known to have been."""
    found: dict[int, Played] = {}
    reached = 0
    for entry in entries:
        if entry.kind is Kind.CLIP:
            found[entry.position] = _clip(entry)
        elif entry.kind is Kind.JUDGED and entry.position in found:
            found[entry.position] = replace(found[entry.position], heard=_judgement(entry.body["heard"]))
        elif entry.kind is Kind.PLAYED and entry.position in found:
            found[entry.position] = _completed(found[entry.position], entry.body)
        if entry.kind is not Kind.CUT:  # which is of what was yet to come
            reached = max(reached, entry.position)
    clips = [found[position] for position in sorted(found)]
    for clip, end in zip(clips, [*sorted(found), reached][1:], strict=True):
        yield replace(clip, frames=max(0, min(clip.frames, end - clip.position)))


def _clip(entry: Entry) -> Played:
    body = entry.body
    return Played(
        entry.at,
        entry.position,
        body["frames"],
        body["frames"],
        _emotion(body["from"]),
        _emotion(body["to"]),
        _emotion(body["emotion"]),
        _judgement(body["heard"]),
        body["generator"],
        body["key"],
        body["tempo_bpm"],
        tuple(body["instruments"]),
    )


def _completed(clip: Played, heard: Mapping[str, Any]) -> Played:
    """With what was really heard of it. Where its beginning was heard from another server, that still counts."""
    instruments = set(heard["instruments"])
    if heard["known_from"] > clip.position:
        return replace(clip, instruments=tuple(sorted(instruments.union(clip.instruments))))
    return replace(clip, key=heard["key"], tempo_bpm=heard["tempo_bpm"], instruments=tuple(sorted(instruments)))


def _beats(entries: Iterable[Entry]) -> Iterator[Beat]:
    for entry in entries:
        if entry.kind is Kind.READING and entry.body["kind"] == "heart_rate":
            trust = entry.body["trust"]
            yield Beat(entry.at, entry.body["heart_rate_bpm"] if trust > 0 else None, trust)


def _emotion(body: Mapping[str, Any]) -> Emotion:
    return Emotion(body["valence"], body["arousal"])


def _estimate(body: Mapping[str, Any]) -> Estimate:
    return Estimate(_emotion(body), body["valence_sd"], body["arousal_sd"])


def _judgement(body: Mapping[str, Any] | None) -> Judgement | None:
    if body is None:
        return None
    reasons = tuple(Reason(**reason) for reason in body["reasons"])
    return Judgement(_emotion(body), body["valence_sd"], body["arousal_sd"], reasons)
