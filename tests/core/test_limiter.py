"""The limiter: under its ceiling whatever comes, seen ahead, and gone where it is not needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.generator import Samples
from musicmed_live.core.limiter import CEILING, LOOKAHEAD, SPAN, apply_nodes, limit_nodes
from musicmed_live.core.loudness import linear, oversampled_peaks
from tests.core.sounds import largest_step, noise, tone

FRAMES = 100 * SPAN
LIMIT = linear(-1.0)


def limited(samples: Samples, gain: float | None = 1.0) -> Samples:
    return apply_nodes(samples[:-LOOKAHEAD], limit_nodes(samples, gain, None))


def peak(samples: Samples) -> float:
    """True peak, but for the end, where being cut off rings."""
    return float(oversampled_peaks(samples, SPAN)[:-1].max())


def test_music_under_the_ceiling_is_left_alone() -> None:
    samples = tone(0, FRAMES + LOOKAHEAD, 0.4)
    assert limit_nodes(samples, 1.0, None) is None
    assert np.array_equal(limited(samples), samples[:FRAMES])


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.2, 20))
def test_noise_stays_under_a_true_peak_of_minus_1_db(seed: int, amplitude: float) -> None:
    assert peak(limited(noise(FRAMES + LOOKAHEAD, amplitude, seed), None)) <= LIMIT


@settings(max_examples=30)
@given(st.floats(50, 12_100), st.floats(0, 6.3), st.floats(1, 8))
def test_a_tone_that_is_hot_from_its_first_frame_stays_under_a_true_peak_of_minus_1_db(
    hz: float, phase: float, amplitude: float
) -> None:
    swell = np.minimum(1.0, np.arange(FRAMES + LOOKAHEAD) / SPAN)[:, None].astype(np.float32)
    samples = tone(0, FRAMES + LOOKAHEAD, amplitude, hz, phase) * swell
    assert peak(limited(samples, None)) <= LIMIT


def test_a_peak_is_seen_ahead_and_met_by_a_gentle_slope() -> None:
    samples = tone(0, FRAMES + LOOKAHEAD, 0.4)
    samples[FRAMES // 2 :] *= 4
    nodes = limit_nodes(samples, 1.0, None)
    assert nodes is not None
    assert nodes[: 50 - LOOKAHEAD // SPAN].min() == 1.0
    assert nodes[50:54].max() <= CEILING / 1.5
    assert np.abs(np.diff(nodes)).max() <= 1.01 * (1 - CEILING / 1.6) / (LOOKAHEAD / SPAN)


def test_a_peak_in_the_look_ahead_is_met_already() -> None:
    samples = tone(0, FRAMES + LOOKAHEAD, 0.4)
    samples[FRAMES + SPAN :] *= 4
    nodes = limit_nodes(samples, 1.0, None)
    assert nodes is not None
    assert nodes[-1] < 1.0


def test_after_a_peak_it_comes_back() -> None:
    samples = np.zeros((10 * FRAMES + LOOKAHEAD, 2), np.float32)
    samples[FRAMES] = 4.0
    nodes = limit_nodes(samples, 1.0, None)
    assert nodes is not None
    lowest = int(nodes.argmin())
    assert (np.diff(nodes[lowest + 2 :]) >= 0).all()
    assert nodes[-1] == 1.0


def test_held_nodes_are_kept_and_only_what_follows_is_free() -> None:
    before = limit_nodes(tone(0, FRAMES + LOOKAHEAD, 2.0), 0.5, None)
    assert before is not None
    after = limit_nodes(tone(0, FRAMES + LOOKAHEAD, 0.1), 0.5, before[:40])
    assert after is not None
    assert np.array_equal(after[:40], before[:40])
    assert after[-1] > before[-1] + 0.1


def test_what_a_held_node_lets_through_is_clipped() -> None:
    samples = tone(0, FRAMES + LOOKAHEAD, 4.0)
    nodes = limit_nodes(samples, 1.0, np.ones(20))
    assert np.abs(apply_nodes(samples[:FRAMES], nodes)).max() <= np.float32(CEILING)


def test_the_gain_is_a_line_from_node_to_node() -> None:
    ones = np.ones((2 * SPAN, 2), np.float32) * 0.5
    heard = apply_nodes(ones, np.array([1.0, 0.5, 1.0]))
    assert heard[0, 0] == 0.5
    assert heard[SPAN, 0] == pytest.approx(0.25)
    assert largest_step(heard) == pytest.approx(0.25 / SPAN, rel=1e-3)
