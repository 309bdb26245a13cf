"""Whether a patient follows: what a report says about the way from the music to the patient, and words for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.estimate import REPORT_SD, Estimate

_TIMES = ("never", "once", "twice", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

DOUBT = 3.0  # so much nearer than it seems, in SDs above the usual, somebody who reports unevenly may be
TRAIL_CORNERS = 64  # of the way since the last meeting that are remembered


@dataclass(frozen=True, slots=True)
class Meeting:
    """The last place where music and patient met, and what has happened since."""

    place: Emotion
    seen: Emotion  # where the patient was at their last report, as far as that told
    position: int  # up to which the trail goes
    trail: tuple[Emotion, ...]  # corners of the way that the music has come since, at least one
    words: tuple[str, ...] = ()  # for what was reported from the same place, the first report included
    returns: int = 0  # how often the music has come back here because nobody had followed it

    @property
    def said(self) -> str:
        """How often the patient has said the same, in words."""
        count = self.words.count(self.words[-1])
        return f"you reported {self.words[-1]} {times(count)}" if count > 1 else "you are not with the music yet"

    def gone(self, corners: Sequence[Emotion], position: int) -> "Meeting":
        """With a trail that has come by `corners` to `position`."""
        return replace(self, position=position, trail=(*self.trail, *corners)[-TRAIL_CORNERS:])


class Answer(StrEnum):
    """What a report says about the patient and the music that plays."""

    WITH = "with the music"
    BEHIND = "behind, but coming along"
    SAME = "still in the same place"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a report comes to."""

    answer: Answer
    report: Emotion
    place: Emotion  # where the patient seems to be now


def judge(
    report: Emotion,
    last: Emotion,
    before: Estimate | None,
    music: Emotion,
    trail: Sequence[Emotion],
    tolerance: float,
) -> Finding:
    """What `report` says of a patient who was at `last` with their last report, is thought to be at `before`, and hears
    `music`.

    `trail` has the corners of the way that the music has come since they last met. A report that is no further from
    `before` than this patient's reports vary is weighed against it, with the benefit of the doubt that is left; one
    that is further is taken at its word.
    """
    place = report
    surprises = before is None or (before.is_surprised_by(report) and report.distance(before.emotion) > tolerance)
    if before is not None and not surprises:
        place = before.told(report).emotion
    doubt = 0.0 if before is None else DOUBT * max(0.0, before.report_sd - REPORT_SD)
    away = place.distance(music) - doubt
    if min(away, report.distance(music)) <= tolerance:
        return Finding(Answer.WITH, report, place)
    on_the_way = away <= (2 if surprises else 3) * tolerance and place.distance(nearest(place, trail)) <= tolerance
    if on_the_way and place.distance(music) < last.distance(music):
        return Finding(Answer.BEHIND, report, place)
    return Finding(Answer.ELSEWHERE if surprises else Answer.SAME, report, place)


def nearest(point: Emotion, trail: Sequence[Emotion]) -> Emotion:
    """The point of the polyline `trail` (at least one corner) that is nearest to `point`."""
    feet = [trail[0], *(_foot(point, a, b) for a, b in pairwise(trail))]
    return min(feet, key=point.distance)


def _foot(point: Emotion, a: Emotion, b: Emotion) -> Emotion:
    """The point of the stretch from `a` to `b` that is nearest to `point`."""
    along = (b.valence - a.valence, b.arousal - a.arousal)
    squared = math.hypot(*along) ** 2
    if squared == 0:
        return a
    gone = (point.valence - a.valence) * along[0] + (point.arousal - a.arousal) * along[1]
    return a.blend(b, min(1.0, max(0.0, gone / squared)))


def mood(emotion: Emotion) -> str:
    """The nearest mood word."""
    return min(WORDS, key=lambda word: WORDS[word][0].distance(emotion))


def times(count: int) -> str:
    """How often, in words: `twice`, `three times`; from thirteen on in figures."""
    number = _TIMES[count] if count < len(_TIMES) else str(count)
    return number if count < 3 else f"{number} times"
