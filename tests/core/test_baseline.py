"""A baseline: mean and spread of a feature at rest, and the arousal that a value speaks for beside it."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.baseline import NORMS, REMEMBERED_SECONDS, TAKING_SECONDS, Rest
from musicmed_live.core.profile import MEANS, Baseline, Feature, Profile

RAISED_BY_AROUSAL = set(Feature) - {Feature.LN_RMSSD}


def taken(feature: Feature, values: list[float], arousal: float | None = 0.0) -> Rest:
    rest = Rest(feature, None)
    for value in values:
        rest.take(value, 2.0, arousal)
    return rest


def middle(feature: Feature) -> float:
    return sum(MEANS[feature]) / 2


def test_mean_and_spread_are_those_of_what_was_taken() -> None:
    chance = random.Random(1)
    values = [chance.gauss(62, 7) for _ in range(60)]
    baseline = taken(Feature.HEART_RATE, values).baseline
    assert baseline.mean == pytest.approx(statistics.fmean(values))
    assert baseline.sd == pytest.approx(statistics.pstdev(values))
    assert baseline.seconds == pytest.approx(TAKING_SECONDS)


@pytest.mark.parametrize("feature", Feature)
def test_a_body_that_hardly_stirs_has_the_spread_of_the_literature(feature: Feature) -> None:
    assert taken(feature, [middle(feature)] * 5).baseline.sd == NORMS[feature].sd_floor


def test_a_baseline_taken_amid_artefacts_does_not_make_deaf() -> None:
    assert taken(Feature.HEART_RATE, [40, 200] * 30).baseline.sd == 3 * NORMS[Feature.HEART_RATE].sd_floor


@given(st.sampled_from(Feature), st.floats(-1, 1), st.data())
def test_what_speaks_for_more_arousal_is_further_up_or_for_rmssd_further_down(
    feature: Feature, anchor: float, data: st.DataObject
) -> None:
    rest = taken(feature, [middle(feature)] * 60, anchor)
    low, high = sorted(data.draw(st.floats(*MEANS[feature])) for _ in range(2))
    sign = 1 if feature in RAISED_BY_AROUSAL else -1
    assert -1 <= sign * rest.arousal(low)[0] <= sign * rest.arousal(high)[0] <= 1


def test_fear_s_eight_beats_a_minute_are_fear_s_arousal() -> None:
    assert taken(Feature.HEART_RATE, [62] * 600).arousal(70)[0] == pytest.approx(0.64, abs=0.02)


@given(st.sampled_from(Feature), st.floats(-0.95, 0.95))
def test_the_baseline_itself_speaks_for_the_arousal_that_it_was_taken_at(feature: Feature, arousal: float) -> None:
    rest = taken(feature, [middle(feature)] * 60, arousal)
    assert rest.arousal(middle(feature))[0] == pytest.approx(arousal)


def test_the_longer_a_baseline_was_taken_the_surer_is_what_is_compared_with_it() -> None:
    sds = [taken(Feature.HEART_RATE, [62] * count).arousal(70)[1] for count in (15, 60, 300)]
    assert sds == sorted(sds, reverse=True)
    assert sds[-1] > NORMS[Feature.HEART_RATE].noise_sd


def test_without_a_report_a_baseline_stands_for_no_arousal_at_all() -> None:
    assert taken(Feature.HEART_RATE, [80] * 60, None).baseline.arousal == 0


def test_the_first_report_tells_what_was_taken_before_it() -> None:
    rest = taken(Feature.HEART_RATE, [80] * 30, None)
    rest.take(80, 2.0, 0.6)
    assert rest.baseline.arousal == pytest.approx(0.6)
    rest.take(80, 2.0, 0.0)
    assert rest.baseline.arousal == pytest.approx(0.6 * 31 / 32)


def test_a_report_after_the_first_minutes_is_not_what_the_baseline_stands_for() -> None:
    rest = taken(Feature.HEART_RATE, [80] * 60, None)
    rest.take(80, 2.0, 0.6)
    assert rest.baseline.arousal == 0


def test_a_kept_baseline_counts_for_a_minute_of_what_is_taken_now() -> None:
    rest = Rest(Feature.HEART_RATE, Baseline(60.0, 4.0, 600.0, -0.3))
    for number in range(60):
        rest.take(69, 2.0, None if number < 30 else 0.6)
    assert rest.baseline.mean == pytest.approx(66)
    assert rest.baseline.arousal == pytest.approx(0.3)


def test_whoever_comes_in_excitement_is_not_taken_to_be_at_rest() -> None:
    rest = Rest(Feature.HEART_RATE, Baseline(60.0, 4.0, 600.0))
    for _ in range(60):
        rest.take(104, 2.0, 0.0)
    assert rest.baseline.mean < 67
    assert rest.arousal(104)[0] > 0.9


@given(st.sampled_from(Feature), st.lists(st.floats(1.0, 4.0), min_size=1, max_size=100), st.data())
def test_a_baseline_can_be_kept_however_often_it_was_rounded(
    feature: Feature, spans: list[float], data: st.DataObject
) -> None:
    value, arousal = data.draw(st.sampled_from(MEANS[feature])), data.draw(st.sampled_from([-1.0, 1.0]))
    rest = Rest(feature, None)
    for seconds in spans:
        rest.take(value, seconds, arousal)
    profile = Profile({feature: rest.baseline})
    assert Profile.from_json(profile.to_json()) == profile


def test_a_baseline_never_grows_so_old_that_it_cannot_follow() -> None:
    rest = taken(Feature.HEART_RATE, [62] * 3000)
    assert rest.baseline.seconds == REMEMBERED_SECONDS
    for _ in range(300):
        rest.take(63, 2.0, 0.0)
    assert 62.4 < rest.baseline.mean < 62.8
