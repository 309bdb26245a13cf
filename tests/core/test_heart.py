"""The heart: intervals in, rate and variability out, artefacts left aside."""

import math
import pickle
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.physiology import REFERENCES, injected, live, over
from benchmarks.recordings import DETECTORS, FOLDER, Seconds, clean_stretches, load
from musicmed_live.core.heart import HeartSignal

STEADY = [1000.0] * 30


def heard(*runs: Sequence[float], signal: HeartSignal | None = None, now: float = 0.0) -> tuple[HeartSignal, float]:
    """A signal that has taken intervals one by one, each when it ended; and when the last did."""
    signal = signal or HeartSignal()
    for run in runs:
        for ms in run:
            now += ms / 1000
            signal.add([ms], None, now)
    return signal, now


def answers(signal: HeartSignal, now: float) -> list[float | None]:
    asked = (signal.heart_rate_bpm, signal.rmssd_ms, signal.ln_rmssd, signal.respiration_per_minute)
    return [*(ask(now) for ask in asked), signal.artefact_share(now)]


def wavering(count: int, mean_ms: float = 900, sd_ms: float = 30, seed: int = 1) -> list[float]:
    return [float(ms) for ms in np.random.default_rng(seed).normal(mean_ms, sd_ms, count)]


def clean(name: str, library: str) -> Seconds:
    """The longest stretch of a recording's beats, found by one library and confirmed by the other."""
    recording = load(FOLDER / f"{name}.csv")
    other = next(key for key in DETECTORS if key != library)
    return max(clean_stretches(DETECTORS[library](recording), DETECTORS[other](recording)), key=len)


@pytest.mark.parametrize("library", DETECTORS)
@pytest.mark.parametrize("name", ["data", "data2", "data3", "e0103"])
def test_clean_beats_have_the_rate_and_rmssd_that_the_libraries_say(name: str, library: str) -> None:
    beats = clean(name, library)
    [(heart_rate_bpm, rmssd_ms)] = live(beats, [float(beats[-1])])

    assert (heart_rate_bpm, rmssd_ms) == pytest.approx(over(beats, float(beats[-1]), REFERENCES[library]), rel=0.01)


@pytest.mark.parametrize("library", DETECTORS)
def test_one_beat_in_ten_may_be_wrong(library: str) -> None:
    beats = clean("e0103", library)
    times = [float(beat) for beat in beats[60::5]]
    truth = np.array([over(beats, now, REFERENCES[library]) for now in times])
    told = np.array([list(live(injected(beats, seed), times)) for seed in range(8)], dtype=float)

    assert np.isnan(told).mean() < 0.02  # where most of 12 s is artefacts, nothing is said
    assert np.nanpercentile(abs(told[:, :, 0] - truth[:, 0]), 95) < 3
    assert np.nanpercentile(abs(told[:, :, 1] / truth[:, 1] - 1), 95) < 0.15


@given(
    ticks=st.lists(st.integers(250, 2600) | st.integers(700, 1100), min_size=1, max_size=150),
    cuts=st.sets(st.integers(1, 149)),
)
def test_the_size_of_the_packets_does_not_matter(ticks: list[int], cuts: set[int]) -> None:
    intervals_ms = [tick * 1000 / 1024 for tick in ticks]  # as straps tell them; and sums of them are exact
    one_by_one, now = heard(intervals_ms)
    packets = HeartSignal()
    begin = 0
    for end in [*sorted(cut for cut in cuts if cut < len(ticks)), len(ticks)]:
        packets.add(intervals_ms[begin:end], None, sum(ticks[:end]) / 1024)
        begin = end

    assert answers(packets, now) == answers(one_by_one, now)


def test_the_questions_that_were_asked_before_do_not_matter() -> None:
    intervals_ms = wavering(80)
    asked, now = HeartSignal(), 0.0
    for ms in intervals_ms:
        now += ms / 1000
        asked.add([ms], None, now)
        answers(asked, now)

    assert answers(asked, now) == answers(heard(intervals_ms)[0], now)


@pytest.mark.parametrize(
    "artefact",
    [[2000.0], [3000.0], [400.0, 600.0], [700.0, 1300.0], [1350.0, 650.0], [120.0, 880.0], [500.0, 500.0, 2000.0]],
    ids=["missed", "two missed", "extra", "early", "late", "double count", "extra and missed"],
)
def test_what_is_no_normal_beat_changes_neither_rate_nor_rmssd(artefact: list[float]) -> None:
    signal, now = heard(STEADY, artefact, [1000.0] * 4)

    assert signal.heart_rate_bpm(now) == pytest.approx(60)
    assert signal.rmssd_ms(now) == 0
    assert signal.artefact_share(now) == pytest.approx(len(artefact) / (34 + len(artefact)))
    assert signal.artefact_share(now, 3.5) == 0  # the last four are normal


def test_breaths_that_make_the_intervals_swing_are_no_artefact() -> None:
    swinging = [950 + 150 * math.sin(2 * math.pi * beat / 10) for beat in range(60)]
    signal, now = heard(swinging)

    assert signal.artefact_share(now) == 0
    assert signal.rmssd_ms(now) == pytest.approx(float(np.sqrt(np.mean(np.diff(swinging) ** 2))), rel=0.02)


def test_a_rate_that_really_changes_is_followed_within_seconds() -> None:
    signal, now = heard(STEADY)
    signal, now = heard([700.0] * 5, signal=signal, now=now)
    risen = signal.heart_rate_bpm(now)
    signal, now = heard([700.0] * 14, signal=signal, now=now)

    assert risen is not None
    assert risen > 65
    assert signal.heart_rate_bpm(now) == pytest.approx(60_000 / 700, abs=1)


def test_a_gap_makes_no_difference_between_intervals() -> None:
    signal, now = heard(STEADY)
    signal, now = heard([850.0] * 20, signal=signal, now=now + 10)

    assert signal.rmssd_ms(now) == 0


def test_beats_that_were_sent_twice_do_not_count_as_the_next() -> None:
    signal, now = heard([1000.0] * 18)
    signal.add([850.0] * 5, None, now)

    assert signal.rmssd_ms(now) == 0


def test_a_packet_that_comes_a_second_late_is_still_the_next() -> None:
    signal, now = heard(STEADY)
    signal.add([960.0], None, now + 0.96 + 1)
    signal, now = heard([1000.0] * 3, signal=signal, now=now + 0.96)

    assert signal.rmssd_ms(now) == pytest.approx(math.sqrt(2 * 40**2 / 33))


def test_what_is_old_is_not_told_as_current() -> None:
    signal, now = heard(wavering(80))

    assert signal.heart_rate_bpm(now + 8) is not None
    assert signal.heart_rate_bpm(now + 12) is None
    assert signal.rmssd_ms(now + 30) is not None
    assert answers(signal, now + 60) == [None, None, None, None, 0]


def test_nothing_is_known_of_a_heart_that_was_not_heard() -> None:
    assert answers(HeartSignal(), 5.0) == [None, None, None, None, 0]


def test_variability_needs_more_beats_than_a_rate() -> None:
    signal, now = heard([1000.0, 1010.0, 990.0])

    assert signal.heart_rate_bpm(now) == pytest.approx(60)
    assert signal.rmssd_ms(now) is None


def test_noise_is_no_heart() -> None:
    signal, now = heard([float(ms) for ms in np.random.default_rng(5).uniform(150, 2500, 200)])

    assert signal.artefact_share(now) > 0.5
    assert signal.rmssd_ms(now) is None


def test_where_most_intervals_are_wrong_no_rate_is_told() -> None:
    signal, now = heard(STEADY, [250.0] * 20)

    assert signal.heart_rate_bpm(now) is None


def test_packets_that_come_at_the_same_moment_all_count() -> None:
    signal, now = heard(STEADY)
    before = signal.heart_rate_bpm(now)
    signal.add([800.0] * 3, None, now)

    assert before == pytest.approx(60)
    assert signal.heart_rate_bpm(now) != before


def test_ln_rmssd_is_the_logarithm_of_rmssd() -> None:
    signal, now = heard(wavering(60))
    rmssd_ms = signal.rmssd_ms(now)

    assert rmssd_ms is not None
    assert signal.ln_rmssd(now) == pytest.approx(math.log(rmssd_ms))


def test_a_heart_as_even_as_a_clock_has_no_logarithm() -> None:
    signal, now = heard(STEADY)

    assert signal.ln_rmssd(now) is None


def rates(values: Iterable[float]) -> HeartSignal:
    """What a device without intervals says, one value a second."""
    signal = HeartSignal()
    for now, bpm in enumerate(values):
        signal.add((), bpm, now)
    return signal


def test_a_device_without_intervals_is_believed_its_rate() -> None:
    signal = rates([60.0] * 20 + [70.0, 72.0, 74.0] * 4)

    assert signal.heart_rate_bpm(31) == pytest.approx(72)
    assert signal.rmssd_ms(31) is None
    assert signal.heart_rate_bpm(31 + 12) is None


def test_impossible_rates_are_left_out_and_counted() -> None:
    signal = rates([70.0, 250.0, 70.0, 22.0])

    assert signal.heart_rate_bpm(3) == 70
    assert signal.artefact_share(3) == 0.5


def test_intervals_are_believed_more_than_a_rate_beside_them_and_a_rate_more_than_noise() -> None:
    steady, noisy = HeartSignal(), HeartSignal()
    for beat in range(1, 21):
        steady.add([1000.0], 75.0, beat)
        noisy.add([float(150 + 700 * (beat * 7 % 5))], 75.0, beat)

    assert steady.heart_rate_bpm(20) == pytest.approx(60)
    assert noisy.heart_rate_bpm(20) == 75


def contradictions(packets: Iterable[tuple[Sequence[float], float | None]], seconds: float = 1.0) -> list[str | None]:
    """What is found after each packet, one each `seconds`."""
    signal, found = HeartSignal(), list[str | None]()
    for number, (rr_ms, bpm) in enumerate(packets, 1):
        signal.add(rr_ms, bpm, number * seconds)
        found.append(signal.contradiction(number * seconds))
    return found


def test_a_rate_that_is_not_that_of_the_intervals_beside_it_is_told_within_10_s() -> None:
    found = contradictions([([833.0 + beat % 3], 140.0) for beat in range(10)])
    assert found[-1] == "its beats and its rate do not agree"
    assert contradictions([([833.0], None)] * 10)[-1] is None


def test_more_beats_than_time_are_told_within_10_s_and_are_no_variability() -> None:
    signal = HeartSignal()
    for now in range(1, 11):
        signal.add(wavering(40, 833, 50, now), None, now)
    assert signal.contradiction(10) == "more beats than time; two wearables may be sending"
    assert signal.rmssd_ms(10) is signal.heart_rate_bpm(10) is None


def test_two_hearts_in_one_stream_are_told_within_10_s() -> None:
    beats = sorted((beat * ms / 1000, ms) for ms in (650.0, 960.0) for beat in range(1, int(10_000 / ms) + 1))
    signal = HeartSignal()
    for now, ms in beats:
        signal.add([ms], None, now)
    told = signal.contradiction(10)
    assert told is not None
    assert "two wearables" in told


@pytest.mark.parametrize(
    "packets",
    [
        [([1000.0] * 5, 60.0), *[([], 60.0)] * 4] * 6,
        [([1000.0], 60.0)] * 10 + [([], None)] * 20 + [([1000.0] * 20, 60.0)] + [([1000.0], 60.0)] * 10,
        [([1000.0], 60.0)] * 10 + [([715.0], 64.0)] * 5 + [([715.0], 84.0)] * 10,
        [([1000.0], 60.0), ([2000.0], 60.0), ([1000.0], 60.0), ([400.0, 600.0], 61.0)] * 8,
        [([333.0] * 3, 180.0)] * 30,
    ],
    ids=["five at once", "kept back", "a rate that lags", "artefacts", "a fast heart"],
)
def test_what_a_living_heart_and_a_fair_strap_do_is_no_contradiction(
    packets: list[tuple[list[float], float | None]],
) -> None:
    assert set(contradictions(packets)) == {None}


def test_a_contradiction_that_is_over_is_forgotten() -> None:
    found = contradictions([*[([833.0], 140.0)] * 20, *[([833.0], 72.0)] * 10])
    assert found[19] is not None
    assert found[-1] is None


def test_no_flood_fills_the_memory() -> None:
    signal = HeartSignal()
    for now in range(2000):
        signal.add([300.0] * 64, 100.0, now / 1000)

    assert len(pickle.dumps(signal)) < 100_000


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(100, 5000), max_size=64),
            st.none() | st.floats(20, 300),
            st.floats(-5, 30),
        ),
        max_size=30,
    )
)
def test_whatever_comes_whenever_the_answers_are_possible_ones(
    packets: list[tuple[list[float], float | None, float]],
) -> None:
    signal, now = HeartSignal(), 100.0
    for rr_ms, bpm, later in packets:
        now += later  # also back
        signal.add(rr_ms, bpm, now)
        heart_rate_bpm, rmssd_ms, _ln, respiration, artefact_share = answers(signal, now)
        assert heart_rate_bpm is None or 30 <= heart_rate_bpm <= 200
        assert rmssd_ms is None or 0 <= rmssd_ms <= 400
        assert respiration is None or 6 <= respiration <= 30
        assert artefact_share is not None
        assert 0 <= artefact_share <= 1
