"""Mood tags: what was asked for against what was heard."""

import pytest

from models.tagging import VOCABULARY, TagFigures, prompt_at, tag_figures, tags_at
from musicmed_live.core.emotion import Emotion

FIVE = ("calm", "dark", "epic", "happy", "sad")


def tags(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_precision_recall_and_hamming_score_as_they_are_defined() -> None:
    pairs = [(tags("calm", "sad"), tags("calm", "dark", "epic")), (tags("happy"), tags("happy"))]

    figures = tag_figures(pairs, FIVE)

    assert figures.precision == pytest.approx(2 / 4)  # of the four heard
    assert figures.recall == pytest.approx(2 / 3)  # of the three asked for
    assert figures.hamming_score == pytest.approx((1 / 4 + 1) / 2)
    assert figures.label_accuracy == pytest.approx(1 - 3 / 10)


def test_a_tag_that_nobody_could_be_asked_for_does_not_count() -> None:
    assert tag_figures([(tags("calm"), tags("calm", "christmas"))], FIVE).precision == 1


def test_where_nothing_is_heard_there_is_no_precision() -> None:
    figures = tag_figures([(tags("calm"), tags())], FIVE)
    assert (figures.precision, figures.recall, figures.hamming_score) == (None, 0, 0)


def test_without_clips_there_are_no_figures() -> None:
    assert tag_figures([], FIVE) == TagFigures(0, None, None, None, None)


@pytest.mark.parametrize(
    ("corner", "expected"), [((0.7, -0.6), "relaxing"), ((-0.7, -0.7), "sad"), ((0.8, 0.7), "party")]
)
def test_a_prompt_asks_for_tags_of_its_corner(corner: tuple[float, float], expected: str) -> None:
    emotion = Emotion(*corner)
    assert expected in tags_at(emotion) <= VOCABULARY
    assert all(tag in prompt_at(emotion) for tag in tags_at(emotion))


def test_genres_and_instruments_of_a_prompt_are_no_mood_tags() -> None:
    assert "ambient music with piano" in prompt_at(Emotion(-0.7, -0.7))
    assert tags_at(Emotion(-0.7, -0.7)) == tags("sad", "slow", "dark")
