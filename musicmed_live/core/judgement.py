"""What a recognizer of emotion says of a stretch of music: where in the plane listeners would put it, and why."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.emotion import Emotion

Mono = NDArray[np.float32]  # shape (frames,), at the recognizer's rate; full scale is 1.0


@dataclass(frozen=True, slots=True)
class Reason:
    """What one feature of the music adds to the judgement of one axis."""

    feature: str
    axis: str  # "valence" or "arousal"
    adds: float  # in units of the plane; what it has beside music that is neither this nor that


@dataclass(frozen=True, slots=True)
class Judgement:
    """The emotion that is heard in music, how sure that is, and what spoke for it."""

    emotion: Emotion
    valence_sd: float  # standard deviation of the error, > 0, in units of the plane
    arousal_sd: float
    reasons: tuple[Reason, ...] = ()  # the strongest first


class Recognizer(Protocol):
    """Judges music."""

    def judge(self, mono: Mono) -> Judgement:
        """The judgement of some seconds of music. Raises `CannotJudge` where there is too little to judge."""
        ...
