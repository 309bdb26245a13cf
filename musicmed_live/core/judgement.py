"""What a recognizer of emotion says of a stretch of music: where in the plane listeners would put it, and why."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.generator import Samples

GENERATOR_SD = 0.25  # of what a generator makes about what it was asked for, on either axis, as far as is known
LEAST_SD = 0.15  # no recognizer knows better than people agree with each other
MOST_OFF = 0.4  # nothing is believed to be further from what it was asked for, on either axis

Mono = NDArray[np.float32]  # shape (frames,), full scale is 1.0


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

    def __post_init__(self) -> None:
        """Raise `ValueError` for a certainty that is none."""
        for sd in (self.valence_sd, self.arousal_sd):
            if not 0 < sd < math.inf:
                raise ValueError(f"a standard deviation of {sd} is not above 0 and finite")


def mono_of(samples: Samples) -> Mono:
    """The mean of both sides, which is all that a recognizer listens to."""
    mono: Mono = samples.mean(axis=1)
    return mono


def expressed(asked: Emotion, judgement: Judgement | None) -> Emotion:
    """What music most likely expresses that was made for `asked` and judged so; what was asked for if nobody judged.

    Two witnesses of one value, each weighed by its precision (the mean of two Gaussians multiplied): a judgement as
    uncertain as the generator moves it half of the way, and none moves it by more than `MOST_OFF`.
    """
    if judgement is None:
        return asked
    valence = _between(asked.valence, judgement.emotion.valence, judgement.valence_sd)
    return Emotion(valence, _between(asked.arousal, judgement.emotion.arousal, judgement.arousal_sd))


def miss(asked: Emotion, judgement: Judgement) -> float:
    """How far what is heard lies from `asked`, in units of the plane: the axis that is known better weighs more."""
    weights = [max(LEAST_SD, sd) ** -2 for sd in (judgement.valence_sd, judgement.arousal_sd)]
    errors = judgement.emotion.valence - asked.valence, judgement.emotion.arousal - asked.arousal
    weighed = sum(weight * error**2 for weight, error in zip(weights, errors, strict=True))
    return math.sqrt(2 * weighed / sum(weights))


def _between(asked: float, judged: float, judged_sd: float) -> float:
    trust = GENERATOR_SD**2 / (GENERATOR_SD**2 + max(LEAST_SD, judged_sd) ** 2)
    return clamp(asked + min(MOST_OFF, max(-MOST_OFF, trust * (judged - asked))))


class Recognizer(Protocol):
    """Judges music."""

    def judge(self, mono: Mono) -> Judgement:
        """The judgement of some seconds of music at the recognizer's rate.

        Raises `CannotJudge` where there is too little to judge.
        """
        ...
