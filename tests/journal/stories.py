"""A session as its journal tells it, made up."""

from collections.abc import Iterator
from typing import Any

from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.journal.entries import Entry, Kind

NOON = 1_790_000_000.0  # a time of day, in seconds since 1970
ANNA = "0123456789abcdef0123456789abcdef"
CLIP_SECONDS = 30
CLIP_FRAMES = CLIP_SECONDS * SAMPLE_RATE
REASONS = [
    {"feature": "tempo", "axis": "arousal", "adds": 0.21},
    {"feature": "mode", "axis": "valence", "adds": -0.12},
]

Body = dict[str, Any]


def opened(patient: str = "anna", **changes: Any) -> Body:
    """The body of the first entry."""
    return {
        "patient": patient,
        "start": None,
        "goal": {"valence": 0.56, "arousal": -0.31},
        "frames": 900 * SAMPLE_RATE,
        "seed": 7,
        "instruments": {"prefer": ["piano"], "forbid": []},
        "style": {"prefer": [], "forbid": []},
        "rules": {"step": 0.2, "hold_frames": CLIP_FRAMES, "shape": "linear", "patience": 2, "tolerance": 0.25},
        "generator": {"name": "composer", "model": None, "adapters": []},
        "versions": {"musicmed-live": "0.1.0"},
        **changes,
    }


def point(valence: float, arousal: float) -> Body:
    """An emotion as JSON has it."""
    return {"valence": round(valence, 6), "arousal": round(arousal, 6)}


def heard(valence: float, arousal: float) -> Body:
    """A judgement as JSON has it."""
    return {**point(valence, arousal), "valence_sd": 0.3, "arousal_sd": 0.2, "reasons": REASONS}


def clip(start: Body, end: Body, judgement: Body | None, frames: int = CLIP_FRAMES) -> Body:
    """The body of a clip."""
    middle = point((start["valence"] + end["valence"]) / 2, (start["arousal"] + end["arousal"]) / 2)
    return {
        "position": 0,
        "frames": frames,
        "emotion": middle,
        "bars": 16,
        "tempo_bpm": 96.0,
        "key": "D dorian",
        "instruments": ["piano", "strings"],
        "heard": judgement,
        "from": start,
        "to": end,
        "generator": "composer",
    }


def entry(seconds: float, kind: Kind, body: Body, session: str = ANNA, position: int | None = None) -> Entry:
    """An entry, so many seconds after the session was opened and began to play."""
    return Entry(session, NOON + seconds, round(seconds * SAMPLE_RATE) if position is None else position, kind, body)


def done(seconds: float, event: str, by: str = "patient", **details: Any) -> Entry:
    """Somebody did something."""
    return entry(seconds, Kind.EVENT, {"event": event, "by": by, **details})


def story(minutes: int = 15, session: str = ANNA, patient: str = "anna") -> list[Entry]:
    """A whole session: from afraid to calm, with a strap that falls off for a while, in order of time."""
    found = [entry(0, Kind.OPENED, opened(patient), session), done(0, "play")]
    found += _music(minutes)
    found += [done(60.0 * minute, "report", **_on_the_way(minute / minutes, 0.1)) for minute in range(0, minutes, 3)]
    found += _summaries(minutes)
    found += [
        entry(1, Kind.DECISION, {"phase": "matching", "stance": "match", "why": "Playing where you are", "path": []}),
        entry(200, Kind.CUT, {"reason": "report"}),
        entry(300, Kind.UNDERRUN, {"times": 2}),
        done(400, "pause", "therapist"),
        done(430, "play", "therapist"),
    ]
    found.sort(key=lambda entry: entry.at)
    ended = {"reason": "ended", "underruns": 2, "bridges": 0}
    found.append(entry(60 * minutes, Kind.ENDED, ended))
    return [Entry(session, e.at, e.position, e.kind, e.body) for e in found]


def _music(minutes: int) -> Iterator[Entry]:
    clips = minutes * 60 // CLIP_SECONDS
    for number in range(clips):
        start, end = _on_the_way(number / clips), _on_the_way((number + 1) / clips)
        judgement = None if number % 5 == 2 else heard(start["valence"] + 0.12, start["arousal"] * 0.8)
        yield entry(number * CLIP_SECONDS, Kind.CLIP, clip(start, end, judgement))
        if number % 10 == 2:
            later = heard(start["valence"], start["arousal"] - 0.1)
            place = number * CLIP_FRAMES
            yield entry(number * CLIP_SECONDS + 14, Kind.JUDGED, {"heard": later}, position=place)


def _summaries(minutes: int) -> Iterator[Entry]:
    for seconds in range(0, 60 * minutes, 10):
        share = seconds / (60 * minutes)
        felt = {**_on_the_way(share, 0.05), "valence_sd": 0.25, "arousal_sd": 0.2}
        yield entry(seconds + 0.2, Kind.ESTIMATE, felt)
        if not 300 <= seconds < 480:
            bpm = 92 - 24 * share + 3 * (seconds % 40) / 40
            yield entry(seconds + 0.3, Kind.READING, reading(bpm, 0.9))


def reading(bpm: float | None, trust: float) -> Body:
    """What a strap comes to."""
    source = {"kind": "heart_rate", "trust": trust, "reason": "good", "seconds": 0.4, "fault": None}
    return {**source, "heart_rate_bpm": bpm, "rmssd_ms": 34.0}


def _on_the_way(share: float, off: float = 0.0) -> Body:
    """From anxious to calm, a little off."""
    return point(-0.6 + 1.16 * share - off, 0.6 - 0.91 * share + off)
