"""Key, mode, chords, intervals and register of music, measured on a constant-Q transform."""

import math

import numpy as np

from musicmed_live.core.judgement import Mono
from musicmed_live.recognition.constant_q import HOP, OCTAVES, semitones
from musicmed_live.recognition.register import measure_register
from musicmed_live.recognition.rhythm import unit_rows
from musicmed_live.recognition.spectrum import RATE, FloatArray

# C. L. Krumhansl and E. J. Kessler, Psychological Review 89 (1982): probe-tone profiles of C major and C minor.
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
MAJOR_TRIAD = (1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0)
MINOR_TRIAD = (1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0)
DIMINISHED_TRIAD = (1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0)
DIATONIC_SCALE = (1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1)
DEGREES = {"second": (2, 1), "third": (4, 3), "fourth": (5, 6), "sixth": (9, 8), "seventh": (11, 10)}  # semitones
PERIODICITIES = ("chromatic", "quartal", "augmented", "octatonic", "diatonic", "whole_tone")
INTERVALS = ("minor_second", "major_second", "minor_third", "major_third", "fourth", "tritone")

CHROMA_OCTAVES = slice(2, 6)  # C3 to B6: below, the bins of a semitone overlap; above, there are only overtones
CHORD_SECONDS, KEY_SECONDS, SCALE_SECONDS = 0.5, 3.0, 6.0
_COLUMNS_PER_SECOND = RATE / HOP
_KEY_SHARPNESS = 8.0  # how much likelier a key is for each unit of correlation, as a logarithm
_DEGREE_FLOOR = 0.01  # share of a degree that is not there


def measure_tonality(mono: Mono) -> dict[str, float]:
    """Tonal features of `mono`, shape (frames,) and not silent, by name."""
    magnitude = semitones(mono).astype(np.float64)
    chroma = chroma_of(magnitude)
    chords = _windows(chroma, CHORD_SECONDS)
    return {
        **_key(chroma),
        **_degrees(chroma.sum(axis=0)),
        **_chords(chords[chords.sum(axis=1) > 0.05 * chords.sum(axis=1).max()]),
        "in_scale": _in_scale(_windows(chroma, SCALE_SECONDS)),
        **_harmonic_change(chroma),
        **_periodicities(_windows(chroma, SCALE_SECONDS)),
        **measure_register(magnitude, chroma),
    }


def chroma_of(magnitude: FloatArray) -> FloatArray:
    """Magnitude by pitch class from C up, shape (columns, 12), of one by semitones, (columns, 84)."""
    return np.asarray(magnitude.reshape(-1, OCTAVES, 12)[:, CHROMA_OCTAVES].sum(axis=1))


def _windows(chroma: FloatArray, seconds: float) -> FloatArray:
    """Sums over half-overlapping windows, shape (windows, 12); one of all that there is where that is shorter."""
    columns = max(1, round(seconds * _COLUMNS_PER_SECOND))
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(chroma, axis=0)])
    starts = np.arange(0, max(1, len(chroma) - columns + 1), max(1, columns // 2))
    return np.asarray(total[np.minimum(starts + columns, len(chroma))] - total[starts])


def _key(chroma: FloatArray) -> dict[str, float]:
    """Clarity of the best key and lead of the best major over the best minor key, by windows and over all."""
    major, minor = key_strengths(_windows(chroma, KEY_SECONDS))
    whole_major, whole_minor = key_strengths(chroma.sum(axis=0)[None, :])
    every = _every_key(_windows(chroma, KEY_SECONDS))
    likelihood = np.exp(_KEY_SHARPNESS * every)
    likelihood /= likelihood.sum(axis=1, keepdims=True)
    best = every.argmax(axis=1)
    return {
        "key_clarity": float(np.maximum(major, minor).mean()),
        "key_entropy": float(-(likelihood * np.log(likelihood)).sum(axis=1).mean()),
        "key_changes": float((np.diff(best) != 0).mean()) if len(best) > 1 else 0.0,
        "major_likelihood": float(likelihood[:, :12].sum(axis=1).mean()),
        "mode": float((major - minor).mean()),
        "whole_key_clarity": float(np.maximum(whole_major, whole_minor).mean()),
        "whole_mode": float((whole_major - whole_minor).mean()),
    }


def key_strengths(pitch_classes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlation of each row with the profile of its best major key, and with that of its best minor key.

    `pitch_classes`: shape (rows, 12), from C up. Both results: shape (rows,), -1 to 1.
    """
    return _best_match(pitch_classes, MAJOR_PROFILE), _best_match(pitch_classes, MINOR_PROFILE)


def _every_key(pitch_classes: FloatArray) -> FloatArray:
    """Correlation of each row with the profiles of all major keys, then of all minor keys, shape (rows, 24)."""
    profiles = np.concatenate([_transpositions(MAJOR_PROFILE), _transpositions(MINOR_PROFILE)])
    return np.asarray(unit_rows(pitch_classes) @ unit_rows(profiles).T)


def _degrees(pitch_classes: FloatArray) -> dict[str, float]:
    """What there is of the degrees of the major scale beside those of the minor, of twelve pitch classes.

    The tonic is that of the best key, major or minor. Ratios are logarithms: a third of 1 is e times as much major.
    """
    keys = _every_key(pitch_classes[None, :])[0]
    degrees = np.roll(pitch_classes, -int(np.maximum(keys[:12], keys[12:]).argmax()))
    degrees = degrees / degrees.sum()
    ratios = {
        f"{name}_degree": math.log((degrees[upper] + _DEGREE_FLOOR) / (degrees[lower] + _DEGREE_FLOOR))
        for name, (upper, lower) in DEGREES.items()
    }
    return {**ratios, "major_third_share": float(degrees[4])}


def _best_match(pitch_classes: FloatArray, template: tuple[float, ...]) -> FloatArray:
    """Highest correlation of each row with `template` in any of its 12 transpositions."""
    correlation = unit_rows(pitch_classes) @ unit_rows(_transpositions(template)).T
    return np.asarray(correlation.max(axis=1))


def _transpositions(template: tuple[float, ...]) -> FloatArray:
    return np.array([np.roll(template, tonic) for tonic in range(12)], dtype=np.float64)


def _chords(pitch_classes: FloatArray) -> dict[str, float]:
    """Likeness to triads, and how much of each interval class sounds together."""
    major, minor, diminished = (
        _best_match(pitch_classes, triad) for triad in (MAJOR_TRIAD, MINOR_TRIAD, DIMINISHED_TRIAD)
    )
    tonal = np.maximum(major, minor)
    length_one = pitch_classes / np.linalg.norm(pitch_classes, axis=1, keepdims=True)
    intervals = {
        name: float((length_one * np.roll(length_one, distance, axis=1)).sum(axis=1).mean())
        for distance, name in enumerate(INTERVALS, start=1)
    }
    return {
        "major_chords": float((major - minor).mean()),
        "chord_clarity": float(tonal.mean()),
        "diminished_chords": float((diminished - tonal).mean()),
        **intervals,
    }


def _in_scale(pitch_classes: FloatArray) -> float:
    """Share of the magnitude on the notes of the best diatonic scale, mean over windows."""
    share = pitch_classes / np.maximum(pitch_classes.sum(axis=1, keepdims=True), 1e-12)
    return float((share @ _transpositions(DIATONIC_SCALE).T).max(axis=1).mean())


def tonal_centroids(pitch_classes: FloatArray) -> FloatArray:
    """Where each row lies on the circles of fifths, minor and major thirds, shape (rows, 6).

    C. Harte, M. Sandler and M. Gasser, "Detecting harmonic change in musical audio", AMCMM 2006, equation 1.
    """
    angle = np.pi * np.outer(np.arange(12), (7 / 6, 3 / 2, 2 / 3))
    circles = np.stack([np.sin(angle), np.cos(angle)], axis=2) * np.array([1.0, 1.0, 0.5])[:, None]
    share = pitch_classes / np.maximum(pitch_classes.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(share @ circles.reshape(12, 6))


def _harmonic_change(chroma: FloatArray) -> dict[str, float]:
    """Steps in the tonal centroid space, from one quarter of a second to the next and on longer scales."""
    quick, slow = (_tonal_steps(chroma, seconds) for seconds in (CHORD_SECONDS / 2, SCALE_SECONDS))
    return {
        "harmonic_change": float(quick.mean()),
        "harmonic_unrest": float(quick.std()),
        "slow_harmonic_change": float(slow.mean()) if len(slow) else 0.0,
    }


def _tonal_steps(chroma: FloatArray, seconds: float) -> FloatArray:
    return np.asarray(np.linalg.norm(np.diff(tonal_centroids(_windows(chroma, seconds)), axis=0), axis=1))


def _periodicities(pitch_classes: FloatArray) -> dict[str, float]:
    """How unevenly the pitch classes lie on the circle of semitones, of fifths and those between, mean over windows.

    I. Quinn, "General equal-tempered harmony", Perspectives of New Music 44 (2006): magnitudes of the discrete Fourier
    transform. The fifth is high for a diatonic scale, the third for augmented, the fourth for diminished chords.
    """
    share = pitch_classes / np.maximum(pitch_classes.sum(axis=1, keepdims=True), 1e-12)
    size = np.abs(np.fft.rfft(share, axis=1)).mean(axis=0)
    return {name: float(size[order]) for order, name in enumerate(PERIODICITIES, start=1)}
