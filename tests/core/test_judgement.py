"""Judgements: what music most likely expresses, and how far that is from what was asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.judgement import GENERATOR_SD, MOST_OFF, Judgement, expressed, miss

ASKED = Emotion(0.4, -0.2)
coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
judgements = st.builds(Judgement, emotions, st.floats(0.05, 2), st.floats(0.05, 2))


def test_music_that_nobody_judged_expresses_what_was_asked_for() -> None:
    assert expressed(ASKED, None) == ASKED


def test_a_judgement_as_uncertain_as_the_generator_moves_it_half_of_the_way() -> None:
    found = expressed(ASKED, Judgement(Emotion(0.0, 0.0), GENERATOR_SD, GENERATOR_SD))
    assert (found.valence, found.arousal) == pytest.approx((0.2, -0.1))


def test_the_axis_that_is_known_better_moves_further() -> None:
    found = expressed(ASKED, Judgement(Emotion(0.0, 0.3), 0.5, 0.15))
    assert ASKED.valence - found.valence < 0.1
    assert found.arousal - ASKED.arousal > 0.3


@given(emotions, judgements)
def test_what_is_expressed_lies_between_what_was_asked_and_what_is_heard(asked: Emotion, found: Judgement) -> None:
    between = expressed(asked, found)
    for axis in ("valence", "arousal"):
        ends = sorted(getattr(emotion, axis) for emotion in (asked, found.emotion))
        assert ends[0] - 1e-9 <= getattr(between, axis) <= ends[1] + 1e-9


def test_nobody_who_is_sure_of_it_moves_music_far_from_what_was_asked_for() -> None:
    found = expressed(Emotion(0.9, -0.9), Judgement(Emotion(-1.0, 1.0), 1e-9, 1e-9))
    assert (found.valence, found.arousal) == pytest.approx((0.9 - MOST_OFF, -0.9 + MOST_OFF))


@pytest.mark.parametrize("sd", [0.0, -1.0, float("nan"), float("inf")])
def test_a_certainty_that_is_none_is_refused(sd: float) -> None:
    with pytest.raises(ValueError, match="standard deviation"):
        Judgement(ASKED, 0.3, sd)


def test_where_both_axes_are_known_alike_a_miss_is_the_distance() -> None:
    assert miss(ASKED, Judgement(Emotion(0.1, 0.2), 0.3, 0.3)) == pytest.approx(0.5)


def test_a_miss_on_the_axis_that_is_hardly_known_weighs_little() -> None:
    aside = miss(ASKED, Judgement(Emotion(0.4 - 0.3, -0.2), 0.6, 0.2))
    above = miss(ASKED, Judgement(Emotion(0.4, -0.2 + 0.3), 0.6, 0.2))
    assert aside < 0.5 * above
