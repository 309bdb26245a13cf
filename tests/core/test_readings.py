"""Readings from outside: what they must look like, and what is said where they do not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.readings import (
    HeartRate,
    Kind,
    Motion,
    Respiration,
    SkinConductance,
    parse_reading,
)
from musicmed_live.errors import InvalidInput

AT = 1_763_800_000.5


@pytest.mark.parametrize(
    ("kind", "body", "reading"),
    [
        ("heart_rate", {"bpm": 72, "rr_ms": [833], "contact": True}, HeartRate(AT, 72.0, (833.0,), True)),
        ("heart_rate", {"bpm": 72.5}, HeartRate(AT, 72.5)),
        ("heart_rate", {"rr_ms": [833, 840.5]}, HeartRate(AT, None, (833.0, 840.5))),
        ("heart_rate", {"bpm": None, "rr_ms": [], "contact": False}, HeartRate(AT, None, (), False)),
        ("heart_rate", {"contact": False}, HeartRate(AT, None, (), False)),
        ("heart_rate", {"bpm": 0, "contact": False}, HeartRate(AT, None, (), False)),
        ("heart_rate", {"bpm": 72, "contact": None}, HeartRate(AT, 72.0, (), None)),
        ("skin_conductance", {"us": 4.2, "contact": True}, SkinConductance(AT, 4.2, True)),
        ("skin_conductance", {"us": 0}, SkinConductance(AT, 0.0)),
        ("respiration", {"breaths_per_minute": 13}, Respiration(AT, 13.0)),
        ("motion", {"g": 0}, Motion(AT, 0.0)),
    ],
)
def test_a_reading_is_what_it_says(kind: str, body: dict[str, Any], reading: object) -> None:
    parsed = parse_reading(kind, {"at": AT, **body})
    assert parsed == reading
    assert parsed.kind == kind


@pytest.mark.parametrize(
    ("kind", "body", "field", "told"),
    [
        ("heart_rate", {"bpm": 0}, "bpm", "0 is not a number from 20 to 300"),
        ("heart_rate", {"bpm": 0, "contact": True}, "bpm", "0 is not a number from 20 to 300"),
        ("heart_rate", {"bpm": False, "contact": False}, "bpm", "false is not a number"),
        ("heart_rate", {"bpm": 900}, "bpm", "900 is not a number from 20 to 300"),
        ("heart_rate", {"bpm": "72"}, "bpm", '"72" is not a number'),
        ("heart_rate", {"bpm": True}, "bpm", "true is not a number"),
        ("heart_rate", {"bpm": float("nan")}, "bpm", "NaN is not a number"),
        ("heart_rate", {"bpm": 10**400}, "bpm", "is not a number"),
        ("heart_rate", {}, "bpm", "neither bpm nor rr_ms"),
        ("heart_rate", {"contact": True}, "bpm", "neither bpm nor rr_ms"),
        ("heart_rate", {"bpm": 72, "contact": 1}, "contact", "1 is not true, false or null"),
        ("heart_rate", {"rr_ms": 833}, "rr_ms", "not a list"),
        ("heart_rate", {"bpm": 72, "rr_ms": None}, "rr_ms", "not a list"),
        ("heart_rate", {"rr_ms": [833, "833"]}, "rr_ms", '"833" is not a number'),
        ("heart_rate", {"rr_ms": [99]}, "rr_ms", "99 is not a number from 100 to 5000"),
        ("heart_rate", {"rr_ms": [5001]}, "rr_ms", "5001 is not"),
        ("heart_rate", {"rr_ms": [800] * 65}, "rr_ms", "at most 64"),
        ("heart_rate", {"rr_ms": [1500] * 64}, "rr_ms", "96 s of beats; at most 90 s"),
        ("heart_rate", {"bpm": 150, "rr_ms": [1000] * 5}, "rr_ms", "5 intervals of 1000 ms do not add up with bpm 150"),
        ("heart_rate", {"bpm": 50, "rr_ms": [400] * 5}, "rr_ms", "do not add up with bpm 50"),
        ("heart_rate", {"bpm": 72, "us": 4}, "us", "unknown key"),
        ("skin_conductance", {}, "us", "null is not a number"),
        ("skin_conductance", {"us": -0.1}, "us", "from 0 to 100"),
        ("skin_conductance", {"us": 101}, "us", "from 0 to 100"),
        ("respiration", {"breaths_per_minute": 1}, "breaths_per_minute", "from 2 to 80"),
        ("respiration", {"breaths_per_minute": 13, "contact": True}, "contact", "unknown key"),
        ("motion", {"g": 17}, "g", "from 0 to 16"),
        ("motion", {"g": 0.1, "at": None}, "at", "null is not a number"),
        ("motion", {"g": 0.1, "at": AT * 1000}, "at", "from 0 to 4e+09"),
        ("motion", {"g": 0.1, "at": -1}, "at", "-1 is not"),
        ("mood", {}, "kind", '"mood" is none of heart_rate, skin_conductance, respiration, motion'),
        (None, {}, "kind", "null is none of"),
        (["heart_rate"], {}, "kind", "is none of"),
    ],
)
def test_what_is_no_reading_is_refused_with_field_value_and_what_is_accepted(
    kind: Any, body: dict[str, Any], field: str, told: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_reading(kind, {"at": AT, **body})
    assert refused.value.field == field
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("bpm", "rr_ms"),
    [
        (72, [833, 1666]),  # a beat was missed
        (72, [833, 400, 433, 833]),  # one was invented
        (72, [3300]),  # a rate of many seconds, and one long gap
        (60, [1000] * 64),  # a minute that was kept back
    ],
)
def test_intervals_with_artefacts_are_left_to_physiology(bpm: float, rr_ms: list[float]) -> None:
    parsed = parse_reading("heart_rate", {"at": AT, "bpm": bpm, "rr_ms": rr_ms})
    assert parsed == HeartRate(AT, float(bpm), tuple(float(interval) for interval in rr_ms))


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["at", "bpm", "rr_ms", "contact", "us", "breaths_per_minute", "g"]) | st.text(max_size=5)


@given(st.sampled_from(Kind) | values, st.dictionaries(names, values, max_size=5))
def test_anything_at_all_is_a_reading_or_refused_with_something_that_can_be_sent(
    kind: Any, body: dict[str, Any]
) -> None:
    try:
        parse_reading(kind, body)
    except InvalidInput as fault:
        json.dumps([fault.message, fault.field]).encode()
