"""All that a session needs to go on in another process, as text: what was decided and thought, and how it sounded.

Readings are not part of it: what they have come to is, as the estimate and the patient's profile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from enum import Enum
from types import ModuleType
from typing import Any, TypeAlias

from musicmed_live.core import (
    bounds,
    decision,
    emotion,
    estimate,
    events,
    following,
    generator,
    judgement,
    path,
    phases,
    planner,
    reasons,
    session,
)
from musicmed_live.core import plan as plans
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.estimate import Estimator
from musicmed_live.core.events import Land, Recompose
from musicmed_live.core.generator import Cue, Recipe, frames_of
from musicmed_live.core.judgement import Judgement
from musicmed_live.core.mixer import GRID, Level
from musicmed_live.core.notation import Notation
from musicmed_live.core.plan import Plan
from musicmed_live.core.planner import Planner
from musicmed_live.core.profile import Profile
from musicmed_live.core.session import Session
from musicmed_live.errors import InvalidInput

BUFFERED_SECONDS = 4.0  # players go on that long alone, with what they had been sent ahead,
START_SECONDS = 1.5  # and until it plays again so much more time goes by

VERSION = 1  # what an older version has written down in another way, nobody goes on from

Attributes: TypeAlias = dict[str, Any]
_APART = ("wish", "sensing", "estimator", "_planner")  # of a session: kept beside its other attributes, or not at all


@dataclass(frozen=True, slots=True)
class Passage:
    """A clip of the timeline, and how its music can be made again."""

    position: int
    start: Emotion
    end_emotion: Emotion
    heard: Judgement | None
    heard_as: Emotion | None
    generator: str  # the name of what makes it
    recipe: Recipe

    @property
    def end(self) -> int:
        """Where its music would end, if it were not cut."""
        return self.recipe.request.position + self.recipe.request.frames


@dataclass(frozen=True, slots=True)
class Memory:
    """A session's decisions and thoughts."""

    session: Attributes
    planner: Attributes
    estimator: Attributes
    profile: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session at one moment."""

    patient: str
    named: bool  # whether the patient has a name, under which a profile is kept
    plan: Plan
    clock: float  # seconds of the session's steady clock
    position: int  # the frame being heard
    playing: bool  # whether the play-head moves, or is to
    memory: Memory
    level: Level
    wanted: Recompose | Land | None  # what is to be composed next
    passages: tuple[Passage, ...]  # from the one that is heard on
    version: int = VERSION
    waits: bool = False  # whether the play-head is to move and stands still as yet, for want of music
    done: tuple[str, ...] = ()  # the ids of the last messages that were carried out


@dataclass(frozen=True, slots=True)
class Past:
    """A session that is to go on from `snapshot`, which was taken so long ago."""

    snapshot: Snapshot
    gone_seconds: float

    @property
    def clock(self) -> float:
        """What the session's clock shows now."""
        return self.snapshot.clock + self.gone_seconds

    @property
    def position(self) -> int:
        """Where it goes on, on the mixer's grid: where listeners have come to by what they had been sent ahead.

        A session that stood still had sent nothing ahead, and goes on right there.
        """
        moved = self.snapshot.playing and not self.snapshot.waits
        ahead = frames_of(min(BUFFERED_SECONDS, self.gone_seconds + START_SECONDS)) if moved else 0
        position = self.snapshot.position + ahead
        return position - position % GRID

    @property
    def passage(self) -> Passage | None:
        """What is heard there; None where that cannot be made again."""
        passages = self.snapshot.passages
        return next((found for found in reversed(passages) if found.position <= self.position), None)

    @property
    def wanted(self) -> Recompose | None:
        """What is to be composed as soon as that is there: what was wanted, or had been made and not been heard."""
        passage, wanted = self.passage, self.snapshot.wanted
        if isinstance(wanted, Recompose):
            return wanted
        if wanted is not None:
            return Recompose(Cue.BEAT, "too_much")
        if passage is not None and any(passage.position < p.position < passage.end for p in self.snapshot.passages):
            return Recompose(Cue.BAR, "late")
        return None


def remember(of: Session) -> Memory:
    """What `of` has come to."""
    attributes = {name: value for name, value in vars(of).items() if name not in _APART}
    return Memory(attributes, dict(vars(of._planner)), dict(vars(of.estimator)), of.profile.to_json())


def recall(memory: Memory, plan: Plan, now: float) -> Session:
    """The session of that plan that has come to this; `now` is in seconds of its clock.

    Raises `InvalidInput` where that is not possible.
    """
    of = Session(plan, Profile.from_json(memory.profile), now)
    for whole, attributes in ((of, memory.session), (of._planner, memory.planner), (of.estimator, memory.estimator)):
        _fill(whole, attributes)
    if of.reported is not None:
        of.sensing.anchor(of.reported[0].arousal)
    return of


def write(snapshot: Snapshot) -> str:
    """As text."""
    return _NOTATION.write(snapshot)


def read(text: str) -> Snapshot:
    """From text. Raises `InvalidInput` where it is damaged, or of another version."""
    snapshot = _NOTATION.read(text)
    if not isinstance(snapshot, Snapshot) or snapshot.version != VERSION:
        raise InvalidInput(f"it is not of version {VERSION}", "snapshot")
    return snapshot


def _fill(whole: Session | Planner | Estimator, attributes: Attributes) -> None:
    """Those that a later version has added stay as they are in the beginning."""
    for name, value in attributes.items():
        if name not in vars(whole):
            raise InvalidInput(f"{type(whole).__name__} has no {name} in this version", "snapshot")
        setattr(whole, name, value)


def _classes(modules: tuple[ModuleType, ...]) -> Iterator[type]:
    """The dataclasses and enums of the core that are known in them."""
    for module in modules:
        known = (found for found in vars(module).values() if isinstance(found, type))
        ours = (found for found in known if found.__module__.startswith("musicmed_live.core."))
        yield from (found for found in ours if is_dataclass(found) or issubclass(found, Enum))


_MODULES = (
    bounds,
    decision,
    emotion,
    estimate,
    events,
    following,
    generator,
    judgement,
    path,
    phases,
    planner,
    plans,
    reasons,
    session,
)
_NOTATION = Notation((*_classes(_MODULES), Level, Passage, Memory, Snapshot))
