"""Whether a patient follows: what a report says about the way from the music to the patient, and words for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from musicmed_live.core.emotion import WORDS, Emotion

_TIMES = ("never", "once", "twice", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

TRAIL_CORNERS = 64  # of the way since the last meeting that are remembered


@dataclass(frozen=True, slots=True)
class Meeting:
    """The last place where music and patient met, and what has happened since."""

    place: Emotion
    position: int  # up to which the trail goes
    trail: tuple[Emotion, ...]  # corners of the way that the music has come since, at least one
    reports: int = 1  # that came from the same place, one after the other
    returns: int = 0  # how often the music has come back here because nobody had followed it

    def gone(self, corners: Sequence[Emotion], position: int) -> "Meeting":
        """With a trail that has come by `corners` to `position`."""
        return replace(self, position=position, trail=(*self.trail, *corners)[-TRAIL_CORNERS:])


class Answer(StrEnum):
    """What a report says about the patient and the music that plays."""

    WITH = "with the music"
    BEHIND = "behind, but coming along"
    SAME = "still in the same place"
    ELSEWHERE = "elsewhere"


def judge(
    report: Emotion, before: Emotion | None, music: Emotion, trail: Sequence[Emotion], tolerance: float
) -> Answer:
    """What `report` says, where the patient was thought to be at `before` and `music` is heard.

    `trail` has the corners of the way that the music has come since it last met the patient.
    """
    away = report.distance(music)
    if away <= tolerance:
        return Answer.WITH
    if before is None:
        return Answer.ELSEWHERE
    moved = report.distance(before) > tolerance
    on_the_way = away <= 2 * tolerance and distance_to(report, (*trail, music)) <= tolerance
    if on_the_way and away < before.distance(music):
        return Answer.BEHIND
    return Answer.ELSEWHERE if moved else Answer.SAME


def distance_to(point: Emotion, trail: Sequence[Emotion]) -> float:
    """From `point` to the nearest point of the polyline `trail` (at least one corner)."""
    starts = trail[:-1] or trail
    return min(_distance_to_stretch(point, a, b) for a, b in zip(starts, trail[1:] or trail, strict=True))


def _distance_to_stretch(point: Emotion, a: Emotion, b: Emotion) -> float:
    along = (b.valence - a.valence, b.arousal - a.arousal)
    squared = math.hypot(*along) ** 2
    if squared == 0:
        return point.distance(a)
    gone = (point.valence - a.valence) * along[0] + (point.arousal - a.arousal) * along[1]
    return point.distance(a.blend(b, min(1.0, max(0.0, gone / squared))))


def mood(emotion: Emotion) -> str:
    """The nearest mood word."""
    return min(WORDS, key=lambda word: WORDS[word][0].distance(emotion))


def times(count: int) -> str:
    """How often, in words: `twice`, `three times`; from thirteen on in figures."""
    number = _TIMES[count] if count < len(_TIMES) else str(count)
    return number if count < 3 else f"{number} times"
