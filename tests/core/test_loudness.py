"""Loudness and true peak, against an independent meter and against what can be reckoned by hand."""

import math

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly

from musicmed_live.core.generator import SAMPLE_RATE, Samples
from musicmed_live.core.loudness import (
    METER_FRAMES,
    OVERSHOOT,
    SILENCE_LUFS,
    decibels,
    energy,
    integrated,
    linear,
    loudness,
    oversampled_peaks,
    true_peak,
)
from tests.core.sounds import noise, tone


def measured(samples: Samples) -> float:
    starts = range(0, len(samples), METER_FRAMES)
    return integrated([energy(samples[start : start + METER_FRAMES]) for start in starts])


def reference(samples: Samples) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.astype(np.float64)))


@pytest.mark.parametrize("level_db", [-60, -40, -20, 0])
def test_noise_is_as_loud_as_an_independent_meter_says(level_db: int) -> None:
    samples = noise(5 * SAMPLE_RATE, linear(level_db))
    assert measured(samples) == pytest.approx(reference(samples), abs=0.1)


@pytest.mark.parametrize("hz", [60, 100, 440, 997, 2000, 5000, 10_000, 16_000])
def test_tones_are_as_loud_as_an_independent_meter_says(hz: int) -> None:
    samples = tone(0, 5 * SAMPLE_RATE, hz=hz)
    assert measured(samples) == pytest.approx(reference(samples), abs=0.1)


def test_music_with_pauses_is_gated_as_an_independent_meter_does() -> None:
    loud, soft, still = noise(4 * SAMPLE_RATE, 0.1), noise(4 * SAMPLE_RATE, 0.01), noise(4 * SAMPLE_RATE, 1e-5)
    samples = np.concatenate([loud, still, soft, loud, still])
    assert measured(samples) == pytest.approx(reference(samples), abs=0.1)


def test_a_full_scale_tone_of_997_hz_on_one_channel_is_at_minus_3_lufs() -> None:
    samples = tone(0, 3 * SAMPLE_RATE, 1.0, 997)
    samples[:, 1] = 0
    assert measured(samples) == pytest.approx(-3.01, abs=0.03)  # ITU-R BS.1770-5, annex 1


def test_silence_has_a_floor() -> None:
    assert loudness(0.0) == SILENCE_LUFS
    assert energy(np.zeros((0, 2), np.float32)) == 0.0
    assert measured(np.zeros((SAMPLE_RATE, 2), np.float32)) == SILENCE_LUFS
    assert integrated([]) == SILENCE_LUFS


def test_a_programme_shorter_than_a_gating_block_is_measured_as_it_is() -> None:
    samples = noise(3 * METER_FRAMES, 0.1)
    assert measured(samples) == pytest.approx(reference(np.tile(samples, (4, 1))), abs=0.3)


@pytest.mark.parametrize("hz", [100, 997, 3000, 6000, 12_000])
@pytest.mark.parametrize("phase", [0.0, math.pi / 4, 1.0])
def test_the_true_peak_of_a_sine_is_its_amplitude_wherever_the_samples_lie(hz: int, phase: float) -> None:
    envelope = np.sin(np.linspace(0, np.pi, 4800))[:, None] ** 2
    samples = tone(0, 4800, 0.5, hz, phase) * envelope.astype(np.float32)
    assert decibels(true_peak(samples)) == pytest.approx(decibels(0.5), abs=0.2)


def test_the_true_peak_of_noise_is_what_an_independent_oversampler_finds() -> None:
    samples = noise(SAMPLE_RATE, 0.1)
    found = np.abs(resample_poly(samples, 4, 1, axis=0)).max()
    assert decibels(true_peak(samples)) == pytest.approx(decibels(float(found)), abs=0.6)


@given(st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32)), min_size=1, max_size=60))
def test_the_true_peak_lies_between_the_sample_peak_and_the_overshoot(frames: list[tuple[float, float]]) -> None:
    samples = np.array(frames, np.float32)
    peak = float(np.abs(samples).max())
    assert peak <= true_peak(samples) <= peak * OVERSHOOT * (1 + 1e-5)


def test_nothing_has_no_peak() -> None:
    assert true_peak(np.zeros((0, 2), np.float32)) == 0.0


def test_peaks_are_told_span_by_span() -> None:
    samples = np.zeros((480, 2), np.float32)
    samples[200, 1] = -0.5
    peaks = oversampled_peaks(samples, 48)
    assert peaks.shape == (10,)
    assert peaks.argmax() == 4
    assert peaks[4] == pytest.approx(0.5, rel=1e-3)
    assert not peaks[:3].any()


@given(st.floats(-100, 40))
def test_decibels_and_amplitudes_are_the_same_thing(level_db: float) -> None:
    assert decibels(linear(level_db)) == pytest.approx(level_db, abs=1e-9)


def test_decibels_of_nothing_have_a_floor() -> None:
    assert decibels(0.0) == -120
