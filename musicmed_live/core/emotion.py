"""Emotions as points of the valence-arousal plane, and the words people use for them.

J. A. Russell, "A circumplex model of affect", Journal of Personality and Social Psychology 39 (1980).
"""

import math
from dataclasses import dataclass
from typing import Any

from musicmed_live.core.checks import is_number
from musicmed_live.errors import InvalidInput, shown


def _check_coordinate(value: Any, axis: str, field: str = "") -> None:
    if not is_number(value) or not -1.0 <= value <= 1.0:
        raise InvalidInput(f"{field or axis}: {shown(value)} is not a number from -1 to 1", field or axis)


def clamp(x: float) -> float:
    """`x`, brought into [-1, 1]."""
    return min(1.0, max(-1.0, x))


@dataclass(frozen=True, slots=True)
class Emotion:
    """A point of the plane. Both coordinates are in [-1, 1]; anything else raises `InvalidInput`."""

    valence: float  # unpleasant -1 .. 1 pleasant
    arousal: float  # calm -1 .. 1 activated

    def __post_init__(self) -> None:
        for field in ("valence", "arousal"):
            _check_coordinate(getattr(self, field), field)

    def distance(self, other: "Emotion") -> float:
        """Euclidean distance, 0 .. 2.83."""
        return math.hypot(self.valence - other.valence, self.arousal - other.arousal)

    def blend(self, other: "Emotion", share: float) -> "Emotion":
        """The point at `share` (0 .. 1) of the straight way from here to `other`."""
        return Emotion(
            clamp(self.valence + (other.valence - self.valence) * share),
            clamp(self.arousal + (other.arousal - self.arousal) * share),
        )


NEUTRAL = Emotion(0.0, 0.0)

_RUSSELL = "Russell 1980, fig. 4, digitised"

# word -> (point, source). Where Russell has no such word it is put between the neighbours named.
WORDS: dict[str, tuple[Emotion, str]] = {
    "excited": (Emotion(0.62, 0.76), _RUSSELL),
    "happy": (Emotion(0.83, 0.53), _RUSSELL),
    "pleased": (Emotion(0.77, 0.19), _RUSSELL),
    "relaxed": (Emotion(0.69, -0.45), _RUSSELL),
    "calm": (Emotion(0.56, -0.31), _RUSSELL),
    "sleepy": (Emotion(0.28, -0.67), _RUSSELL),
    "tired": (Emotion(0.04, -0.63), _RUSSELL),
    "bored": (Emotion(-0.66, -0.63), _RUSSELL),
    "sad": (Emotion(-0.65, -0.27), _RUSSELL),
    "nervous": (Emotion(-0.63, 0.27), _RUSSELL),
    "anxious": (Emotion(-0.45, 0.55), _RUSSELL),
    "angry": (Emotion(-0.52, 0.58), _RUSSELL),
    "afraid": (Emotion(-0.34, 0.64), _RUSSELL),
    "neutral": (NEUTRAL, "the origin"),
    "joyful": (Emotion(0.73, 0.65), "midway between happy and excited"),
    "content": (Emotion(0.73, -0.13), "midway between pleased and relaxed"),
    "peaceful": (Emotion(0.49, -0.56), "midway between relaxed and sleepy"),
    "tense": (Emotion(-0.54, 0.41), "midway between nervous and anxious"),
    "gloomy": (Emotion(-0.66, -0.45), "midway between sad and bored"),
}


def parse_emotion(value: Any, field: str) -> Emotion:
    """An emotion from the outside: a word of `WORDS` or `{"valence": v, "arousal": a}`.

    Raises `InvalidInput` that names `field`, the value and what is accepted.
    """
    if isinstance(value, str):
        found = WORDS.get(value.strip().lower())
        if found is None:
            raise InvalidInput(
                f"{field}: unknown mood word {value[:40]!r}; known words: {', '.join(sorted(WORDS))}",
                field,
                "unknown_word",
            )
        return found[0]
    if not isinstance(value, dict) or set(value) != {"valence", "arousal"}:
        raise InvalidInput(
            f'{field}: {shown(value)} is neither a mood word nor {{"valence": -1..1, "arousal": -1..1}}',
            field,
        )
    for axis in ("valence", "arousal"):
        _check_coordinate(value[axis], axis, f"{field}.{axis}")
    return Emotion(float(value["valence"]), float(value["arousal"]))


def parse_emotion_text(text: str, field: str) -> Emotion:
    """An emotion typed by a person: a word, or `V,A` such as `-0.6,0.6`. Raises `InvalidInput`."""
    if "," not in text:
        return parse_emotion(text, field)
    try:
        valence, arousal = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"{field}: {text!r} is not V,A such as -0.6,0.6", field) from None
    return parse_emotion({"valence": valence, "arousal": arousal}, field)
