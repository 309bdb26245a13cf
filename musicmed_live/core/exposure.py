"""How loud it is at an ear, and how much sound that comes to in a week.

A-weighting: IEC 61672-1:2013, annex E, equations E.6 with the corner frequencies of E.2 to E.5.
Dose: WHO and ITU-T, recommendation H.870 (2018/2022), "Guidelines for safe listening devices and systems": the integral
of the squared A-weighted sound pressure at the ear, at most 1.6 Pa2h a week, which is 80 dB(A) for 40 h.
"""

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.generator import SAMPLE_RATE, Samples
from musicmed_live.core.loudness import k_power, power_spectrum

REFERENCE_PA = 20e-6  # 0 dB of a sound pressure level
SILENCE_DB = -120.0
WEEK_PA2H = 1.6  # H.870, mode 1: adults
SENSITIVE_WEEK_PA2H = 0.51  # mode 2: children, and others who are sensitive; 75 dB(A) for 40 h
WEEK_HOURS = 7 * 24

_CORNERS_HZ = (20.60, 107.7, 737.9, 12194.0)
_AT_1_KHZ_DB = 2.000


@dataclass(frozen=True, slots=True)
class Energy:
    """Mean squares over a stretch, relative to full scale, its channels added: K-weighted and A-weighted."""

    k: float = 0.0
    a: float = 0.0

    def times(self, gain: float) -> "Energy":
        """That of the stretch under a gain (linear, of the amplitude)."""
        return Energy(self.k * gain * gain, self.a * gain * gain)


def energy_of(samples: Samples) -> Energy:
    """The energies of a stretch, shape (frames, 2); taken in the frequency domain, as `loudness.energy` is."""
    n = len(samples)
    power = power_spectrum(samples)
    return Energy(float((k_power(n) @ power).sum()) / (n * n), float((_a_power(n) @ power).sum()) / (n * n))


def mean_energy(energies: Iterable[Energy]) -> Energy:
    """The mean over stretches of the same length; silence where there is none."""
    listed = list(energies)
    count = max(1, len(listed))
    return Energy(sum(each.k for each in listed) / count, sum(each.a for each in listed) / count)


def a_weighting_db(hz: float) -> float:
    """The A-weighting at a frequency > 0, in dB; 0 at 1 kHz."""
    return 10 * math.log10(float(_a_gain(np.array([hz]))[0]))


def dbfs_a(mean_square: float) -> float:
    """An A-weighted mean square in dB relative to 1; `SILENCE_DB` for silence."""
    return 10 * math.log10(max(mean_square, 10 ** (SILENCE_DB / 10)))


def pa2h(level_dba: float, hours: float) -> float:
    """The dose of `hours` at a level, in Pa2h."""
    return REFERENCE_PA**2 * float(10 ** (level_dba / 10)) * hours


@dataclass(frozen=True, slots=True)
class Week:
    """What somebody has been exposed to: Pa2h by the hour, in hours since 1970.

    Hours of more than a week ago count no more.
    """

    hours: Mapping[int, float] = field(default_factory=dict)

    def add(self, hour: int, dose_pa2h: float) -> Self:
        """With some more sound in `hour`."""
        kept = {each: dose for each, dose in self.hours.items() if each > hour - WEEK_HOURS}
        kept[hour] = kept.get(hour, 0.0) + dose_pa2h
        return type(self)(kept)

    def share(self, hour: int, allowed_pa2h: float = WEEK_PA2H) -> float:
        """How much of what is allowed was used in the week up to and with `hour`; 1 is all of it."""
        return sum(dose for each, dose in self.hours.items() if hour - WEEK_HOURS < each) / allowed_pa2h


def _a_gain(hz: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """As a factor of power."""
    f1, f2, f3, f4 = (corner * corner for corner in _CORNERS_HZ)
    squared = hz * hz
    amplitude = f4 * squared**2 / ((squared + f1) * np.sqrt((squared + f2) * (squared + f3)) * (squared + f4))
    return np.asarray(amplitude**2 * 10 ** (_AT_1_KHZ_DB / 10))


@functools.lru_cache(maxsize=32)
def _a_power(n: int) -> NDArray[np.float64]:
    """A-weighting of power at the bins of an n-point rfft, doubled where a bin stands for two."""
    power = _a_gain(np.fft.rfftfreq(n, 1 / SAMPLE_RATE))
    power[1 : (n + 1) // 2] *= 2
    return power
