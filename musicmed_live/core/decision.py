"""What the planner decides."""

from dataclasses import dataclass, replace
from enum import StrEnum

from musicmed_live.core.path import EmotionPath
from musicmed_live.core.reasons import Why


class Stance(StrEnum):
    """What the music does about the patient."""

    MATCH = "match"  # it goes where the patient is, and stays a while
    LEAD = "lead"
    HOLD = "hold"  # it waits where it is
    STEP_BACK = "step_back"  # it goes back to where it last met the patient, and stays
    ARRIVE = "arrive"  # it is at the goal, and stays


@dataclass(frozen=True, slots=True)
class Decision:
    """What the music is to do, until something happens."""

    stance: Stance
    path: EmotionPath
    why: Why
    asks: bool = False  # whether a report is asked for

    def turned(self, stance: Stance, why: Why) -> "Decision":
        """What it has become on its way."""
        return self if self.stance is stance else replace(self, stance=stance, why=why)
