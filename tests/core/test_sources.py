"""What a source of readings is worth, and what is wrong with it: told within 10 s, in words for a nurse."""

import math
from collections.abc import Callable

import pytest

from musicmed_live.core.readings import HeartRate, Kind, Motion, Reading, Respiration, SkinConductance
from musicmed_live.core.sources import Fault, Source, spoken
from tests.core.wearer import EPOCH, Wearer


@pytest.fixture
def wearer() -> Wearer:
    """Somebody whose strap has been in order for 20 s."""
    wearer = Wearer()
    wearer.beat(20, 62)
    return wearer


def noticed_after(wearer: Wearer, fault: Fault, kind: Kind, each_second: Callable[[], object]) -> float:
    """Seconds until `fault` is told of `kind`, where `each_second` goes on happening."""
    begin = wearer.now
    while wearer.now < begin + 400:
        wearer.now += 1.0
        each_second()
        if wearer.source(kind).fault is fault:
            return wearer.now - begin
    raise AssertionError(f"{fault} is never told")


def test_a_strap_in_order_is_trusted(wearer: Wearer) -> None:
    state = wearer.source()
    assert (state.fault, state.reason) == (None, "in contact, 0 s old")
    assert state.trust > 0.9


def test_a_watch_that_cannot_tell_contact_is_not_said_to_be_in_contact() -> None:
    wearer = Wearer()
    wearer.send(HeartRate(wearer.at, 62.0))
    wearer.now += 2
    assert wearer.source().reason == "2 s old"


def test_a_source_that_was_never_heard_is_not_listed() -> None:
    assert Wearer().sensing.sources(0.0) == ()


def test_sources_are_listed_in_one_order_whoever_came_first(wearer: Wearer) -> None:
    wearer.move(0.0)
    wearer.breathe(1, 13)
    wearer.sweat(1, 4.0, 2)
    assert [state.kind for state in wearer.sensing.sources(wearer.now)] == list(Kind)


def test_a_source_that_goes_quiet_fades_out(wearer: Wearer) -> None:
    trusts = []
    for _ in range(12):
        trusts.append(wearer.source().trust)
        wearer.now += 1
    assert trusts[0] == trusts[3] > trusts[4] > trusts[9] > 0
    assert trusts[10] == trusts[11] == 0


def test_a_source_that_goes_quiet_is_said_to(wearer: Wearer) -> None:
    wearer.now += 5
    assert (wearer.source().fault, wearer.source().reason) == (None, "last heard 5 s ago")
    wearer.now += 4
    assert (wearer.source().fault, wearer.source().reason) == (Fault.QUIET, "nothing heard for 9 s")
    wearer.now += 300
    assert (wearer.source().fault, wearer.source().reason) == (Fault.QUIET, "nothing heard for 5 min")


def test_a_source_that_comes_back_is_trusted_again(wearer: Wearer) -> None:
    wearer.now += 300
    wearer.beat(15, 62)
    assert wearer.source().trust > 0.9


def test_a_dead_wearable_is_noticed_within_10_s(wearer: Wearer) -> None:
    assert noticed_after(wearer, Fault.QUIET, Kind.HEART_RATE, lambda: None) <= 9


def test_lost_contact_is_told_at_once_and_so_is_its_return(wearer: Wearer) -> None:
    wearer.now += 1
    wearer.send(HeartRate(wearer.at, None, (), contact=False))
    state = wearer.source()
    assert (state.trust, state.fault, state.reason) == (0, Fault.NO_CONTACT, "no skin contact")
    wearer.beat(1, 62)
    assert wearer.source().fault is None


@pytest.mark.parametrize("us", [0.0, 0.04, 80.0])
def test_electrodes_that_measure_what_no_skin_has_are_not_on_it(wearer: Wearer, us: float) -> None:
    wearer.send(SkinConductance(wearer.at, us, contact=True))
    assert wearer.source(Kind.SKIN_CONDUCTANCE).fault is Fault.NO_CONTACT


@pytest.mark.parametrize(
    ("off_seconds", "told"),
    [
        (-300, "its clock is 5 min behind"),
        (300, "its clock is 5 min ahead"),
        (-15, "its clock is 15 s behind"),
        (3, "its clock is 3 s ahead"),
        (-2 * 3600, "its clock is 2 h behind"),
        (-1e9, "its clock is 11574 days behind"),
    ],
)
def test_a_clock_that_is_off_is_told_within_10_s(off_seconds: float, told: str) -> None:
    wearer = Wearer()
    bpm = iter(range(60, 160))
    after = noticed_after(
        wearer,
        Fault.CLOCK,
        Kind.HEART_RATE,
        lambda: wearer.send(HeartRate(wearer.at + off_seconds, float(next(bpm)))),
    )
    assert after <= 10
    assert wearer.source().reason == f"{told}; its readings are not used"
    assert wearer.source().trust == 0
    assert wearer.sensing.vitals(wearer.now).heart_rate_bpm is None


def test_a_clock_that_is_off_is_told_of_a_source_that_sends_each_5_s() -> None:
    wearer = Wearer()
    for _ in range(3):
        wearer.send(HeartRate(wearer.at - 300, 62.0))
        wearer.now += 5
    assert wearer.source().fault is Fault.CLOCK


def test_a_clock_that_is_put_right_is_forgiven(wearer: Wearer) -> None:
    for _ in range(10):
        wearer.now += 1
        wearer.send(HeartRate(wearer.at - 300, 62.0))
    assert wearer.source().fault is Fault.CLOCK
    wearer.beat(2, 62)
    assert wearer.source().fault is None


def test_a_clock_that_goes_back_a_little_is_told_until_it_has_caught_up(wearer: Wearer) -> None:
    for _ in range(5):
        wearer.now += 1
        wearer.send(HeartRate(wearer.at - 6, 62.0))
    assert wearer.source().reason == "its clock went back; its readings are not used yet"
    for _ in range(3):
        wearer.now += 1
        wearer.send(HeartRate(wearer.at - 6, 62.0))
    assert wearer.source().fault is None


def test_what_was_kept_back_while_the_connection_was_lost_is_dropped_and_no_fault(wearer: Wearer) -> None:
    wearer.now += 60
    heard_before = wearer.sensing.vitals(wearer.now).heart_rate_bpm
    for late in range(59, 10, -1):
        wearer.now += 0.1  # a slow line: it takes 5 s
        wearer.send(HeartRate(wearer.at - late, 120.0))
        assert wearer.source().fault in (None, Fault.QUIET)
    assert wearer.sensing.vitals(wearer.now).heart_rate_bpm == heard_before is None
    wearer.beat(5, 62)
    assert wearer.source().fault is None


def test_only_late_readings_are_told(wearer: Wearer) -> None:
    for step in range(10):
        wearer.now += 1
        wearer.send(HeartRate(EPOCH + wearer.now - 500 + 10 * step, 62.0))
    assert (wearer.source().fault, wearer.source().reason) == (Fault.QUIET, "only late readings come")


def test_retained_junk_before_it_does_not_hide_a_clock_that_is_off() -> None:
    wearer = Wearer()
    wearer.send(HeartRate(0.0, 62.0))
    assert noticed_after(
        wearer, Fault.CLOCK, Kind.HEART_RATE, lambda: wearer.send(HeartRate(wearer.at - 300, 62.0))
    ) <= 10  # fmt: skip


def test_a_reading_that_was_held_up_makes_nothing_older_than_it_was() -> None:
    source = Source(Kind.MOTION, 0.0)
    assert source.admit(Motion(EPOCH, 0.0), 0.0, 100.0) == 100.0
    assert source.admit(Motion(EPOCH + 0.1, 0.0), 5.0, 100.5) == 100.0
    assert source.admit(Motion(EPOCH + 0.2, 0.0), 0.2, 100.7) == 100.5


def test_one_current_reading_among_old_ones_is_used(wearer: Wearer) -> None:
    wearer.send(HeartRate(wearer.at - 3600, 62.0))
    wearer.beat(2, 62)
    assert wearer.source().fault is None


def test_a_reading_that_comes_twice_is_used_once() -> None:
    once, twice = Wearer(), Wearer()
    for second in range(40):
        for wearer in (once, twice):
            wearer.now = 1000.0 + 2 * second
            reading = HeartRate(wearer.at, 62.0 + second % 5, (950.0 + second % 7, 20_000 / (second % 3 + 20)), True)
            wearer.send(reading)
        twice.send(reading)
        twice.send(HeartRate(reading.at - 1, 200.0, (300.0,), True))
    assert once.sensing.vitals(once.now) == twice.sensing.vitals(twice.now)
    assert once.sensing.vitals(once.now).heart_rate_bpm is not None
    assert once.source() == twice.source()


def test_a_strap_that_is_heard_by_two_ways_counts_once() -> None:
    once, twice = Wearer(), Wearer()
    for beat in range(90):
        interval = 900.0 + 40 * math.sin(beat) + beat % 7
        for wearer in (once, twice):
            wearer.now += interval / 1000
            wearer.send(HeartRate(wearer.at, 66.0, (interval,), True))
        twice.now += 0.2
        twice.send(HeartRate(twice.at - 0.05, 66.0, (interval,), True))
        twice.now -= 0.2
    assert once.sensing.vitals(once.now) == twice.sensing.vitals(twice.now)
    assert once.sensing.vitals(once.now).rmssd_ms is not None


def test_a_beat_as_long_as_the_one_before_is_another_beat() -> None:
    source = Source(Kind.HEART_RATE, 0.0)
    assert source.admit(HeartRate(EPOCH, 60.0, (1000.0,)), 0.0, 100.0) == 100.0
    assert source.admit(HeartRate(EPOCH + 0.9, 60.0, (1000.0,)), 0.0, 100.9) == 100.9


def test_beats_that_do_not_agree_with_their_rate_are_noticed_within_10_s() -> None:
    wearer = Wearer()
    after = noticed_after(
        wearer,
        Fault.NOISY,
        Kind.HEART_RATE,
        lambda: wearer.send(HeartRate(wearer.at, 140.0, (833.0 + wearer.now % 3,))),
    )
    assert after <= 10
    assert wearer.source().reason == "its beats and its rate do not agree"
    assert wearer.source().trust == 0


def test_more_beats_than_time_are_noticed_within_10_s() -> None:
    wearer = Wearer()
    after = noticed_after(
        wearer,
        Fault.NOISY,
        Kind.HEART_RATE,
        lambda: wearer.send(HeartRate(wearer.at, 72.0, tuple(800.0 + beat + wearer.now % 7 for beat in range(40)))),
    )
    assert after <= 10
    assert wearer.source().trust == 0
    assert wearer.sensing.vitals(wearer.now).rmssd_ms is None


def test_two_straps_of_one_patient_are_said_to_be_two() -> None:
    wearer = Wearer()
    beats = sorted(
        (0.001 * beat * (ms + beat % 5), ms + beat % 5) for ms in (640.0, 960.0) for beat in range(1, 13_000 // int(ms))
    )
    begin, reasons = wearer.now, []
    for seconds, ms in beats:
        wearer.now = begin + seconds
        wearer.send(HeartRate(wearer.at, round(60_000 / ms), (ms,), True))
        reasons.append((seconds, wearer.source().reason))
    assert any("two wearables may be sending" in reason for seconds, reason in reasons if seconds <= 10)


def stuck_beat(wearer: Wearer) -> Reading:
    return HeartRate(wearer.at, 72.0, (833.0,), contact=True)


def frozen_beat(_wearer: Wearer) -> Reading:
    return HeartRate(EPOCH, 72.0, (833.0,), contact=True)


@pytest.mark.parametrize("stuck", [stuck_beat, lambda w: SkinConductance(w.at, 4.2)], ids=["beats", "skin"])
def test_a_stuck_value_is_noticed_within_10_s(stuck: Callable[[Wearer], Reading]) -> None:
    wearer = Wearer()
    kind = stuck(wearer).kind
    assert noticed_after(wearer, Fault.STUCK, kind, lambda: wearer.send(stuck(wearer))) <= 10
    state = wearer.source(kind)
    assert state.trust == 0
    assert state.reason == "the very same value for 8 s"


def test_a_stuck_value_is_nobody_s_pulse() -> None:
    wearer = Wearer()
    for _ in range(40):
        wearer.now += 1.0
        wearer.send(stuck_beat(wearer))
    assert wearer.sensing.vitals(wearer.now).heart_rate_bpm is None


def test_two_readings_that_happen_to_be_the_same_are_not_stuck() -> None:
    wearer = Wearer()
    for _ in range(2):
        wearer.send(SkinConductance(wearer.at, 4.2))
        wearer.now += 9
    wearer.now -= 9
    assert wearer.source(Kind.SKIN_CONDUCTANCE).fault is None


def test_intervals_that_are_the_same_in_packets_of_another_size_are_stuck() -> None:
    wearer = Wearer()
    sizes = iter([1, 2, 1, 1, 2] * 10)
    assert (
        noticed_after(
            wearer,
            Fault.STUCK,
            Kind.HEART_RATE,
            lambda: wearer.send(HeartRate(wearer.at, 72.0, (833.0,) * next(sizes))),
        )
        <= 10
    )


def test_a_stuck_strap_that_skips_a_packet_is_still_stuck() -> None:
    wearer = Wearer()
    turns = iter(range(100))
    rr_ms = {0: (1200.0,), 1: ()}
    assert (
        noticed_after(
            wearer,
            Fault.STUCK,
            Kind.HEART_RATE,
            lambda: wearer.send(HeartRate(wearer.at, 50.0, rr_ms[next(turns) % 2])),
        )
        <= 10
    )


def test_a_reading_whose_time_stands_still_is_told_within_10_s() -> None:
    wearer = Wearer(now=0.0)
    after = noticed_after(wearer, Fault.STUCK, Kind.HEART_RATE, lambda: wearer.send(frozen_beat(wearer)))
    assert after <= 10
    assert wearer.source().reason == "its time stands still"


def test_a_stuck_source_that_stirs_again_is_trusted_again() -> None:
    wearer = Wearer()
    noticed_after(wearer, Fault.STUCK, Kind.HEART_RATE, lambda: wearer.send(stuck_beat(wearer)))
    wearer.beat(15, 62)
    assert wearer.source().fault is None
    assert wearer.source().trust > 0.5


WHOLE_NUMBERS: dict[Kind, Callable[[float], Reading]] = {
    Kind.HEART_RATE: lambda at: HeartRate(at, 64.0),
    Kind.RESPIRATION: lambda at: Respiration(at, 12.0),
}


@pytest.mark.parametrize("kind", WHOLE_NUMBERS)
def test_a_rate_in_whole_numbers_may_stay_the_same_for_five_minutes(kind: Kind) -> None:
    wearer = Wearer()
    after = noticed_after(wearer, Fault.STUCK, kind, lambda: wearer.send(WHOLE_NUMBERS[kind](wearer.at)))
    assert 295 <= after <= 305


def test_who_sits_still_for_an_hour_is_not_stuck(wearer: Wearer) -> None:
    for _ in range(3600):
        wearer.now += 1
        wearer.send(Motion(wearer.at, 0.0))
    assert wearer.source(Kind.MOTION).fault is None


def test_a_motion_sensor_stuck_on_a_movement_gates_nothing_any_more(wearer: Wearer) -> None:
    noticed_after(wearer, Fault.STUCK, Kind.MOTION, lambda: wearer.send(Motion(wearer.at, 0.5)))
    wearer.beat(15, 62)
    assert wearer.source().fault is None


def test_movement_is_told_of_heart_skin_and_breath(wearer: Wearer) -> None:
    wearer.move(0.6)
    wearer.beat(1, 62)
    wearer.sweat(1, 4.0, 2)
    wearer.breathe(1, 13)
    states = {state.kind: state for state in wearer.sensing.sources(wearer.now)}
    for kind in (Kind.HEART_RATE, Kind.SKIN_CONDUCTANCE, Kind.RESPIRATION):
        assert (states[kind].fault, states[kind].reason) == (Fault.MOVING, "moving, which hides the mood")
        assert states[kind].trust == 0
    assert states[Kind.MOTION].fault is None


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(8.4, "8 s"), (89, "89 s"), (90, "2 min"), (300, "5 min"), (5400, "2 h"), (86_400, "24 h"), (1e6, "12 days")],
)
def test_spans_are_told_as_people_say_them(seconds: float, told: str) -> None:
    assert spoken(seconds) == told
