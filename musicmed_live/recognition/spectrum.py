"""The spectrum of music: short-time Fourier transform, mel bands, and the shape of a spectrum over time.

Spectrograms have shape (frames, bins): one row for each `HOP` of sound, its window centred there, as in librosa.
"""

import math
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import get_window

from musicmed_live.core.judgement import Mono

FloatArray = NDArray[np.float64]
Spectrogram = NDArray[np.float32]  # shape (frames, bins), magnitudes

RATE = 22_050  # Hz, of the audio that everything is measured on
WINDOW, HOP = 2048, 512  # frames of the spectrogram
SILENCE = 1e-3  # root mean square under which a frame says nothing about timbre: -60 dBFS
MEL_BANDS = 64
ROLLOFF = 0.85  # share of the magnitude that lies below
_LOUDEST_PEAKS = 20


def magnitudes(mono: Mono, window: int = WINDOW, hop: int = HOP) -> Spectrogram:
    """The spectrogram of `mono`, shape (1 + frames // hop, window / 2 + 1), by a Hann window; zeros lie around it."""
    padded = np.pad(mono, window // 2)
    frames = sliding_window_view(padded, window)[::hop]
    taper = get_window("hann", window).astype(np.float32)
    return np.asarray(np.abs(fft.rfft(frames * taper, axis=1)), np.float32)


def frequencies(window: int = WINDOW) -> Spectrogram:
    """The frequency of each bin in Hz, shape (window / 2 + 1,)."""
    return np.fft.rfftfreq(window, 1 / RATE).astype(np.float32)


def root_mean_squares(mono: Mono) -> FloatArray:
    """The level of each frame of the spectrogram, shape (1 + frames // HOP,)."""
    padded = np.pad(mono.astype(np.float64) ** 2, WINDOW // 2)
    total = np.concatenate([[0.0], np.cumsum(padded)])
    starts = np.arange(0, len(padded) - WINDOW + 1, HOP)
    power = (total[starts + WINDOW] - total[starts]) / WINDOW
    return np.asarray(np.sqrt(np.maximum(power, 0.0)))


@cache
def _mel_filters() -> Spectrogram:
    """Triangles of equal area on the mel scale, shape (bins, MEL_BANDS).

    The scale is that of M. Slaney's Auditory Toolbox (Interval Research, 1998): linear to 1 kHz, logarithmic above.
    """
    step = math.log(6.4) / 27
    top = 15 + math.log(RATE / 2 / 1000) / step
    mel = np.linspace(0.0, top, MEL_BANDS + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(step * (mel - 15)))
    bins = frequencies()[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return np.asarray(triangles, np.float32)


def mel_levels_db(spectrogram: Spectrogram) -> Spectrogram:
    """Power in each mel band, dB, shape (frames, MEL_BANDS)."""
    return np.asarray(10 * np.log10(np.maximum(spectrogram**2 @ _mel_filters(), np.float32(1e-10))))


def spectral_shape(spectrogram: Spectrogram) -> dict[str, FloatArray]:
    """Shape of the spectrum of each frame, by name; none of the frames may be silent.

    `centroid`, `spread` and `rolloff` are in Hz, `entropy` is 0 .. 1, `flatness` the ratio of the geometric to the
    arithmetic mean of the power.
    """
    frequency = frequencies()
    total = spectrogram.sum(axis=1)
    centroid = spectrogram @ frequency / total
    variance = spectrogram @ frequency**2 / total - centroid**2
    cumulative = np.cumsum(spectrogram, axis=1)
    rolloff = (cumulative < ROLLOFF * cumulative[:, -1:]).sum(axis=1).clip(max=len(frequency) - 1)
    logarithm = np.log(np.maximum(spectrogram, np.float32(1e-5)))
    entropy = np.log(total) - (spectrogram * logarithm).sum(axis=1) / total
    power = np.maximum(spectrogram**2, np.float32(1e-10)).mean(axis=1)
    shape = {
        "centroid": centroid,
        "spread": np.sqrt(np.maximum(variance, 1.0)),
        "entropy": entropy / math.log(len(frequency)),
        "rolloff": frequency[rolloff],
        "flatness": np.exp(2 * logarithm.mean(axis=1)) / power,
    }
    return {name: values.astype(np.float64) for name, values in shape.items()}


def roughness(spectrogram: Spectrogram) -> FloatArray:
    """Sensory dissonance of the highest peaks of each frame over their energy, shape (frames,).

    R. Plomp and W. J. M. Levelt (1965) as put by W. A. Sethares, "Local consonance and the relationship between
    timbre and scale", Journal of the Acoustical Society of America 94 (1993).
    """
    inner = spectrogram[:, 1:-1]
    peaks = (inner > spectrogram[:, :-2]) & (inner >= spectrogram[:, 2:])
    heights = np.where(peaks & (inner > 0.01 * inner.max(axis=1, keepdims=True)), inner, 0.0)
    loudest = np.argpartition(heights, -_LOUDEST_PEAKS, axis=1)[:, -_LOUDEST_PEAKS:]
    amplitude = np.take_along_axis(heights, loudest, axis=1).astype(np.float64)
    frequency = frequencies()[loudest + 1].astype(np.float64)
    lower = np.minimum(frequency[:, :, None], frequency[:, None, :])
    distance = 0.24 / (0.021 * lower + 19.0) * np.abs(frequency[:, :, None] - frequency[:, None, :])
    beating = np.exp(-3.5 * distance) - np.exp(-5.75 * distance)
    together = np.einsum("fi,fj,fij->f", amplitude, amplitude, beating)
    return np.asarray(together / np.maximum((amplitude**2).sum(axis=1), 1e-12))
