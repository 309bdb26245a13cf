"""Breathing, as the heart shows it: respiratory sinus arrhythmia.

The heart beats faster while we breathe in (Yasuma & Hayano 2004), so the intervals swing with every breath.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

BAND_HZ = (0.1, 0.5)  # 6 to 30 breaths a minute: the high-frequency band, and slow breathing below it
SLOWEST_HZ = 0.06  # what swings more slowly than a breath still counts against it
SHORTEST_SECONDS = 40.0  # four of the slowest breaths
MOST_BETWEEN_SECONDS = 3.0  # without a normal interval; a longer line is drawn over a breath
RATE_HZ = 4.0  # of the evenly spaced intervals (Task Force 1996: 4 Hz)
BINS = 1024  # of the transform, filled up with zeros: a grid of 0.23 breaths a minute
PEAK_HZ = 0.035  # on either side: the main lobe of a Hann window of about a minute
CLEAR = 0.7  # of the power must be in the peak; in white noise there is a third


def respiration_per_minute(ends: Sequence[float], intervals_ms: Sequence[float]) -> float | None:
    """Breaths a minute of intervals of `intervals_ms` that ended at `ends`, in seconds and in order.

    The highest peak of the spectrum (Hann window) between 0.1 and 0.5 Hz. None where there are less than 40 s or a gap
    of more than 3 s, the highest power is at an edge of the band, so that it belongs to something else, or less than
    0.7 of the power from 0.06 Hz on lies in the peak. Breaths faster than half the heart rate alias to slower ones.
    """
    if len(ends) < 3 or ends[-1] - ends[0] < SHORTEST_SECONDS:
        return None
    at = np.asarray(ends)
    if float(np.diff(at).max()) > MOST_BETWEEN_SECONDS:
        return None
    power, step_hz = _spectrum(at, np.asarray(intervals_ms))
    first, last = (round(hz / step_hz) for hz in BAND_HZ)
    peak = first + int(power[first : last + 1].argmax())
    if power[peak] < max(power[peak - 1], power[peak + 1]):
        return None
    lobe = round(PEAK_HZ / step_hz)
    total = float(power[round(SLOWEST_HZ / step_hz) : last + lobe].sum())
    if total <= 0 or float(power[peak - lobe : peak + lobe + 1].sum()) < CLEAR * total:
        return None
    return 60 * peak * step_hz


def _spectrum(at: NDArray[np.float64], intervals_ms: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Power of the evenly resampled intervals without their mean, and the width of a bin in Hz."""
    count = int((at[-1] - at[0]) * RATE_HZ)
    even = np.interp(at[0] + np.arange(count) / RATE_HZ, at, intervals_ms)
    return np.abs(np.fft.rfft((even - even.mean()) * _window(count), BINS)) ** 2, RATE_HZ / BINS


@cache
def _window(count: int) -> NDArray[np.float64]:
    return np.hanning(count)
