import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.features import RATE, extract, listen
from benchmarks.tonality import key_strengths, measure_tonality

C_MAJOR_CHORDS = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
C_MINOR_CHORDS = ((60, 63, 67), (65, 68, 72), (67, 70, 74), (60, 63, 67))


def played(chords: tuple[tuple[int, ...], ...], seconds_each: float) -> NDArray[np.float32]:
    """Decaying sines, 8 s in all: the chords, repeated."""
    time = np.arange(round(seconds_each * RATE)) / RATE
    struck = [
        sum(np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * time) for key in chord) * np.exp(-4 * time)
        for chord in chords
    ]
    repeats = round(8 / (seconds_each * len(chords)))
    return (0.1 * np.tile(np.concatenate(struck), repeats)).astype(np.float32)


def test_a_stereo_clip_keeps_its_length_in_seconds_and_its_level() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(96_000) / 48_000).astype(np.float32)
    mono = listen(np.stack([tone, tone], axis=1))
    assert len(mono) == 2 * RATE
    assert np.sqrt((mono**2).mean()) == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_major_and_minor_are_told_apart() -> None:
    assert measure_tonality(played(C_MAJOR_CHORDS, 1.0), RATE)["mode"] > 0.05
    assert measure_tonality(played(C_MINOR_CHORDS, 1.0), RATE)["mode"] < -0.05


def test_a_key_profile_is_its_own_best_key() -> None:
    scale = np.array([[1.0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1]])
    major, minor = key_strengths(np.concatenate([scale, np.roll(scale, 5, axis=1)]))
    assert major[0] == pytest.approx(major[1])
    assert major[0] > minor[0]


def test_the_onset_rate_counts_the_chords() -> None:
    assert extract(played(C_MAJOR_CHORDS, 0.5))["onset_rate"] == pytest.approx(2.0, rel=0.15)


def test_louder_music_differs_in_level_but_not_in_key() -> None:
    music = played(C_MAJOR_CHORDS, 0.5)
    soft, loud = extract(music), extract(4 * music)
    assert loud["rms_mean"] == pytest.approx(4 * soft["rms_mean"], rel=1e-3)
    assert loud["mode"] == pytest.approx(soft["mode"], abs=1e-6)
