"""Sensing: what a body says of arousal, beside itself at rest; never of valence, never in jumps."""

import math
import random
import statistics
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.estimate import SENSED_PER_SECOND
from musicmed_live.core.events import Play, Report, Sense
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.plan import Plan
from musicmed_live.core.profile import Baseline, Feature, Profile
from musicmed_live.core.readings import HeartRate, Kind, Motion, Reading, Respiration, SkinConductance
from musicmed_live.core.sensing import (
    SPEAKS_EACH_SECONDS,
    ArousalObservation,
    Sensing,
    Vitals,
    fused,
)
from musicmed_live.core.session import Session
from musicmed_live.core.sources import Fault
from tests.core.wearer import EPOCH, Wearer

AT_REST = Profile({Feature.HEART_RATE: Baseline(62.0, 4.0, 600.0), Feature.LN_RMSSD: Baseline(3.7, 0.25, 600.0)})
TENSE, CALM = WORDS["tense"][0], WORDS["calm"][0]


@pytest.fixture
def wearer() -> Wearer:
    return Wearer()


@pytest.fixture
def known() -> Wearer:
    """Somebody whose heart at rest is known from an earlier session."""
    return Wearer(Sensing(AT_REST))


def test_nothing_is_said_before_there_is_a_baseline(wearer: Wearer) -> None:
    wearer.beat(25, 62)
    assert not wearer.said


def test_a_body_as_it_was_at_first_says_no_more_than_the_baseline_stands_for(wearer: Wearer) -> None:
    wearer.beat(180, 62)
    assert wearer.said
    assert all(abs(observation.value) < 0.15 for _, observation in wearer.said)


@pytest.mark.parametrize(("bpm", "sign"), [(80, 1), (50, -1)])
def test_a_faster_heart_raises_arousal_and_a_slower_one_lowers_it(wearer: Wearer, bpm: float, sign: int) -> None:
    wearer.beat(150, 62)
    wearer.beat(60, bpm)
    assert sign * wearer.arousal() > 0.4


def test_a_wetter_skin_and_more_responses_raise_arousal(wearer: Wearer) -> None:
    wearer.sweat(150, 3.0, 2)
    wearer.sweat(90, 4.5, 12)
    assert wearer.arousal() > 0.4


def test_faster_breath_raises_arousal(wearer: Wearer) -> None:
    wearer.breathe(150, 13)
    wearer.breathe(60, 19)
    assert wearer.arousal() > 0.3


def test_a_baseline_stands_for_what_the_patient_reports_meanwhile(wearer: Wearer) -> None:
    wearer.beat(60, 85)
    wearer.sensing.anchor(0.6)
    wearer.beat(90, 85)
    assert wearer.arousal() == pytest.approx(0.6, abs=0.15)
    wearer.beat(90, 70)
    assert wearer.arousal() < 0.2


def test_a_report_wins_over_a_body_that_has_not_moved(wearer: Wearer) -> None:
    wearer.sensing.anchor(0.41)
    wearer.beat(180, 66)
    wearer.sensing.anchor(-0.31)
    wearer.beat(4, 66)
    assert wearer.arousal() < -0.15
    wearer.beat(90, 66)
    assert wearer.arousal() < 0.0
    wearer.sensing.anchor(-0.31)
    wearer.beat(90, 66)
    assert wearer.arousal() == pytest.approx(-0.31, abs=0.15)


@pytest.mark.parametrize("steady_seconds", [0, 5, 20, 60])
def test_a_heart_that_rises_after_a_calm_report_is_heard(wearer: Wearer, steady_seconds: float) -> None:
    wearer.sensing.anchor(0.41)
    wearer.beat(180, 66)
    wearer.sensing.anchor(-0.31)
    wearer.beat(steady_seconds, 66)
    wearer.beat(45, 91)
    assert wearer.arousal() > 0.4


def test_a_word_wins_over_a_body_that_is_hardly_trusted_too(known: Wearer) -> None:
    known.beat(60, 66, false_share=0.12)
    known.sensing.anchor(0.6)
    said = len(known.said)
    known.beat(60, 66, false_share=0.12)
    assert statistics.fmean(observation.value for _, observation in known.said[said:]) > 0.35


def test_a_tense_word_wins_over_a_pace_that_was_calm_on_other_days(known: Wearer) -> None:
    known.beat(60, 66)
    before = known.arousal()
    known.sensing.anchor(0.41)
    known.beat(4, 66)
    assert known.arousal() > 0.3 > before
    known.beat(60, 66)
    assert known.arousal() == pytest.approx(0.41, abs=0.15)


def test_a_baseline_of_an_earlier_session_speaks_at_once(known: Wearer) -> None:
    known.beat(15, 80)
    assert known.arousal() > 0.2


def test_a_baseline_of_an_earlier_session_is_brought_up_to_date(known: Wearer) -> None:
    known.sensing.anchor(0.0)
    known.beat(180, 70)  # more coffee than last time
    assert abs(known.arousal()) < 0.4
    assert 62 < known.sensing.profile.baselines[Feature.HEART_RATE].mean < 63


def test_a_baseline_follows_a_calm_body_slowly_and_an_aroused_one_not_at_all(wearer: Wearer) -> None:
    def mean() -> float:
        return wearer.sensing.profile.baselines[Feature.HEART_RATE].mean

    wearer.beat(150, 62)
    taken = mean()
    wearer.beat(300, 63)
    assert taken < mean() < 63
    followed = mean()
    wearer.beat(300, 85)
    assert mean() == pytest.approx(followed, abs=0.5)


def test_nothing_is_learned_of_a_source_that_is_hardly_trusted(known: Wearer) -> None:
    learned = known.sensing.profile
    for bpm in range(50, 110):
        known.now += 1.0
        known.send(HeartRate(known.at - 7.5, float(bpm)))
    assert known.said
    assert known.sensing.profile == learned


def test_the_profile_keeps_what_was_not_measured_and_what_others_learned() -> None:
    skin = Baseline(1.2, 0.2, 120.0, 0.3)
    wearer = Wearer(Sensing(Profile({Feature.LN_SKIN_LEVEL: skin}, report_sd=0.2)))
    wearer.beat(60, 62)
    profile = wearer.sensing.profile
    assert profile.report_sd == 0.2
    assert set(profile.baselines) == {Feature.LN_SKIN_LEVEL, Feature.HEART_RATE, Feature.LN_RMSSD}
    kept = profile.baselines[Feature.LN_SKIN_LEVEL]
    assert (kept.mean, kept.sd, kept.arousal) == pytest.approx((1.2, 0.2, 0.3))
    assert Profile.from_json(profile.to_json()) == profile


def test_readings_that_come_often_are_no_further_evidence(known: Wearer) -> None:
    for _ in range(100):
        known.now += 0.1
        known.send(HeartRate(known.at, 62.0 + known.now % 1))
    assert len(known.said) <= 10 / SPEAKS_EACH_SECONDS
    assert all(later[0] - earlier[0] >= SPEAKS_EACH_SECONDS for earlier, later in pairwise(known.said))


def test_sources_that_speak_at_once_make_one_observation(known: Wearer) -> None:
    known.beat(10, 62)
    last = known.said[-1][0]
    known.breathe(4, 13)
    assert all(time - last >= SPEAKS_EACH_SECONDS for time, _ in known.said if time > last)


def test_a_spike_does_not_jump(known: Wearer) -> None:
    known.beat(20, 62)
    then, before = known.said[-1]
    known.now += 2.0
    observation = known.send(HeartRate(known.at, 190.0, (315.0, 310.0, 318.0, 316.0), contact=True))
    assert observation is not None
    assert abs(observation.value - before.value) <= SENSED_PER_SECOND * (known.now - then)


def test_after_a_silence_the_body_goes_on_from_where_it_was(known: Wearer) -> None:
    known.beat(20, 62)
    before = known.arousal()
    known.now += 3600
    known.beat(3.5, 100)
    assert abs(known.said[-1][1].value - before) <= SENSED_PER_SECOND * 12


def test_the_first_word_of_a_body_begins_at_the_report(known: Wearer) -> None:
    known.sensing.anchor(0.7)
    known.beat(5, 62)
    assert known.said[0][1].value == pytest.approx(0.7, abs=SENSED_PER_SECOND * SPEAKS_EACH_SECONDS)


def test_a_noisy_source_says_less(known: Wearer) -> None:
    noisy = Wearer(Sensing(AT_REST))
    known.beat(60, 62)
    noisy.beat(60, 62, false_share=0.12)
    assert noisy.source().trust < 0.8 < known.source().trust
    assert noisy.said[-1][1].sd > 1.2 * known.said[-1][1].sd


@pytest.mark.parametrize("seed", range(20))
def test_a_loose_strap_is_told_within_10_s_and_not_trusted(seed: int) -> None:
    wearer = Wearer(Sensing(AT_REST))
    wearer.beat(70, 62)
    begin = wearer.now
    chance = random.Random(seed)

    while wearer.source().fault is not Fault.NOISY:
        rr_ms = chance.uniform(200, 1500)
        wearer.now += rr_ms / 1000
        wearer.send(HeartRate(wearer.at, None, (rr_ms,), contact=True))
    assert wearer.now - begin <= 10
    assert wearer.source().trust == 0
    assert wearer.source().reason.startswith("many false beats (")


def test_a_skin_that_jumps_is_told_within_10_s_and_one_spike_is_no_fault(wearer: Wearer) -> None:
    wearer.sweat(60, 4.0, 2)
    wearer.now += 0.25
    wearer.send(SkinConductance(wearer.at, 30.0))
    wearer.sweat(4, 4.0, 2)
    state = wearer.source(Kind.SKIN_CONDUCTANCE)
    assert state.fault is None
    assert state.trust < 0.5
    for us in [4.0, 30.0] * 20:
        wearer.now += 0.25
        wearer.send(SkinConductance(wearer.at, us))
    assert wearer.source(Kind.SKIN_CONDUCTANCE).fault is Fault.NOISY
    assert wearer.source(Kind.SKIN_CONDUCTANCE).reason.startswith("many false values (")


def test_who_moves_is_not_measured(known: Wearer) -> None:
    known.beat(20, 62)
    for _ in range(10):
        known.move(0.6)
        known.beat(1, 110)
    said = len(known.said)
    assert known.source().fault is Fault.MOVING
    assert known.source().trust == 0
    known.move(0.6)
    known.beat(3, 110)
    assert len(known.said) == said


def test_a_motion_sensor_that_dies_gates_nothing(known: Wearer) -> None:
    for _ in range(5):
        known.move(0.6)
        known.beat(1, 62)
    known.beat(12, 62)
    assert known.source().fault is None
    assert known.source(Kind.MOTION).fault is Fault.QUIET


def test_vitals_are_what_is_known(known: Wearer) -> None:
    nothing = known.sensing.vitals(known.now)
    assert nothing.heart_rate_bpm is nothing.rmssd_ms is nothing.respiration_per_minute is None
    assert nothing.skin_conductance_us is None
    known.beat(90, 62)
    known.sweat(20, 4.0, 2)
    vitals = known.sensing.vitals(known.now - 20)
    assert vitals.heart_rate_bpm == pytest.approx(62, abs=1.5)
    assert vitals.rmssd_ms is not None
    assert known.sensing.vitals(known.now).skin_conductance_us == pytest.approx(4.0, abs=0.2)
    assert known.sensing.vitals(known.now).heart_rate_bpm is None


def test_a_belt_knows_breath_better_than_the_heart_does(known: Wearer) -> None:
    known.beat(90, 62)
    known.breathe(3, 11)
    assert known.sensing.vitals(known.now).respiration_per_minute == pytest.approx(11, abs=1)
    known.beat(90, 62)
    assert known.sensing.vitals(known.now).respiration_per_minute == pytest.approx(15, abs=1)


def test_vitals_of_a_strap_that_was_taken_off_are_not_known(known: Wearer) -> None:
    known.beat(90, 62)
    known.send(HeartRate(known.at + 0.1, None, (), contact=False))
    assert known.sensing.vitals(known.now) == Vitals(None, None, None, None)


def test_vitals_of_false_beats_are_not_known(known: Wearer) -> None:
    known.beat(60, 62)
    known.beat(15, 62, false_share=0.9)
    assert known.source().fault is Fault.NOISY
    assert known.sensing.vitals(known.now) == Vitals(None, None, None, None)


REPORTS_EACH_SECONDS = 90


@dataclass
class Follower:
    """A patient whose heart beats at 66 whatever the mood, and who reports to be exactly where the music is."""

    start: Emotion
    profile: Profile = field(default_factory=Profile)
    second: int = 0

    def __post_init__(self) -> None:
        self.session = Session(Plan(self.start, CALM, None, 1), self.profile, 0.0)
        self.session.handle(Play(), 0, now=0.0)

    def listen(self, seconds: int, reporting: bool) -> None:
        for _ in range(seconds):
            self.second += 1
            heard, now = self.second * SAMPLE_RATE, float(self.second)
            interval = 909.0 * (1 + 0.03 * math.sin(self.second * 1.6) + 0.005 * (self.second % 3))
            reading = HeartRate(EPOCH + now, 66.0, (interval,), contact=True)
            self.session.handle(Sense(reading, 0.0), heard, now=now)
            if reporting and self.second % REPORTS_EACH_SECONDS == 0:
                self.session.handle(Report(self.session.target(heard)), heard, now=now)

    @property
    def believed(self) -> Emotion:
        estimate = self.session.estimate(self.second)
        assert estimate is not None
        return estimate.emotion

    @property
    def phase(self) -> str:
        return self.session.wire_phase(self.second * SAMPLE_RATE)


def test_a_resting_heart_does_not_keep_back_who_says_to_follow() -> None:
    follower = Follower(TENSE)
    follower.listen(15 * 60, reporting=True)
    assert follower.phase == "arrived"
    follower.listen(3 * 60, reporting=False)
    assert follower.phase == "arrived"
    assert follower.believed.distance(CALM) < 0.15


def test_who_begins_calm_with_the_same_heart_as_last_time_is_not_thought_to_be_livelier() -> None:
    before = Follower(TENSE)
    before.listen(15 * 60, reporting=True)
    for profile in (before.session.profile, Profile({Feature.HEART_RATE: Baseline(66.0, 4.0, 600.0)})):
        follower = Follower(CALM, profile)
        follower.listen(90, reporting=False)
        assert follower.believed.arousal == pytest.approx(CALM.arousal, abs=0.12)


def test_two_features_say_more_than_one_and_less_than_two_that_have_nothing_in_common() -> None:
    value, sd = fused([(0.2, 0.4), (0.6, 0.4)])
    assert value == pytest.approx(0.4)
    assert 1.01 * 0.4 / math.sqrt(2) < sd < 0.99 * 0.4


def test_of_two_features_the_surer_one_weighs_more() -> None:
    assert fused([(0.0, 0.2), (1.0, 0.6)])[0] == pytest.approx(0.1)


ats = st.floats(0, 4e9) | st.just(EPOCH)
bpms = st.none() | st.floats(20, 300)
intervals = st.lists(st.floats(100, 5000) | st.sampled_from((800.0, 805.0, 100.0, 5000.0)), max_size=64).map(tuple)
contacts = st.sampled_from((True, False, None))


class AnySource(RuleBasedStateMachine):
    """Whatever valid readings come, whenever they come."""

    def __init__(self) -> None:
        super().__init__()
        self.sensing = Sensing(AT_REST)
        self.now = 0.0
        self.said: tuple[float, ArousalObservation] | None = None

    @rule(seconds=st.floats(0, 3) | st.floats(0, 1000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(arousal=st.floats(-1, 1))
    def report(self, arousal: float) -> None:
        self.sensing.anchor(arousal)
        self.said = None  # readings go on from there

    @rule(late=st.floats(-2, 10), bpm=bpms, rr_ms=intervals, contact=contacts)
    def beat(self, late: float, bpm: float | None, rr_ms: tuple[float, ...], contact: bool | None) -> None:
        self.send(HeartRate(EPOCH + self.now - late, bpm, rr_ms, contact), late)

    @rule(late=st.floats(-2, 10), us=st.floats(0, 100), contact=contacts)
    def sweat(self, late: float, us: float, contact: bool | None) -> None:
        self.send(SkinConductance(EPOCH + self.now - late, us, contact), late)

    @rule(rate=st.floats(2, 80))
    def breathe(self, rate: float) -> None:
        self.send(Respiration(EPOCH + self.now, rate), 0.0)

    @rule(g=st.floats(0, 16))
    def move(self, g: float) -> None:
        self.send(Motion(EPOCH + self.now, g), 0.0)

    @rule(at=ats, age=st.floats(-4e9, 4e9))
    def send_from_another_time(self, at: float, age: float) -> None:
        self.send(HeartRate(at, 70.0), age)

    def send(self, reading: Reading, age: float) -> None:
        observation = self.sensing.take(reading, age, self.now)
        if observation is None:
            return
        assert -1 <= observation.value <= 1
        assert 0 < observation.sd < math.inf
        if self.said is not None:
            seconds = self.now - self.said[0]
            assert seconds >= SPEAKS_EACH_SECONDS
            assert abs(observation.value - self.said[1].value) <= SENSED_PER_SECOND * seconds + 1e-12
        self.said = self.now, observation

    @invariant()
    def every_source_is_worth_something_between_nothing_and_all(self) -> None:
        for state in self.sensing.sources(self.now):
            assert 0 <= state.trust <= 1
            assert state.reason
            assert state.age_seconds >= 0

    @invariant()
    def the_profile_can_be_kept(self) -> None:
        profile = self.sensing.profile
        assert Profile.from_json(profile.to_json()) == profile


AnySource.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnySource = AnySource.TestCase
