"""The simulated heart is plausible, and the same for the same seed."""

import math
import statistics
from itertools import islice, pairwise, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from clients.wearable.heart import STRESS_SECONDS, beats
from clients.wearable.reading import RR_MS
from clients.wearable.simulation import packets


def intervals_between(start: float, end: float, bpm: float = 68, stress_at: float | None = None) -> list[float]:
    """In ms, of one seed."""
    told = takewhile(lambda beat: beat[0] < end, beats(bpm, stress_at, seed=1))
    return [interval for second, interval in told if second >= start]


def rmssd_ms(intervals: list[float]) -> float:
    return math.sqrt(statistics.fmean((after - before) ** 2 for before, after in pairwise(intervals)))


@settings(max_examples=20)
@given(st.floats(40, 180), st.integers(0, 2**32))
def test_the_mean_rate_is_the_one_that_was_asked_for(bpm: float, seed: int) -> None:
    told = list(islice(beats(bpm, None, seed), 400))
    assert abs(400 / told[-1][0] * 60 - bpm) < 0.03 * bpm
    assert all(RR_MS[0] <= interval <= RR_MS[1] for _, interval in told)


def test_the_same_seed_gives_the_same_heart() -> None:
    assert list(islice(beats(68, 30, 7), 99)) == list(islice(beats(68, 30, 7), 99))
    assert list(islice(beats(68, 30, 7), 99)) != list(islice(beats(68, 30, 8), 99))


def test_a_calm_heart_varies_as_a_healthy_one_does() -> None:
    assert 20 < rmssd_ms(intervals_between(0, 300)) < 80


def test_stress_quickens_the_heart_and_steadies_it_and_passes() -> None:
    calm = intervals_between(0, 120, stress_at=120)
    stressed = intervals_between(160, 120 + STRESS_SECONDS, stress_at=120)
    after = intervals_between(120 + STRESS_SECONDS + 60, 600, stress_at=120)
    assert 60_000 / statistics.fmean(stressed) - 60_000 / statistics.fmean(calm) > 20
    assert rmssd_ms(stressed) < 0.6 * rmssd_ms(calm)
    assert abs(statistics.fmean(after) - statistics.fmean(calm)) < 20


@given(st.floats(40, 180), st.integers(0, 99))
def test_a_packet_a_second_tells_every_beat_once(bpm: float, seed: int) -> None:
    told = list(islice(packets(bpm, None, seed), 30))
    seconds = [second for second, _ in told]
    assert seconds == list(range(int(seconds[0]), int(seconds[0]) + 30))
    intervals = [interval for _, packet in told for interval in packet.rr_ms]
    assert intervals == [
        interval for second, interval in takewhile(lambda b: b[0] < seconds[-1], beats(bpm, None, seed))
    ]


def test_the_rate_follows_the_beats() -> None:
    for _, packet in islice(packets(68, None, 3), 60):
        assert packet.contact
        assert packet.bpm is not None
        assert 55 < packet.bpm < 85
