"""What happens to a session, and what a session wants done about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Cue
from musicmed_live.core.readings import Reading


@dataclass(frozen=True, slots=True)
class Play:
    """Start, or go on."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Fade out and stand still."""


@dataclass(frozen=True, slots=True)
class TooMuch:
    """Quieter, calm, at once."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Fade out and end."""


@dataclass(frozen=True, slots=True)
class Report:
    """How the patient feels now."""

    emotion: Emotion


@dataclass(frozen=True, slots=True)
class Goal:
    """Where to lead from here."""

    emotion: Emotion


@dataclass(frozen=True, slots=True)
class Sense:
    """What a wearable measured, `age_seconds` ago by the server's clock; negative: in the future."""

    reading: Reading
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Unsensed:
    """No wearable is to be trusted any more."""


@dataclass(frozen=True, slots=True)
class Obey:
    """The therapist changes some of the plan's rules."""

    changes: Mapping[str, Any]  # of the fields of `Rules`


@dataclass(frozen=True, slots=True)
class Bound:
    """The therapist changes some of what the music may be."""

    changes: Mapping[str, Any]  # of the fields of `Bounds`


@dataclass(frozen=True, slots=True)
class Hold:
    """The therapist lets the music stay where it is, whatever is said or measured, until it is led on."""


@dataclass(frozen=True, slots=True)
class Lead:
    """The therapist lets the music lead on from where it is."""


@dataclass(frozen=True, slots=True)
class StepBack:
    """The therapist lets the music go back to where it last met the patient."""


@dataclass(frozen=True, slots=True)
class EndGently:
    """Come to an end within a minute, with a long fade."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A planned pause has come: fade out, stand still, and go on after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The last frame has been heard."""


Steering = Obey | Bound | Hold | Lead | StepBack | EndGently  # a therapist's
Event = Play | Pause | TooMuch | Stop | Report | Goal | Sense | Unsensed | Rest | Finished | Steering

# What the wire and the journal call them.
WORDS: dict[type[Event], str] = {
    Play: "play",
    Pause: "pause",
    TooMuch: "too_much",
    Stop: "stop",
    Report: "report",
    Goal: "goal",
    Sense: "reading",
    Unsensed: "unsensed",
    Rest: "rest",
    Finished: "finished",
    Obey: "rules",
    Bound: "bounds",
    Hold: "hold",
    Lead: "lead",
    StepBack: "step_back",
    EndGently: "end_gently",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Set the play-head going."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Let the play-head stand still at `position`."""

    position: int


@dataclass(frozen=True, slots=True)
class Fade:
    """Move the output to `gain` within `frames` from `position` on."""

    position: int
    frames: int
    gain: float
    reason: str


@dataclass(frozen=True, slots=True)
class Recompose:
    """Cut the music at the first `cue` that can be reached and go on along the path."""

    cue: Cue
    reason: str


@dataclass(frozen=True, slots=True)
class Land:
    """From `position` on play the landing music that is kept ready, then calm music until told otherwise."""

    position: int
    fade_frames: int


@dataclass(frozen=True, slots=True)
class End:
    """End when `position` has been heard."""

    position: int


@dataclass(frozen=True, slots=True)
class Shorten:
    """From now on the session ends at `position`; its last `fade_frames` fade out."""

    position: int
    fade_frames: int


Action = Run | Halt | Fade | Recompose | Land | End | Shorten
