"""The noise that an output is calibrated with."""

import numpy as np
import pyloudnorm
import pytest

from musicmed_live.core.exposure import dbfs_a
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.pink import NOISE_LUFS, noise_dbfs_a, pink_noise
from tests.core.sounds import a_weighted, largest_step


def octave_db(lowest_hz: float) -> float:
    noise = pink_noise()
    power = (np.abs(np.fft.rfft(noise, axis=0)) ** 2).sum(axis=1)
    hz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    return float(10 * np.log10(power[(hz >= lowest_hz) & (hz < 2 * lowest_hz)].sum()))


def test_it_has_the_programme_s_loudness_and_is_the_same_each_time() -> None:
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    assert meter.integrated_loudness(pink_noise().astype(np.float64)) == pytest.approx(NOISE_LUFS, abs=0.1)
    assert np.array_equal(pink_noise(), pink_noise())
    assert np.abs(pink_noise()).max() < 0.5


def test_its_a_weighted_level_is_what_a_meter_would_show() -> None:
    level = 10 * np.log10((a_weighted(np.tile(pink_noise(), (2, 1))) ** 2).sum(axis=1).mean())
    assert noise_dbfs_a() == pytest.approx(level, abs=0.1)
    assert noise_dbfs_a() == pytest.approx(dbfs_a(10 ** (level / 10)), abs=0.1)


def test_each_octave_has_the_same_power() -> None:
    levels = [octave_db(hz) for hz in (100, 200, 400, 800, 1600, 3200, 6400)]
    assert max(levels) - min(levels) < 0.2


def test_it_loops_without_a_seam() -> None:
    noise = pink_noise()
    assert np.abs(noise[0] - noise[-1]).max() <= largest_step(noise)


def test_its_channels_are_independent() -> None:
    left, right = pink_noise().T
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.1
