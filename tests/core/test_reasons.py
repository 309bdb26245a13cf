"""Reasons: each is one plain sentence, which names what it is about."""

import pytest

from musicmed_live.core.reasons import SENTENCES, Why, times


def test_a_reason_gives_its_sentence() -> None:
    assert str(Why("waiting")) == "Playing neutrally until you say how you feel"
    assert str(Why("meeting", "sad")) == "Meeting you where you are: sad"
    assert str(Why("staying_reported", "tense", 2)) == "Staying here: you reported tense twice"


@pytest.mark.parametrize("key", SENTENCES)
def test_each_is_one_plain_sentence(key: str) -> None:
    sentence = str(Why(key, "calm", 3))
    assert sentence[0].isupper()
    assert 5 < len(sentence) < 90
    assert not set("{}.") & set(sentence)


def test_numbers_are_said_in_words() -> None:
    assert [times(count) for count in (1, 2, 3, 12, 13)] == ["once", "twice", "three times", "twelve times", "13 times"]
