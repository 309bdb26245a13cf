"""Emotions: points that never leave the plane, and the words for them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.emotion import NEUTRAL, WORDS, Emotion, parse_emotion, parse_emotion_text
from musicmed_live.errors import InvalidInput

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)


@pytest.mark.parametrize("axis", ["valence", "arousal"])
@pytest.mark.parametrize("value", [1.001, -1.001, 7, math.nan, math.inf, -math.inf, True, None, "0.5", [0.5]])
def test_a_coordinate_outside_the_plane_is_refused_by_name_and_value(axis: str, value: Any) -> None:
    point = {"valence": 0.0, "arousal": 0.0, axis: value}
    with pytest.raises(InvalidInput) as refused:
        Emotion(**point)
    assert refused.value.field == axis
    assert json.dumps(value) in refused.value.message
    assert "from -1 to 1" in refused.value.message


@given(emotions, emotions)
def test_distance_is_symmetric_and_at_most_the_diagonal(a: Emotion, b: Emotion) -> None:
    assert a.distance(b) == b.distance(a)
    assert 0 <= a.distance(b) <= math.sqrt(8) + 1e-12
    assert a.distance(a) == 0


@given(emotions, emotions, st.floats(0, 1))
def test_a_blend_lies_on_the_straight_way_between_its_ends(a: Emotion, b: Emotion, share: float) -> None:
    between = a.blend(b, share)
    assert a.distance(between) == pytest.approx(share * a.distance(b), abs=1e-9)
    assert between.distance(b) == pytest.approx((1 - share) * a.distance(b), abs=1e-9)


@given(emotions, emotions)
def test_a_blend_begins_and_ends_at_its_ends(a: Emotion, b: Emotion) -> None:
    assert a.blend(b, 0) == a
    assert a.blend(b, 1).distance(b) < 1e-12


def test_every_word_has_a_source_and_stands_in_the_quadrant_of_its_meaning() -> None:
    assert all(source for _, source in WORDS.values())
    for word, valence, arousal in (
        ("happy", 1, 1),
        ("joyful", 1, 1),
        ("anxious", -1, 1),
        ("angry", -1, 1),
        ("sad", -1, -1),
        ("gloomy", -1, -1),
        ("calm", 1, -1),
        ("relaxed", 1, -1),
    ):
        point = WORDS[word][0]
        assert (math.copysign(1, point.valence), math.copysign(1, point.arousal)) == (valence, arousal)
    assert WORDS["neutral"][0] == NEUTRAL


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_word_is_read_in_any_case_and_spacing(word: str) -> None:
    assert parse_emotion(f"  {word.upper()} ", "goal") == WORDS[word][0]


def test_an_unknown_word_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_emotion("grumpy", "goal")
    assert (refused.value.code, refused.value.field) == ("unknown_word", "goal")
    assert "'grumpy'" in refused.value.message
    assert all(word in refused.value.message for word in WORDS)


@given(emotions)
def test_an_emotion_as_json_is_read_back(emotion: Emotion) -> None:
    assert parse_emotion({"valence": emotion.valence, "arousal": emotion.arousal}, "start") == emotion


@pytest.mark.parametrize(
    "value", [None, 3, [], [0, 0], {}, {"valence": 0}, {"valence": 0, "arousal": 0, "dominance": 0}, {"v": 0, "a": 0}]
)
def test_what_is_neither_word_nor_point_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="neither a mood word nor") as refused:
        parse_emotion(value, "start")
    assert (refused.value.code, refused.value.field) == ("invalid", "start")


@pytest.mark.parametrize("value", [2, math.nan, "1", None, False])
def test_a_bad_coordinate_names_the_whole_way_to_it(value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_emotion({"valence": 0, "arousal": value}, "goal")
    assert refused.value.field == "goal.arousal"
    assert refused.value.message.startswith(f"goal.arousal: {json.dumps(value)} ")


def test_a_refusal_quotes_little_of_a_long_value() -> None:
    for value in ("x" * 5000, ["x"] * 5000):
        with pytest.raises(InvalidInput) as refused:
            parse_emotion(value, "goal")
        assert len(refused.value.message) < 400


@given(emotions)
def test_typed_coordinates_are_read(emotion: Emotion) -> None:
    assert parse_emotion_text(f"{emotion.valence!r},{emotion.arousal!r}", "--start") == emotion


def test_a_typed_word_is_read() -> None:
    assert parse_emotion_text("Calm", "--goal") == WORDS["calm"][0]


@pytest.mark.parametrize(
    ("text", "named"),
    [("0.1,", "'0.1,'"), ("1,2,3", "'1,2,3'"), ("a,b", "'a,b'"), (",", "','"), ("0,nan", "NaN"), ("2,0", "2.0")],
)
def test_typed_nonsense_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_emotion_text(text, "--start")
    assert refused.value.field.startswith("--start")
    assert named in refused.value.message
