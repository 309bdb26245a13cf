"""Paths by the iso principle: meet the patient's mood, stay there, lead it in small steps, arrive and stay.

I. M. Altshuler, "A psychiatrist's experience with music as a therapeutic agent" (1948), named the iso principle. Which
path the music takes, and when, is the planner's to say (planner.py).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from musicmed_live.core.bounds import Region
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE

CLIP_FRAMES = 30 * SAMPLE_RATE  # the unit of planning

LEAD_SHARE = 2 / 3  # of what is left of a session is spent leading; the rest is for being there
HOLD_SHARE = 1 / 6  # at most this share of what is left is spent where the patient is met
_WITHIN = 0.9999  # of the longest step, so that a path rounded to six places still keeps it
SLOWEST_STEP_SHARE = 1 / 4  # of the longest step: leading slower than this is not heard as leading


class Shape(StrEnum):
    """How a path crosses the plane."""

    LINEAR = "linear"
    CURVED = "curved"  # arousal moves first, valence follows


@dataclass(frozen=True, slots=True)
class Rules:
    """What bounds a plan; the therapist's to choose."""

    step: float = 0.2  # .02 .. 1: longest way per 30 s while leading, in units of the plane
    hold_frames: int = CLIP_FRAMES  # how long the music stays where it met the patient
    shape: Shape = Shape.LINEAR
    patience: int = 2  # 1 .. 10: reports from the same place, or quarters of a minute of readings, until it stays
    tolerance: float = 0.25  # .05 .. 1: so near to the music, in units of the plane, the patient is with it


@dataclass(frozen=True, slots=True)
class Corner:
    """A point of a path: from corner to corner it is straight."""

    position: int
    emotion: Emotion


@dataclass(frozen=True, slots=True)
class EmotionPath:
    """An emotion for every position. Before the first corner and after the last one it stays."""

    corners: tuple[Corner, ...]  # at least one, by strictly rising position
    arrives: int | None  # position where the goal is reached; None: not within the session
    leads_from: int | None  # position where it leaves the point of meeting; None: it stays there

    def at(self, position: int) -> Emotion:
        """The emotion at `position`."""
        i = bisect_right(self.corners, position, key=lambda corner: corner.position)
        if i == 0:
            return self.corners[0].emotion
        here = self.corners[i - 1]
        if i == len(self.corners):
            return here.emotion
        there = self.corners[i]
        share = (position - here.position) / (there.position - here.position)
        return here.emotion.blend(there.emotion, share)


def stretch(position: int, end: int | None, whole: int) -> int:
    """Frames of the clip at `position` of a session that ends at `end` (None: open-ended); 0 where it has ended.

    It is a `whole` one. Where less than half of one would be left after it, the two share what is left.
    """
    if end is None:
        return whole
    left = max(0, end - position)
    return left // 2 if whole < left < whole * 3 // 2 else min(whole, left)


def stay(here: Emotion, position: int) -> EmotionPath:
    """The path of somebody who is not led anywhere yet."""
    return EmotionPath((Corner(position, here),), None, None)


def onwards(path: EmotionPath, position: int) -> EmotionPath:
    """The same path from `position` on."""
    later = (corner for corner in path.corners if corner.position > position)
    return replace(path, corners=(Corner(position, path.at(position)), *later))


def within(path: EmotionPath, region: Region) -> EmotionPath:
    """The path with each corner at the nearest point of `region`; the very same where it never leaves that.

    A region is convex, so the path stays in it between its corners, too; and the nearest points of two points are never
    further apart than those two, so it is nowhere faster than before.
    """
    if all(region.holds(corner.emotion) for corner in path.corners):
        return path
    corners = (Corner(corner.position, region.nearest(corner.emotion)) for corner in path.corners)
    return replace(path, corners=tuple(corners))


def plan(here: Emotion, goal: Emotion, position: int, end: int | None, rules: Rules) -> EmotionPath:
    """The path of a patient who is `here` at `position`, of a session that ends at `end` (None: open-ended).

    While leading, two points 30 s apart are never further apart than `rules.step`. Where the session is too
    short for that, it ends on the way: the bound is kept, the goal is not reached.
    """
    left = None if end is None else max(0, end - position)
    hold = rules.hold_frames if left is None else min(rules.hold_frames, round(left * HOLD_SHARE))
    way = _way(here, goal, rules.shape)
    length = _length(way)
    lead = _lead_frames(length, None if left is None else left - hold, rules.step)
    return _along(way, length, position, hold, lead, end)


def ahead_of(here: Emotion, goal: Emotion, length: float, shape: Shape) -> Emotion:
    """The point that lies `length` from `here` on the way to `goal`, or `goal` where that is nearer."""
    point = here
    for a, b in pairwise(_way(here, goal, shape)):
        stretch = a.distance(b)
        if length < stretch:
            return a.blend(b, length / stretch)
        length -= stretch
        point = b
    return point


def proceed(music: Emotion, there: Emotion, goal: Emotion, position: int, end: int | None, rules: Rules) -> EmotionPath:
    """The path from `music` to `there`, as fast as the bound allows, to stay for a while and then to lead to `goal`."""
    turn = position + _fewest_frames(music.distance(there), rules.step)
    rest = plan(there, goal, turn, end, replace(rules, hold_frames=0) if there == goal else rules)
    return EmotionPath(tuple(_rising([Corner(position, music), *rest.corners])), rest.arrives, rest.leads_from)


def walk(here: Emotion, there: Emotion, position: int, rules: Rules) -> EmotionPath:
    """The path straight to another place, as fast as the bound allows, and to stay there; it leads to no goal."""
    frames = _fewest_frames(here.distance(there), rules.step)
    return EmotionPath(tuple(_rising([Corner(position, here), Corner(position + frames, there)])), None, None)


def _along(way: list[Emotion], length: float, position: int, hold: int, lead: int, end: int | None) -> EmotionPath:
    leads_from = position + hold
    arrival = leads_from + lead
    corners = [Corner(position, way[0])]
    if lead:
        corners.append(Corner(leads_from, way[0]))
        corners += _paced(way, length, leads_from, lead)
    arrives = arrival if end is None or arrival <= end else None
    return EmotionPath(tuple(_rising(corners)), arrives, leads_from)


def _length(way: Iterable[Emotion]) -> float:
    return sum(a.distance(b) for a, b in pairwise(way))


def _fewest_frames(length: float, step: float) -> int:
    """Frames for a way of `length` at the bound."""
    return math.ceil(length / (step * _WITHIN) * CLIP_FRAMES)


def _lead_frames(length: float, left: int | None, step: float) -> int:
    """Frames for a way of `length`: as slow as the session has time for, never faster than the bound."""
    fastest = _fewest_frames(length, step)
    slowest = round(fastest / SLOWEST_STEP_SHARE)
    unhurried = 2 * fastest if left is None else round(left * LEAD_SHARE)
    return max(fastest, min(slowest, unhurried))


def _way(here: Emotion, goal: Emotion, shape: Shape) -> list[Emotion]:
    if shape is Shape.LINEAR or here == goal:
        return [here, goal]
    # A quadratic Bezier curve lies in the hull of its three points, so it stays in the plane.
    bend = here.blend(goal, 0.5).blend(Emotion(here.valence, goal.arousal), 0.6)
    shares = [i / 12 for i in range(13)]
    return [here.blend(bend, s).blend(bend.blend(goal, s), s) for s in shares]


def _paced(way: list[Emotion], length: float, start: int, frames: int) -> Iterable[Corner]:
    """Corners along `way` after its first point, at constant speed."""
    gone = 0.0
    for a, b in pairwise(way):
        gone += a.distance(b)
        yield Corner(start + math.ceil(frames * gone / length), b)


def _rising(corners: Iterable[Corner]) -> Iterable[Corner]:
    """Without corners that share their position with the one before, which a hold of no frames leaves behind."""
    last = -1
    for corner in corners:
        if corner.position > last:
            last = corner.position
            yield corner
