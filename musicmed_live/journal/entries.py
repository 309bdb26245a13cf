"""What the journal keeps of a session. docs/journal.md has the body of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

RESUMABLE_SECONDS = 600.0  # a session that nobody has played for longer is not taken up again


class Kind(StrEnum):
    """What an entry tells of."""

    OPENED = "opened"  # the first of every session
    EVENT = "event"  # somebody did something
    READING = "reading"  # what a source of readings comes to
    ESTIMATE = "estimate"
    DECISION = "decision"
    CLIP = "clip"  # one begins to be heard
    JUDGED = "judged"  # what is heard in a clip that nobody had judged when it began
    PLAYED = "played"  # a clip is over: what was heard of it
    CUT = "cut"
    UNDERRUN = "underrun"
    RESUMED = "resumed"  # it goes on after its server was gone
    ENDED = "ended"


SUMMARIES = frozenset({Kind.READING, Kind.ESTIMATE})  # they repeat themselves: one of them less is no loss


def short_id(session: str) -> str:
    """Of a session's id as much as tells it from others: for names of files, and for a log that others may read."""
    return session[:8]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal."""

    session: str  # its id
    at: float  # seconds since 1970, UTC
    position: int  # frames at 48 kHz: what was being heard, or the place in the music that it is about
    kind: Kind
    body: Mapping[str, Any]  # as JSON has it


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a session is, and what it needs to go on from there. Of each session there is only the last."""

    session: str  # its id
    owner: str  # the server that plays it
    at: float  # seconds since 1970, UTC
    position: int  # frames at 48 kHz: what was being heard
    body: str  # of `core.snapshot`; "" where nothing is to go on: it was fading out


@dataclass(frozen=True, slots=True)
class Sitting:
    """A session as the list has it."""

    id: str
    patient: str  # a pseudonym
    opened_at: float  # seconds since 1970, UTC
    ended_at: float | None  # None: it plays, or its server was killed
