"""Key, mode, chords, intervals and register of music, measured on a constant-Q transform."""

import math

import librosa
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# C. L. Krumhansl and E. J. Kessler, Psychological Review 89 (1982): probe-tone profiles of C major and C minor.
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
MAJOR_TRIAD = (1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0)
MINOR_TRIAD = (1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0)
DIMINISHED_TRIAD = (1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0)
DIATONIC_SCALE = (1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1)
INTERVALS = ("minor_second", "major_second", "minor_third", "major_third", "fourth", "tritone")

HOP = 2048  # frames between two columns of the constant-Q transform
LOWEST_KEY, OCTAVES, BINS_PER_SEMITONE = 24, 7, 3  # from C1 on
CHROMA_OCTAVES = slice(2, 6)  # C3 to B6: below, the bins of a semitone overlap; above, there are only overtones
CHORD_SECONDS, KEY_SECONDS, SCALE_SECONDS = 0.5, 3.0, 6.0


def measure_tonality(mono: NDArray[np.float32], rate: int) -> dict[str, float]:
    """Tonal features of `mono`, shape (frames,) at `rate` Hz, by name."""
    semitones = _semitones(mono, rate)
    chroma = semitones.reshape(OCTAVES, 12, -1)[CHROMA_OCTAVES].sum(axis=0)
    columns_per_second = rate / HOP
    chords = _windows(chroma, round(CHORD_SECONDS * columns_per_second))
    return {
        **_key(chroma, round(KEY_SECONDS * columns_per_second)),
        **_chords(chords[chords.sum(axis=1) > 0.05 * chords.sum(axis=1).max()]),
        "in_scale": _in_scale(_windows(chroma, round(SCALE_SECONDS * columns_per_second))),
        "harmonic_change": _harmonic_change(_windows(chroma, round(CHORD_SECONDS / 2 * columns_per_second))),
        **_register(semitones),
    }


def _semitones(mono: NDArray[np.float32], rate: int) -> FloatArray:
    """Magnitude per semitone from C1 up, shape (84, columns)."""
    constant_q = librosa.cqt(
        mono,
        sr=rate,
        hop_length=HOP,
        fmin=float(librosa.midi_to_hz(LOWEST_KEY - 1 / BINS_PER_SEMITONE)),  # the middle one of three is in tune
        n_bins=OCTAVES * 12 * BINS_PER_SEMITONE,
        bins_per_octave=12 * BINS_PER_SEMITONE,
    )
    magnitude = np.abs(constant_q).astype(np.float64)
    return np.asarray(magnitude.reshape(OCTAVES * 12, BINS_PER_SEMITONE, -1).max(axis=1))


def _windows(chroma: FloatArray, columns: int) -> FloatArray:
    """Sums over half-overlapping windows, shape (windows, 12)."""
    starts = range(0, max(1, chroma.shape[1] - columns + 1), max(1, columns // 2))
    return np.array([chroma[:, start : start + columns].sum(axis=1) for start in starts])


def _key(chroma: FloatArray, columns: int) -> dict[str, float]:
    """Clarity of the best key and lead of the best major over the best minor key, by windows and over all."""
    major, minor = key_strengths(_windows(chroma, columns))
    whole_major, whole_minor = key_strengths(chroma.sum(axis=1)[None, :])
    return {
        "key_clarity": float(np.maximum(major, minor).mean()),
        "mode": float((major - minor).mean()),
        "whole_key_clarity": float(np.maximum(whole_major, whole_minor).mean()),
        "whole_mode": float((whole_major - whole_minor).mean()),
    }


def key_strengths(pitch_classes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlation of each row with the profile of its best major key, and with that of its best minor key.

    `pitch_classes`: shape (rows, 12), from C up. Both results: shape (rows,), -1 to 1.
    """
    return _best_match(pitch_classes, MAJOR_PROFILE), _best_match(pitch_classes, MINOR_PROFILE)


def _best_match(pitch_classes: FloatArray, template: tuple[float, ...]) -> FloatArray:
    """Highest correlation of each row with `template` in any of its 12 transpositions."""
    correlation = unit_rows(pitch_classes) @ unit_rows(_transpositions(template)).T
    return np.asarray(correlation.max(axis=1))


def _transpositions(template: tuple[float, ...]) -> FloatArray:
    return np.array([np.roll(template, tonic) for tonic in range(12)], dtype=np.float64)


def unit_rows(rows: FloatArray) -> FloatArray:
    """Each row with mean 0 and length 1, so that a product of two rows is their correlation."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-12))


def _chords(pitch_classes: FloatArray) -> dict[str, float]:
    """Likeness to triads, and how much of each interval class sounds together."""
    major, minor, diminished = (
        _best_match(pitch_classes, triad) for triad in (MAJOR_TRIAD, MINOR_TRIAD, DIMINISHED_TRIAD)
    )
    tonal = np.maximum(major, minor)
    length_one = pitch_classes / np.linalg.norm(pitch_classes, axis=1, keepdims=True)
    intervals = {
        name: float((length_one * np.roll(length_one, semitones, axis=1)).sum(axis=1).mean())
        for semitones, name in enumerate(INTERVALS, start=1)
    }
    return {
        "major_chords": float((major - minor).mean()),
        "chord_clarity": float(tonal.mean()),
        "diminished_chords": float((diminished - tonal).mean()),
        **intervals,
    }


def _in_scale(pitch_classes: FloatArray) -> float:
    """Share of the magnitude on the notes of the best diatonic scale, mean over windows."""
    share = pitch_classes / pitch_classes.sum(axis=1, keepdims=True)
    return float((share @ _transpositions(DIATONIC_SCALE).T).max(axis=1).mean())


def _harmonic_change(pitch_classes: FloatArray) -> float:
    """Mean step in the tonal centroid space (C. Harte, M. Sandler and M. Gasser, AMCMM 2006)."""
    centroid = librosa.feature.tonnetz(chroma=pitch_classes.T)
    return float(np.linalg.norm(np.diff(centroid, axis=1), axis=0).mean())


def _register(semitones: FloatArray) -> dict[str, float]:
    """Where the sound lies, as MIDI keys: centre and spread of the energy, and the lowest strong key."""
    energy = (semitones**2).sum(axis=1)
    keys = LOWEST_KEY + np.arange(len(energy))
    register = float((keys * energy).sum() / energy.sum())
    strong = semitones > 0.3 * semitones.max(axis=0)
    return {
        "register": register,
        "register_spread": math.sqrt(float(((keys - register) ** 2 * energy).sum() / energy.sum())),
        "bass": float(LOWEST_KEY + strong.argmax(axis=0).mean()),
    }
