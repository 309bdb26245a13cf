"""Which tracks of a large data set are used, and how much of each, so that every quadrant of the plane has its share.

Music that is unpleasant and aroused is scarce among what people share. So of the other quadrants only as much is taken
as there is of the scarcest: one segment of each track before a second one of any, for variety.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from models.segments import SEGMENT_SECONDS, segments_in
from models.shards import SPLITS, UNKNOWN
from models.tracks import Track, Wanted

HOUR_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}  # of the hours that are asked for
MOST_PER_TRACK = 8  # segments: 4 minutes


def balanced(tracks: Sequence[Track], hours: float | None) -> tuple[Wanted, ...]:
    """As many segments of each quadrant, in each split, as the scarcest has, or as `hours` in all give.

    Tracks whose emotion or length is not known are left out. Where fewer than all hours are asked for, tracks are taken
    from as few archives (the first part of their path) as will do. The result is in the order of splits and paths.
    """
    return tuple(wanted for split in SPLITS for wanted in _of_split(tracks, split, hours))


def quadrant_segments(selected: Iterable[Wanted]) -> Counter[str]:
    """How many segments are wanted, by the name of their quadrant."""
    counted: Counter[str] = Counter()
    for wanted in selected:
        counted[wanted.track.quadrant] += wanted.segments
    return counted


def archive_of(track: Track) -> str:
    """The archive of a data set that holds a track, such as `07`."""
    return track.path.partition("/")[0]


def _of_split(tracks: Sequence[Track], split: str, hours: float | None) -> Iterator[Wanted]:
    quadrants: dict[str, list[Track]] = defaultdict(list)
    for track in sorted(tracks, key=lambda track: track.path):
        if track.split == split and track.quadrant != UNKNOWN and _available(track):
            quadrants[track.quadrant].append(track)
    if not quadrants:
        return
    target = min(sum(map(_available, members)) for members in quadrants.values())
    if hours is not None:
        segments = hours * 3600 * HOUR_SHARES[split] / SEGMENT_SECONDS
        target = min(target, math.ceil(segments / len(quadrants)))
    last = max(_archive_that_suffices(members, target) for members in quadrants.values())
    dealt: dict[Track, int] = {}
    for members in quadrants.values():
        dealt |= _deal([track for track in members if archive_of(track) <= last], target)
    for track in sorted(dealt, key=lambda track: track.path):
        yield Wanted(track, dealt[track])


def _archive_that_suffices(tracks: Iterable[Track], target: int) -> str:
    """The first archive with which, and the ones before it, there are `target` segments."""
    available, last = 0, ""
    for track in tracks:
        last = archive_of(track)
        available += _available(track)
        if available >= target:
            break
    return last


def _deal(tracks: Sequence[Track], target: int) -> Mapping[Track, int]:
    """A segment to each track, then a second to each that has one, and so on, until there are `target`."""
    dealt: Counter[Track] = Counter()
    for turn in range(MOST_PER_TRACK):
        takers = [track for track in tracks if _available(track) > turn]
        dealt.update(takers[: target - dealt.total()])
    return dealt


def _available(track: Track) -> int:
    return 0 if track.seconds is None else min(MOST_PER_TRACK, segments_in(track.seconds))
