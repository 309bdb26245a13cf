"""How far music carries the emotion that was asked for, as a recognizer hears it: the figures of an evaluation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.emotion import Emotion

Z95 = 1.959963984540054  # of the normal distribution: 95 % lie within
RESAMPLES = 2000  # of the bootstrap

FloatArray = NDArray[np.float64]
Heard = tuple[Emotion, Emotion]  # what was asked for, what was heard


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % confidence interval; NaN where there is too little to tell."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AxisFigures:
    """One axis: what was heard against what was asked for."""

    r: Interval
    slope: float  # of what is heard over what is asked for: 1 where the music goes all the way
    mean_error: float  # mean magnitude of the difference, in units of the plane


@dataclass(frozen=True, slots=True)
class Agreement:
    """The figures of one recognizer over the clips of one side."""

    clips: int
    valence: AxisFigures
    arousal: AxisFigures
    quadrants: Interval  # share of the clips off the axes that are heard in the quadrant that was asked for
    quadrants_about_mean: float  # the same, with the mean of what is heard as the middle: for a recognizer that leans
    crosstalk_r: float  # the larger correlation, in magnitude, of what is heard on one axis with the other one's wish

    def as_json(self) -> dict[str, object]:
        """As `evaluation.json` has it: what is not known is null."""
        return _without_nan(asdict(self))


def agreement(heard: Sequence[Heard]) -> Agreement:
    """The figures over clips, each of which was asked for in one emotion and heard in another."""
    asked, judged = _columns(heard)
    return Agreement(
        clips=len(heard),
        valence=_axis(asked[0], judged[0]),
        arousal=_axis(asked[1], judged[1]),
        quadrants=_right_quadrants(asked, judged),
        quadrants_about_mean=_right_quadrants(asked, judged - judged.mean(axis=1, keepdims=True)).value
        if heard
        else math.nan,
        crosstalk_r=max(abs(correlation(judged[0], asked[1])), abs(correlation(judged[1], asked[0]))),
    )


def correlation(x: FloatArray, y: FloatArray) -> float:
    """Pearson's r; NaN for fewer than three pairs, or where one of the two does not vary."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def correlation_interval(x: FloatArray, y: FloatArray) -> Interval:
    """r with its interval by Fisher's z: artanh r is normal with a variance of 1 / (n - 3) (Fisher 1921).

    Taken as if the clips were independent of each other, which clips of one model are not quite.
    """
    r = correlation(x, y)
    if math.isnan(r) or len(x) <= 3:
        return Interval(r, math.nan, math.nan)
    middle, half = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r))), Z95 / math.sqrt(len(x) - 3)
    return Interval(r, math.tanh(middle - half), math.tanh(middle + half))


def share_interval(hits: int, of: int) -> Interval:
    """A share with its interval by the score method (Wilson 1927, eq. 12 in the notation of Agresti and Coull 1998)."""
    if of == 0:
        return Interval(math.nan, math.nan, math.nan)
    share, square = hits / of, Z95**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z95 / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of**2))
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def gain(base: Sequence[Heard], adapter: Sequence[Heard], axis: str) -> Interval:
    """How much larger r is with the adapter, on an axis, with a paired percentile bootstrap over the clips.

    The two sides have the same emotions and seeds in the same order (Efron and Tibshirani 1993, ch. 13). The draws are
    seeded: the same clips give the same interval.
    """
    row = ("valence", "arousal").index(axis)
    sides = [_columns(heard) for heard in (base, adapter)]
    pairs = [(asked[row], judged[row]) for asked, judged in sides]
    value = correlation(*pairs[1]) - correlation(*pairs[0])
    draws = np.random.default_rng(0).integers(len(base), size=(RESAMPLES, len(base))) if base else np.zeros((0, 0), int)
    gains = np.array([_r_of(pairs[1], chosen) - _r_of(pairs[0], chosen) for chosen in draws])
    known = gains[np.isfinite(gains)]
    if math.isnan(value) or len(known) < RESAMPLES // 2:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def interval_json(interval: Interval) -> dict[str, object]:
    """An interval as `evaluation.json` has it: what is not known is null."""
    return _without_nan(asdict(interval))


def _r_of(pair: tuple[FloatArray, FloatArray], chosen: NDArray[np.int64]) -> float:
    return correlation(pair[0][chosen], pair[1][chosen])


def _columns(heard: Sequence[Heard]) -> tuple[FloatArray, FloatArray]:
    """Asked and heard, each of shape (2, clips): valence, arousal."""
    points: list[Callable[[Heard], Emotion]] = [lambda pair: pair[0], lambda pair: pair[1]]
    asked, judged = (
        np.array([[point(pair).valence, point(pair).arousal] for pair in heard]).reshape(-1, 2).T for point in points
    )
    return asked, judged


def _axis(asked: FloatArray, judged: FloatArray) -> AxisFigures:
    varied = len(asked) > 1 and np.ptp(asked) > 0
    return AxisFigures(
        correlation_interval(asked, judged),
        float(np.polyfit(asked, judged, 1)[0]) if varied else math.nan,
        float(np.abs(judged - asked).mean()) if len(asked) else math.nan,
    )


def _right_quadrants(asked: FloatArray, judged: FloatArray) -> Interval:
    off_axes = (asked != 0).all(axis=0)
    right = off_axes & (asked * judged > 0).all(axis=0)
    return share_interval(int(np.sum(right)), int(np.sum(off_axes)))


def _without_nan(content: dict[str, object]) -> dict[str, object]:
    return {key: _known(value) for key, value in content.items()}


def _known(value: object) -> object:
    if isinstance(value, dict):
        return _without_nan(value)
    return None if isinstance(value, float) and math.isnan(value) else value
