"""The figures of an evaluation: correlations, quadrants, what an adapter adds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.agreement import Heard, agreement, correlation_interval, gain, share_interval
from musicmed_live.core.emotion import Emotion, clamp

LEVELS = (-0.8, -0.4, 0.0, 0.4, 0.8)
GRID = [Emotion(valence, arousal) for valence, arousal in itertools.product(LEVELS, LEVELS)]


def heard_with(error: float, seed: int = 0, slope: float = 1.0, lean: float = 0.0) -> list[Heard]:
    random = np.random.default_rng(seed)
    found = []
    for wish in GRID:
        off = random.normal(0, error, 2) if error else (0.0, 0.0)
        found.append(
            (wish, Emotion(clamp(slope * wish.valence + off[0] + lean), clamp(slope * wish.arousal + off[1] + lean)))
        )
    return found


def test_music_that_is_heard_as_asked_has_perfect_figures() -> None:
    figures = agreement(heard_with(0.0))

    for axis in (figures.valence, figures.arousal):
        assert axis.r.value == pytest.approx(1)
        assert axis.slope == pytest.approx(1)
        assert axis.mean_error == 0
    assert figures.quadrants.value == figures.quadrants_about_mean == 1
    assert figures.crosstalk_r == pytest.approx(0)


def test_only_clips_off_the_axes_have_a_quadrant_to_be_in() -> None:
    figures = agreement(heard_with(0.0))
    assert share_interval(16, 16) == figures.quadrants  # of 25: nine lie on an axis


def test_a_recognizer_that_leans_is_wrong_in_place_and_right_about_its_mean() -> None:
    figures = agreement(heard_with(0.0, slope=0.3, lean=0.5))

    assert figures.quadrants.value == 0.25
    assert figures.quadrants_about_mean == 1
    assert figures.valence.r.value == pytest.approx(1)
    assert figures.valence.slope == pytest.approx(0.3)


def test_crosstalk_tells_when_one_axis_moves_the_other() -> None:
    swapped = [(wish, Emotion(wish.arousal, wish.arousal)) for wish in GRID]

    figures = agreement(swapped)

    assert figures.valence.r.value == pytest.approx(0)
    assert figures.crosstalk_r == pytest.approx(1)


def test_fishers_interval_is_the_textbooks() -> None:
    x = np.arange(28.0)
    noise = np.random.default_rng(1).normal(0, 15, 28)
    r = np.corrcoef(x, x + noise)[0, 1]

    found = correlation_interval(x, x + noise)

    assert found.value == pytest.approx(r)
    assert math.atanh(found.high) - math.atanh(found.value) == pytest.approx(1.96 / 5, abs=1e-4)  # 1 / sqrt(28 - 3)
    assert math.atanh(found.value) - math.atanh(found.low) == pytest.approx(1.96 / 5, abs=1e-4)


def test_wilsons_interval_is_the_textbooks() -> None:
    found = share_interval(8, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)


@given(st.integers(0, 60).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_share_lies_in_its_interval(counts: tuple[int, int]) -> None:
    found = share_interval(*counts)
    if counts[1]:
        assert 0 <= found.low <= found.value <= found.high <= 1
    else:
        assert math.isnan(found.value)


def test_an_adapter_that_is_better_adds_to_r_and_the_interval_says_how_surely() -> None:
    added = gain(heard_with(1.0, 1), heard_with(0.1, 2), "valence")
    assert added.value > 0.2
    assert 0 < added.low < added.value < added.high

    nothing = gain(heard_with(0.3, 1), heard_with(0.3, 2), "valence")
    assert nothing.low < 0 < nothing.high


def test_the_same_clips_give_the_same_interval() -> None:
    base, adapter = heard_with(0.5, 1), heard_with(0.3, 2)
    assert gain(base, adapter, "arousal") == gain(base, adapter, "arousal")


@pytest.mark.parametrize("clips", [[], [(Emotion(0, 0), Emotion(0, 0))], heard_with(0.0)[:2]])
def test_too_few_clips_are_no_figure_and_null_in_json(clips: list[Heard]) -> None:
    content = agreement(clips).as_json()

    assert content["clips"] == len(clips)
    assert content["valence"]["r"] == {"value": None, "low": None, "high": None}  # type: ignore[index]
    assert content["crosstalk_r"] is None
    assert math.isnan(gain(clips, clips, "valence").value)


def test_music_that_is_always_heard_alike_has_no_correlation() -> None:
    figures = agreement([(wish, Emotion(0.2, 0.2)) for wish in GRID])
    assert math.isnan(figures.valence.r.value)
    assert figures.quadrants.value == 0.25
