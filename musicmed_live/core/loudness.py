"""Loudness and true peak.

ITU-R BS.1770-5: K-weighting (tables 1 and 2), gating (annex 1), true peak by fourfold oversampling (annex 2).
EBU R 128: -23 LUFS as the target of a programme.
"""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.generator import SAMPLE_RATE, Samples

SILENCE_LUFS = -120.0
METER_FRAMES = SAMPLE_RATE // 10  # energies are taken over 100 ms; four of them make a gating block of 400 ms

# A generator plays at this loudness for an arousal of 0, and AROUSAL_LU louder or softer at +1 and -1.
REFERENCE_LUFS = -19.5
AROUSAL_LU = 3.0

_SHELF = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585))
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


def energy(samples: Samples) -> float:
    """K-weighted mean square, summed over the channels.

    Taken in the frequency domain (Parseval), so a stretch needs no filter state from the one before it.
    """
    n = len(samples)
    if n == 0:
        return 0.0
    return float((k_power(n) @ power_spectrum(samples)).sum()) / (n * n)


def power_spectrum(samples: Samples) -> NDArray[np.float64]:
    """Squared magnitudes of the rfft of each channel, shape (frames // 2 + 1, channels)."""
    return np.asarray(np.abs(np.fft.rfft(samples, axis=0)) ** 2)


def loudness(mean_square: float) -> float:
    """LUFS of a K-weighted mean square; `SILENCE_LUFS` for silence."""
    if mean_square <= 10 ** ((SILENCE_LUFS + 0.691) / 10):
        return SILENCE_LUFS
    return -0.691 + 10 * math.log10(mean_square)


def integrated(energies: list[float]) -> float:
    """Gated loudness in LUFS of a programme given as its energies over successive `METER_FRAMES`."""
    if len(energies) < 4:
        return loudness(sum(energies) / len(energies)) if energies else SILENCE_LUFS
    blocks = np.convolve(np.asarray(energies), np.full(4, 0.25), "valid")
    for gate_lu in (None, -10.0):  # first the absolute gate of -70 LUFS, then the relative one
        gate = -70.0 if gate_lu is None else loudness(float(blocks.mean())) + gate_lu
        blocks = blocks[blocks > 10 ** ((gate + 0.691) / 10)]
        if not len(blocks):
            return SILENCE_LUFS
    return loudness(float(blocks.mean()))


def oversampled_peaks(samples: Samples, span: int) -> NDArray[np.float64]:
    """True peak (linear) of each `span` frames; the frames must be a multiple of it. Shape (frames / span,)."""
    n = len(samples)
    padded = np.pad(samples, ((_HALF, _HALF), (0, 0)))
    peaks = np.zeros(n)
    for channel in padded.T:
        windows = np.lib.stride_tricks.sliding_window_view(channel, _TAPS)[:n]
        np.maximum(peaks, np.abs(windows @ _PHASES).max(axis=1), out=peaks)
    return np.asarray(peaks.reshape(-1, span).max(axis=1))


def true_peak(samples: Samples) -> float:
    """True peak (linear) of the whole; never below the sample peak."""
    if not len(samples):
        return 0.0
    sample_peak = float(np.abs(samples).max())
    return max(sample_peak, float(oversampled_peaks(samples, 1).max()))


def decibels(gain: float) -> float:
    """20 log10, with a floor of -120 dB."""
    return 20 * math.log10(max(gain, 1e-6))


def linear(gain_db: float) -> float:
    """The amplitude of a level in dB."""
    return float(10 ** (gain_db / 20))


def _design_phases(taps: int, phases: int) -> NDArray[np.float64]:
    """Windowed-sinc interpolators for the points between two samples. Shape (taps, phases)."""
    offsets = np.arange(taps)[:, None] - (taps // 2 - 1) - np.arange(phases)[None, :] / phases
    window = np.cos(np.pi * offsets / (taps + 1)) ** 2
    return np.asarray(np.sinc(offsets) * window)


_TAPS = 12
_HALF = _TAPS // 2
_PHASES = _design_phases(_TAPS, 4).astype(np.float32)
# However the samples lie, the true peak is not further above the largest of them than this.
OVERSHOOT = float(np.abs(_PHASES).sum(axis=0).max())


@functools.lru_cache(maxsize=32)
def k_power(n: int) -> NDArray[np.float64]:
    """Power response of the K filter at the bins of an n-point rfft, doubled where a bin stands for two."""
    z = np.exp(-2j * np.pi * np.arange(n // 2 + 1) / n)
    response = np.ones(len(z), complex)
    for b, a in (_SHELF, _HIGH_PASS):
        response *= (b[0] + b[1] * z + b[2] * z * z) / (a[0] + a[1] * z + a[2] * z * z)
    power = np.abs(response) ** 2
    power[1 : (n + 1) // 2] *= 2
    return power
