"""What happens in time: onsets, their pulse, the fluctuation of loudness, and how new the sound is to itself."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from musicmed_live.core.judgement import Mono
from musicmed_live.recognition.spectrum import HOP, RATE, FloatArray, Spectrogram, frequencies, magnitudes

AUDIBLE_DB = -50.0  # of a mel band's power
LOW_BANDS = 20  # of the 64 mel bands: those below 1 kHz
# A rise of the mean over the bands within one hop, so that the onset rate follows scores that are known: r .96 over the
# rated piano pieces and .98 over clips for ensembles, with means within 8 % of the true ones.
ONSET_DB = 0.6
FAINT_ONSET_DB, STRONG_ONSET_DB = 0.1, 0.9  # as instruments differ in how sharply a note begins
_SHORTEST_BETWEEN_ONSETS = 0.06  # seconds
_LONGEST_BETWEEN_ONSETS = 3.0  # what is taken where there are no two
_FEWEST_ONSETS = 0.3  # a second, added so that the logarithm of none is one
_BEATS_BPM = (40, 200)

FLUCTUATION_RATE = 80.0  # Hz, at which the auditory spectrum is sampled
_FLUCTUATION_WINDOW = 512
BARK_EDGES_HZ = (
    *(0, 100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720),
    *(2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700, 9500),
)  # E. Zwicker, Journal of the Acoustical Society of America 33 (1961)

_NOVELTY_STEP = 0.25  # seconds between the spectra that are compared
_NOVELTY_REACH = 8  # of them, on either side


def spectral_flux(mel_db: Spectrogram) -> FloatArray:
    """Rise from each frame to the next, dB, mean over the bands of `mel_db`, (frames, bands). Shape (frames - 1,)."""
    audible = np.maximum(mel_db, np.float32(AUDIBLE_DB))
    return np.asarray(np.maximum(np.diff(audible, axis=0), 0.0).mean(axis=1), np.float64)


def measure_onsets(rise: FloatArray) -> dict[str, float]:
    """Onsets and their periodicity, from the spectral flux `rise`."""
    rate = RATE / HOP
    faint, onsets, strong = (_onsets(rise, least_db) for least_db in (FAINT_ONSET_DB, ONSET_DB, STRONG_ONSET_DB))
    seconds = len(rise) / rate
    between = np.diff(onsets) / rate if len(onsets) > 1 else np.array([_LONGEST_BETWEEN_ONSETS])
    centred = rise - rise.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(rise))) ** 2
    autocorrelation = np.fft.irfft(spectrum)
    slowest, fastest = (round(rate * 60 / bpm) for bpm in _BEATS_BPM)
    return {
        "flux": float(rise.mean()),
        "steady_flux": float(np.median(rise)),
        "onset_rate": len(onsets) / seconds,
        "log_onset_rate": math.log(len(onsets) / seconds + _FEWEST_ONSETS),
        "faint_onset_rate": math.log(len(faint) / seconds + _FEWEST_ONSETS),
        "strong_onset_rate": math.log(len(strong) / seconds + _FEWEST_ONSETS),
        "quick_notes": -math.log(float(np.percentile(between, 20))),
        "unevenness": float(between.std() / between.mean()),
        "pulse_clarity": float(autocorrelation[fastest:slowest].max() / max(autocorrelation[0], 1e-12)),
    }


def _onsets(rise: FloatArray, least_db: float) -> NDArray[np.intp]:
    """Frames of `rise` at which it peaks by at least so much."""
    apart = round(_SHORTEST_BETWEEN_ONSETS * RATE / HOP)
    found, _ = find_peaks(rise, height=least_db, prominence=least_db, distance=apart)
    return np.asarray(found)


def measure_fluctuation(mono: Mono) -> dict[str, float]:
    """Strength of rhythmic periodicities up to 10 Hz, summed over critical bands.

    E. Pampalk, A. Rauber and D. Merkl, "Content-based organization and visualization of music archives", ACM
    Multimedia 2002; the weight is Fastl's fluctuation strength, which is greatest at 4 Hz.
    """
    hop = round(RATE / FLUCTUATION_RATE)
    power = magnitudes(mono, _FLUCTUATION_WINDOW, hop) ** 2
    edges = np.searchsorted(frequencies(_FLUCTUATION_WINDOW), BARK_EDGES_HZ)
    bands = [power[:, low:high].sum(axis=1, dtype=np.float64) for low, high in itertools.pairwise(edges)]
    loudness_db = np.maximum(10 * np.log10(np.array(bands) + 1e-12), -30.0)
    centred = loudness_db - loudness_db.mean(axis=1, keepdims=True)
    length = centred.shape[1]
    modulation = np.abs(np.fft.rfft(centred * np.hanning(length), axis=1)) / length
    modulation_hz = np.fft.rfftfreq(length, hop / RATE)
    heard = (modulation_hz > 0.2) & (modulation_hz < 10)
    modulation_hz = modulation_hz[heard]
    summary = (modulation[:, heard] / (modulation_hz / 4 + 4 / modulation_hz)).sum(axis=0)
    return {
        "fluctuation_peak": float(summary.max()),
        "fluctuation_mean": float(summary.mean()),
        "fluctuation_centroid_hz": float((summary * modulation_hz).sum() / max(summary.sum(), 1e-12)),
    }


def novelty(mel_db: Spectrogram) -> float:
    """Mean of the novelty curve over a checkerboard of 4 s on the self-similarity of quarter-second spectra.

    Shorter music has a smaller board. J. Foote, "Automatic audio segmentation using a measure of audio novelty",
    ICME 2000.
    """
    hop = round(_NOVELTY_STEP * RATE / HOP)
    steps = len(mel_db) // hop
    spectra = mel_db[: steps * hop].reshape(steps, hop, -1).mean(axis=1).astype(np.float64)
    rows = unit_rows(spectra)
    similarity = rows @ rows.T
    half = min(_NOVELTY_REACH, steps // 2)
    offset = np.arange(-half, half) + 0.5
    taper = np.sign(offset) * np.exp(-0.5 * (offset / (half / 2)) ** 2)
    kernel = np.outer(taper, taper)
    windows = (similarity[i - half : i + half, i - half : i + half] for i in range(half, steps - half + 1))
    return float(np.mean([(kernel * window).sum() for window in windows]) / np.abs(kernel).sum())


def unit_rows(rows: FloatArray) -> FloatArray:
    """Each row with mean 0 and length 1, so that a product of two rows is their correlation."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-12))
