"""What is sent is what the server takes."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clients.wearable.errors import Malformed, shown
from clients.wearable.reading import HeartRate, heart_rate
from musicmed_live.core import readings

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


@given(st.none() | ANY_NUMBER, st.lists(ANY_NUMBER, max_size=80), st.sampled_from([True, False, None]))
def test_whatever_a_wearable_says_the_server_can_read_what_is_sent(
    bpm: float | None, rr_ms: list[float], contact: bool | None
) -> None:
    try:
        body = heart_rate(bpm, rr_ms, contact).body(at=1763800000.1234)
    except Malformed:
        assume(False)
    if len(body["rr_ms"]) > 1:
        body["bpm"] = None  # whether rate and intervals go together, the server judges
    if sum(body["rr_ms"]) <= readings.RR_SUM_MS and (body["bpm"] or body["rr_ms"] or contact is False):
        read = readings.parse_reading("heart_rate", body)
        assert isinstance(read, readings.HeartRate)
        assert (read.at, read.bpm, read.contact) == (1763800000.123, body["bpm"], contact)


def test_bounds_are_the_servers() -> None:
    assert heart_rate(readings.BPM[0], ()).bpm == readings.BPM[0]
    assert heart_rate(60, readings.RR_MS).rr_ms == readings.RR_MS
    assert len(heart_rate(60, [1000.0] * 99).rr_ms) == readings.MAX_RR


def test_an_impossible_interval_is_left_out_and_the_rest_is_told() -> None:
    assert heart_rate(60, [990.0, 12.0, 1010.0, 9000.0]) == HeartRate(60, (990.0, 1010.0))


def test_of_too_many_intervals_the_newest_are_told() -> None:
    assert heart_rate(60, [500.0] * 10 + [1000.0] * 64).rr_ms == (1000.0,) * 64


@pytest.mark.parametrize("bpm", [None, 0, 500, math.nan, 10**400])
def test_no_heart_is_no_reading_unless_contact_is_known_to_be_lost(bpm: float | None) -> None:
    with pytest.raises(Malformed):
        heart_rate(bpm, [], contact=True)
    assert heart_rate(bpm, [], contact=False) == HeartRate(None, (), False)


@given(st.text())
def test_text_from_outside_cannot_steer_a_terminal(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 120
