"""Whether a patient follows: what a report says about the way from the music to the patient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from musicmed_live.core.bounds import Region
from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.estimate import REPORT_SD, Estimate
from musicmed_live.core.reasons import Why

DOUBT = 3.0  # so much nearer than it seems, in SDs above the usual, somebody who reports unevenly may be
TRAIL_CORNERS = 64  # of the way since the last meeting that are remembered
LEASH, LEASH_BOUNDS = 2.0, (1.2, 2.6)  # at first; at least, at most
SHORTENED, LENGTHENED = 0.8, 1.1  # by a report that finds the patient behind, or keeping up


@dataclass(frozen=True, slots=True)
class Meeting:
    """The last place where music and patient met, and what has happened since."""

    place: Emotion  # of the music
    seen: Emotion  # where the patient was at their last report, as far as that told
    position: int  # up to which the trail goes
    trail: tuple[Emotion, ...]  # corners of the way that the music has come since, at least one
    words: tuple[str, ...] = ()  # for what was reported from the same place, the first report included
    returns: int = 0  # how often the music has come back here because nobody had followed it

    def why(self, act: str) -> Why:
        """The reason for an `act` of the music: that the patient has said the same again, or is not with it."""
        count = self.words.count(self.words[-1])
        return Why(f"{act}_reported", self.words[-1], count) if count > 1 else Why(f"{act}_apart")

    def gone(self, corners: Sequence[Emotion], position: int) -> "Meeting":
        """With a trail that has come by `corners` to `position`."""
        return replace(self, position=position, trail=(*self.trail, *corners)[-TRAIL_CORNERS:])


@dataclass(frozen=True, slots=True)
class Leash:
    """How far the music may run ahead of the patient, in tolerances."""

    tolerances: float = LEASH

    def after(self, lags: bool) -> "Leash":
        """As a report leaves it, of somebody who lags behind, or does not."""
        shortest, longest = LEASH_BOUNDS
        return Leash(min(longest, max(shortest, self.tolerances * (SHORTENED if lags else LENGTHENED))))


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
    place: Emotion  # where the patient seems to be now,
    near: Emotion  # and the nearest point to that where the music may be


def judge(
    report: Emotion,
    last: Emotion,
    before: Estimate | None,
    music: Emotion,
    trail: Sequence[Emotion],
    tolerance: float,
    region: Region,
) -> Finding:
    """What `report` says of a patient who was at `last` with their last report, is thought to be at `before`, and hears
    `music`.

    `trail` has the corners of the way that the music has come since they last met. The music may only be in `region`: a
    patient outside of it counts as where the music could come nearest. A report that is no further from
    `before` than this patient's reports vary is weighed against it, with the benefit of the doubt that is left; one
    that is further is taken at its word.
    """
    place = report
    surprises = before is None or (before.is_surprised_by(report) and report.distance(before.emotion) > tolerance)
    if before is not None and not surprises:
        place = before.told(report).emotion
    doubt = 0.0 if before is None else DOUBT * max(0.0, before.report_sd - REPORT_SD)
    near = region.nearest(place)
    away = near.distance(music) - doubt
    if min(away, region.nearest(report).distance(music)) <= tolerance:
        return Finding(Answer.WITH, report, place, near)
    on_the_way = away <= (2 if surprises else 3) * tolerance and near.distance(nearest(near, trail)) <= tolerance
    if on_the_way and place.distance(music) < last.distance(music):
        return Finding(Answer.BEHIND, report, place, near)
    return Finding(Answer.ELSEWHERE if surprises else Answer.SAME, report, place, near)


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
