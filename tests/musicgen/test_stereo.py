"""A mono signal becomes wide, and is still all there in the middle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from musicmed_live.core.generator import Samples
from musicmed_live.musicgen.stereo import WIDTH, begin_widening, widen

RATE = 48_000


def noise(frames: int = RATE, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, frames).astype(np.float32)


def tone(frequency_hz: float) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(RATE) / RATE)).astype(np.float32)


def wide(mono: NDArray[np.float32]) -> Samples:
    return widen(mono, begin_widening())[0]


def side_db(mono: NDArray[np.float32]) -> float:
    """Level of the side signal over the middle one, once the filters have settled."""
    left, right = wide(mono)[RATE // 2 :].T
    return float(20 * np.log10(np.std(left - right) / np.std(left + right)))


def test_the_two_sides_sum_to_the_mono_signal() -> None:
    mono = noise()
    np.testing.assert_allclose(wide(mono).mean(1), mono, atol=1e-7)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=6), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_any_split_gives_the_same_samples(lengths: list[int], seed: int) -> None:
    mono = noise(sum(lengths), seed)
    state, parts = begin_widening(), []
    for part in np.split(mono, np.cumsum(lengths)[:-1]):
        samples, state = widen(part, state)
        parts.append(samples)
    np.testing.assert_array_equal(np.concatenate(parts), wide(mono))


@pytest.mark.parametrize("frequency_hz", [40.0, 80.0, 110.0])
def test_the_bass_stays_in_the_middle(frequency_hz: float) -> None:
    assert side_db(tone(frequency_hz)) < -35


@pytest.mark.parametrize("frequency_hz", [500.0, 1_000.0, 3_000.0, 10_000.0])
def test_what_lies_above_is_widened(frequency_hz: float) -> None:
    assert side_db(tone(frequency_hz)) == pytest.approx(20 * np.log10(WIDTH), abs=0.4)


@pytest.mark.parametrize("mono", [noise(), tone(440), tone(2_000), np.cumsum(noise()) * np.float32(0.01)])
def test_left_and_right_stay_much_alike_and_no_louder_by_half_a_decibel(mono: NDArray[np.float32]) -> None:
    left, right = wide(mono)[RATE // 2 :].T
    assert np.corrcoef(left, right)[0, 1] > 0.77
    power = (np.var(left) + np.var(right)) / 2
    assert 10 * np.log10(power / np.var(mono[RATE // 2 :])) < 0.55


def test_neither_side_is_favoured() -> None:
    left, right = wide(noise(5 * RATE)).T
    assert abs(20 * np.log10(np.std(left) / np.std(right))) < 1


def test_some_partials_lean_left_and_others_right() -> None:
    leanings = []
    for frequency_hz in np.geomspace(300, 12_000, 60):
        left, right = wide(tone(frequency_hz))[RATE // 2 :].T
        leanings.append(20 * np.log10(np.std(left) / np.std(right)))
    assert max(leanings) > 3
    assert min(leanings) < -3
    assert np.abs(leanings).max() < 6.4
