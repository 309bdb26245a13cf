"""The skin: level and responses, whatever the sensor's pace."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.recordings import peer
from musicmed_live.core.skin import SkinSignal


def felt(values: NDArray[np.float64], rate_hz: float) -> tuple[SkinSignal, float]:
    """A signal that has taken all values, and when the last came."""
    signal = SkinSignal()
    for place, us in enumerate(values):
        signal.add(float(us), place / rate_hz)
    return signal, (len(values) - 1) / rate_hz


def responding(
    onsets: list[float], rate_hz: float = 8, amplitude_us: float = 0.3, level_us: float = 5, seconds: float = 60
) -> NDArray[np.float64]:
    """A level with responses that rise for two seconds and fall by half in four."""
    at = np.arange(0, seconds, 1 / rate_hz)
    us = np.full(len(at), float(level_us))
    for onset in onsets:
        since = np.clip(at - onset, 0, None)
        us += amplitude_us * np.where(since < 2, since / 2, 0.5 ** (np.clip(since - 2, 0, None) / 4))
    return us


def noisy(values: NDArray[np.float64], sd_us: float = 0.005) -> NDArray[np.float64]:
    return values + np.random.default_rng(2).normal(0, sd_us, len(values))


@pytest.mark.parametrize("per_minute", [2, 5, 10])
def test_neurokit_finds_as_many_responses(per_minute: int) -> None:
    neurokit2 = peer("neurokit2")
    wave = 2 + neurokit2.eda_simulate(
        duration=60, sampling_rate=50, scr_number=per_minute, drift=-0.01, noise=0.01, random_state=4
    )
    phasic = neurokit2.eda_phasic(wave, sampling_rate=50)["EDA_Phasic"]
    _signals, found = neurokit2.eda_peaks(phasic, sampling_rate=50, amplitude_min=0.1)
    signal, now = felt(wave, 50)

    assert signal.responses_per_minute(now) == pytest.approx(len(found["SCR_Peaks"]), abs=0.5)


@pytest.mark.parametrize("rate_hz", [2, 4, 15.3, 100])
def test_the_pace_of_the_sensor_does_not_matter(rate_hz: float) -> None:
    signal, now = felt(noisy(responding([5, 14, 23, 40, 52], rate_hz)), rate_hz)

    assert signal.responses_per_minute(now) == pytest.approx(5, abs=0.2)
    assert signal.tonic_us(now) == pytest.approx(5.07, abs=0.02)


def test_a_sensor_of_one_value_a_second_still_shows_them() -> None:
    signal, now = felt(responding([5.3, 14.6, 23.2, 40.9], 1), 1)

    assert signal.responses_per_minute(now) == pytest.approx(4, abs=0.2)


def test_a_response_has_at_least_a_twentieth_of_a_microsiemens() -> None:
    large, now = felt(responding([20], amplitude_us=0.07), 8)
    small, _now = felt(responding([20], amplitude_us=0.04), 8)

    assert large.responses_per_minute(now) == pytest.approx(1, abs=0.05)
    assert small.responses_per_minute(now) == 0


def test_a_response_on_top_of_another_counts() -> None:
    signal, now = felt(responding([20, 23]), 8)

    assert signal.responses_per_minute(now) == pytest.approx(2, abs=0.1)


def test_noise_and_slow_drift_are_no_responses() -> None:
    at = np.arange(0, 60, 1 / 4)
    signal, now = felt(noisy(5 + 0.3 * at / 60), 4)

    assert signal.responses_per_minute(now) == 0


def test_responses_hardly_move_the_level() -> None:
    calm, now = felt(responding([]), 8)
    busy, _now = felt(responding([5, 25, 45], amplitude_us=1), 8)

    assert calm.tonic_us(now) == 5
    assert busy.tonic_us(now) == pytest.approx(5, abs=0.15)  # of responses of 1 uS


def test_the_level_follows_within_half_a_minute() -> None:
    signal, now = felt(np.concatenate([np.full(240, 5.0), np.linspace(5, 7, 40), np.full(140, 7.0)]), 4)

    assert signal.tonic_us(now) == 7


@pytest.mark.parametrize("us", [0.0, 0.04, 61.0])
def test_electrodes_that_do_not_touch_have_no_level(us: float) -> None:
    signal, now = felt(np.full(100, us), 4)

    assert signal.tonic_us(now) is None
    assert signal.responses_per_minute(now) is None
    assert signal.artefact_share(now) == 1


def test_a_pull_at_the_electrodes_is_left_out_with_the_seconds_after_it() -> None:
    values = np.full(240, 5.0)
    values[120:124] = 9.0
    signal, now = felt(values, 4)

    assert signal.responses_per_minute(now) == 0
    assert signal.tonic_us(now) == 5
    assert signal.artefact_share(now) == pytest.approx((4 + 20) / 239, abs=0.01)
    assert signal.artefact_share(now, 20) == 0


def test_a_gap_is_no_response() -> None:
    signal, now = felt(np.full(120, 5.0), 4)
    for place in range(120):
        signal.add(6.0, now + 3 + place / 4)

    assert signal.responses_per_minute(now + 33) == 0


def test_a_sample_that_comes_out_of_order_takes_nothing_away() -> None:
    signal, now = felt(np.full(100, 5.0), 4)
    signal.add(5.0, now - 10)
    signal.add(5.0, now + 0.25)

    assert signal.responses_per_minute(now + 1) == 0


def test_samples_that_are_too_rare_have_a_level_but_no_responses() -> None:
    signal, now = felt(np.full(12, 5.0), 0.2)

    assert signal.tonic_us(now) == 5
    assert signal.responses_per_minute(now) is None


def test_what_is_old_is_not_told_as_current() -> None:
    signal, now = felt(responding([5, 20]), 8)

    assert signal.tonic_us(now + 30) is None
    assert signal.responses_per_minute(now + 41) is None
    assert signal.artefact_share(now + 60) == 0


def test_nothing_is_known_of_a_skin_that_was_not_felt() -> None:
    signal = SkinSignal()

    assert signal.tonic_us(0) is None
    assert signal.responses_per_minute(0) is None
    assert signal.artefact_share(0) == 0


def test_no_flood_fills_the_memory() -> None:
    signal = SkinSignal()
    for place in range(50_000):
        signal.add(5.0 + place % 7, place / 100)

    assert len(pickle.dumps(signal)) < 50_000


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-2, 10)), max_size=80))
def test_whatever_comes_whenever_the_answers_are_possible_ones(samples: list[tuple[float, float]]) -> None:
    signal, now = SkinSignal(), 100.0
    for us, later in samples:
        now += later  # also back
        signal.add(us, now)
        level, responses = signal.tonic_us(now), signal.responses_per_minute(now)
        assert level is None or 0.05 <= level <= 60
        assert responses is None or 0 <= responses < math.inf
        assert 0 <= signal.artefact_share(now) <= 1
