"""Breaths, from the intervals of a heart that follows them."""

import math

import numpy as np
import pytest

from benchmarks.recordings import peer
from musicmed_live.core.heart import HeartSignal


def breathing(
    per_minute: float,
    mean_ms: float = 850,
    swing_ms: float = 40,
    noise_ms: float = 10,
    seconds: float = 70,
    faster_ms: float = 0,
) -> tuple[list[float], float]:
    """Intervals of a heart that beats faster with every breath in, and by `faster_ms` each second; their sum in s."""
    rng = np.random.default_rng(7)
    intervals_ms, now = [], 0.0
    while now < seconds:
        breath = math.sin(2 * math.pi * per_minute / 60 * now)
        intervals_ms.append(float(mean_ms - faster_ms * now + swing_ms * breath + rng.normal(0, noise_ms)))
        now += intervals_ms[-1] / 1000
    return intervals_ms, now


def told(intervals_ms: list[float]) -> float | None:
    signal, now = HeartSignal(), 0.0
    for ms in intervals_ms:
        now += ms / 1000
        signal.add([ms], None, now)
    return signal.respiration_per_minute(now)


@pytest.mark.parametrize("per_minute", [7, 9, 12, 15, 18, 22, 26, 29])
def test_the_intervals_swing_with_the_breath(per_minute: float) -> None:
    assert told(breathing(per_minute)[0]) == pytest.approx(per_minute, abs=0.5)


@pytest.mark.parametrize("per_minute", [9, 12, 15, 18])
def test_heartpy_finds_the_same(per_minute: float) -> None:
    intervals_ms, _seconds = breathing(per_minute)
    _work, found = peer("heartpy").process_rr(np.array(intervals_ms), measures={}, working_data={})

    assert told(intervals_ms) == pytest.approx(60 * float(found["breathingrate"]), abs=1)


def test_artefacts_in_between_do_not_hide_it() -> None:
    intervals_ms, _seconds = breathing(15)
    intervals_ms[20:22] = [sum(intervals_ms[20:22])]
    intervals_ms[50:51] = [0.4 * intervals_ms[50], 0.6 * intervals_ms[50]]

    assert told(intervals_ms) == pytest.approx(15, abs=0.5)


def test_without_a_swing_there_is_no_rate() -> None:
    assert told(breathing(15, swing_ms=0)[0]) is None
    assert told(breathing(15, swing_ms=0, noise_ms=0)[0]) is None


def test_noise_is_hardly_ever_taken_for_breath() -> None:
    rng = np.random.default_rng(3)
    found = [told([float(ms) for ms in rng.normal(900, 30, 70)]) for _ in range(100)]

    assert sum(rate is not None for rate in found) <= 2


def test_a_slow_drift_is_no_breath() -> None:
    assert told(breathing(3)[0]) is None


def test_half_a_minute_is_too_short() -> None:
    assert told(breathing(15, seconds=30)[0]) is None


def test_a_heart_that_gets_faster_all_the_time_still_shows_it() -> None:
    assert told(breathing(15, mean_ms=1000, swing_ms=30, faster_ms=6)[0]) == pytest.approx(15, abs=0.5)


def test_a_slow_heart_shows_it_too() -> None:
    assert told(breathing(10, mean_ms=1500, swing_ms=70)[0]) == pytest.approx(10, abs=0.5)


def test_waves_slower_than_any_breath_that_is_told_are_not_told_as_the_slowest() -> None:
    assert told(breathing(5.4)[0]) is None


def test_over_a_gap_no_line_is_drawn() -> None:
    signal, now = HeartSignal(), 0.0
    for ms in breathing(15, swing_ms=60, noise_ms=2)[0]:
        now += ms / 1000
        if not 30 < now < 34:
            signal.add([ms], None, now)

    assert signal.respiration_per_minute(now) is None


@pytest.mark.parametrize("seconds", [1, 4])
def test_packets_that_wait_for_their_turn_do_not_blur_it(seconds: int) -> None:
    signal, end, packet = HeartSignal(), 0.0, list[float]()
    for ms in breathing(25)[0]:
        packet.append(ms)
        end += ms / 1000
        if end % seconds < ms / 1000:
            signal.add(packet, None, math.ceil(end / seconds) * seconds)
            packet = []

    assert signal.respiration_per_minute(end) == pytest.approx(25, abs=0.5)
