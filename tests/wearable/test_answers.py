"""Answers from outside."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.wearable.answers import LONGEST, parse_object, refusal

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_of_json_only_objects_are_answers(value: object) -> None:
    assert parse_object(json.dumps(value)) == (value if isinstance(value, dict) else None)
    assert parse_object(json.dumps(value).encode()) == (value if isinstance(value, dict) else None)


@pytest.mark.parametrize(
    "text", ["", "{", b"\xff\xfe", "[" * LONGEST, '{"a": ' * 2000, '{"a": "' + "a" * LONGEST + '"}']
)
def test_what_is_no_json_or_too_much_of_it_is_no_answer(text: str | bytes) -> None:
    assert parse_object(text) is None


@given(st.dictionaries(st.sampled_from(["message", "code"]), JSON))
def test_any_error_is_a_sentence(error: dict[str, object]) -> None:
    said = refusal(error)
    assert said.startswith("refused, ")
    assert said.isprintable()
    assert len(said) <= 200
