"""What a therapist allows: a region of the plane, tempo, loudness, instruments, and who makes the music.

No planner and no generator may pass them. What is asked of a generator is brought within them before it is asked, and
what a generator gives is looked at (`Bounds.broken_by`) before it can be heard.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from musicmed_live.core.checks import check_keys, is_number, parse_names
from musicmed_live.core.emotion import Emotion
from musicmed_live.errors import InvalidInput, shown

if TYPE_CHECKING:
    from musicmed_live.core.generator import Block, ClipRequest  # which has a region

GENERATORS = ("composer", "musicgen")
PLANE = (-1.0, 1.0)
LEAST_WIDTH = 0.1  # of a region, on either axis
TEMPO_BPM = (40.0, 180.0)
LEAST_TEMPO_RATIO = 1.25  # so that whole beats fit into any clip of a few seconds
LOUDEST_LUFS = (-45.0, -14.0)
LOUDEST_DBA = (30.0, 85.0)
ROUNDING_BPM = 0.01  # a tempo is reckoned from rates in beats per frame

CHANGEABLE = ("region", "tempo_bpm", "loudest_lufs", "loudest_dba", "forbid")  # while a session plays
WISHES = ("region", "tempo_bpm", "loudest_lufs", "loudest_dba", "generator")  # beside `instruments.forbid`

Interval = tuple[float, float]  # both ends belong to it


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the plane, its edges included."""

    valence: Interval = PLANE
    arousal: Interval = PLANE

    def nearest(self, emotion: Emotion) -> Emotion:
        """The point of the region that lies nearest to `emotion`."""
        return Emotion(_into(emotion.valence, self.valence), _into(emotion.arousal, self.arousal))

    def holds(self, emotion: Emotion) -> bool:
        """Whether `emotion` lies in it."""
        return self.nearest(emotion) == emotion


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the music of a session may be. None: as it comes."""

    region: Region = Region()
    tempo_bpm: Interval | None = None
    loudest_lufs: float | None = None  # short-term loudness (EBU R128) stays below
    loudest_dba: float | None = None  # level at the ear, of a calibrated output
    forbid: tuple[str, ...] = ()  # instruments that must not be heard
    generator: str | None = None  # one of `GENERATORS`

    def changed(self, changes: Mapping[str, Any]) -> "Bounds":
        """These with some fields changed, as `parse_bounds` gives them."""
        return replace(self, **changes)

    @property
    def composed(self) -> "Bounds":
        """What of these concerns whoever composes: loudness is kept by the mixer."""
        return replace(self, loudest_lufs=None, loudest_dba=None)

    def covers(self, request: "ClipRequest") -> bool:
        """Whether a clip that was asked for so, and obeys, keeps these bounds to its end."""
        lowest, highest = self.tempo_bpm or (0.0, math.inf)
        slowest, fastest = request.tempo_bpm or (0.0, math.inf)
        return (
            lowest <= slowest
            and fastest <= highest
            and set(self.forbid) <= set(request.instruments.forbid)
            and self.region.holds(request.start)
            and self.region.holds(request.end)
        )

    def broken_by(self, block: "Block") -> str | None:
        """What about the block is forbidden, in one sentence; None where it may be heard.

        A generator that does not know its tempo does not know its instruments either, and can promise neither.
        """
        unknown = block.tempo_bpm == 0
        if self.tempo_bpm is not None:
            lowest, highest = self.tempo_bpm
            if unknown:
                return f"nobody knows its tempo, which has to be {lowest:g} to {highest:g} BPM"
            if not lowest - ROUNDING_BPM <= block.tempo_bpm <= highest + ROUNDING_BPM:
                return f"its tempo is {block.tempo_bpm:.2f} BPM, not {lowest:g} to {highest:g}"
        if self.forbid and unknown:
            return f"nobody knows what plays in it, and {_list(self.forbid)} must not"
        playing = [name for name in block.instruments if name in self.forbid]
        return f"{_list(playing)} must not be heard" if playing else None


def parse_bounds(wished: dict[str, Any]) -> dict[str, Any]:
    """What is named of the bounds, as `Bounds.changed` takes it; other keys are left alone.

    Raises `InvalidInput` that names the field, the value and what is accepted.
    """
    return {key: parse(wished[key], key) for key, parse in _PARSERS.items() if key in wished}


def bounds_object(bounds: Bounds) -> dict[str, Any]:
    """The bounds as JSON has them: `parse_bounds` takes it."""
    return {
        "region": {"valence": list(bounds.region.valence), "arousal": list(bounds.region.arousal)},
        "tempo_bpm": None if bounds.tempo_bpm is None else list(bounds.tempo_bpm),
        "loudest_lufs": bounds.loudest_lufs,
        "loudest_dba": bounds.loudest_dba,
        "forbid": list(bounds.forbid),
        "generator": bounds.generator,
    }


def _region(value: Any, field: str) -> Region:
    if value is None:
        return Region()
    if not isinstance(value, dict):
        raise InvalidInput(
            f'{field}: {shown(value)} is not {{"valence": [lowest, highest], "arousal": [lowest, highest]}}', field
        )
    check_keys(value, ("valence", "arousal"), field)
    valence, arousal = (_side(value.get(axis), f"{field}.{axis}") for axis in ("valence", "arousal"))
    return Region(valence, arousal)


def _side(value: Any, field: str) -> Interval:
    lowest, highest = _interval(value, field, PLANE)
    if highest - lowest < LEAST_WIDTH - 1e-9:
        raise InvalidInput(f"{field}: {shown(value)} is too narrow; leave at least {LEAST_WIDTH:g}", field)
    return lowest, highest


def _tempo(value: Any, field: str) -> Interval | None:
    if value is None:
        return None
    lowest, highest = _interval(value, field, TEMPO_BPM)
    if highest < LEAST_TEMPO_RATIO * lowest:
        at_least = f"the highest has to be at least {LEAST_TEMPO_RATIO:g} times the lowest"
        raise InvalidInput(f"{field}: {shown(value)} is too narrow; {at_least}", field)
    return lowest, highest


def _interval(value: Any, field: str, limits: Interval) -> Interval:
    pair = isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
    if not pair or not limits[0] <= value[0] <= value[1] <= limits[1]:
        accepted = f"[lowest, highest] within {limits[0]:g} to {limits[1]:g}"
        raise InvalidInput(f"{field}: {shown(value)} is not {accepted}", field)
    return float(value[0]), float(value[1])


def _loudest_lufs(value: Any, field: str) -> float | None:
    return _limit(value, field, LOUDEST_LUFS, "LUFS")


def _loudest_dba(value: Any, field: str) -> float | None:
    return _limit(value, field, LOUDEST_DBA, "dB(A)")


def _limit(value: Any, field: str, limits: Interval, unit: str) -> float | None:
    if value is None:
        return None
    if not is_number(value) or not limits[0] <= value <= limits[1]:
        accepted = f"a number from {limits[0]:g} to {limits[1]:g} {unit}, or null"
        raise InvalidInput(f"{field}: {shown(value)} is not {accepted}", field)
    return float(value)


def _generator(value: Any, field: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in GENERATORS:
        accepted = f"{', '.join(GENERATORS)}, or null for the one that this house plays"
        raise InvalidInput(f"{field}: {shown(value)} is none of {accepted}", field)
    return value


_PARSERS = {
    "region": _region,
    "tempo_bpm": _tempo,
    "loudest_lufs": _loudest_lufs,
    "loudest_dba": _loudest_dba,
    "forbid": parse_names,
    "generator": _generator,
}


def _into(x: float, interval: Interval) -> float:
    return min(interval[1], max(interval[0], x))


def _list(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
