"""A baseline: mean and spread of a feature at rest, and the arousal that a value speaks for beside it."""

import random
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.baseline import NORMS, REMEMBERED_SECONDS, TAKING_SECONDS, Rest
from musicmed_live.core.profile import MEANS, Baseline, Feature, Profile

RAISED_BY_AROUSAL = set(Feature) - {Feature.LN_RMSSD}


def taken(feature: Feature, values: Sequence[float], arousal: float | None = 0.0) -> Rest:
    rest = Rest(feature, None)
    if arousal is not None:
        rest.told(arousal)
    stay(rest, values)
    return rest


def stay(rest: Rest, values: Sequence[float]) -> None:
    for value in values:
        rest.meet(value, 2.0)
        rest.take(value, 2.0)


def known(mean: float, arousal: float = 0.0) -> Rest:
    """Of somebody whose heart at rest was taken on other days."""
    return Rest(Feature.HEART_RATE, Baseline(mean, 4.0, 600.0, arousal))


def kept_after(days: int, bpm: float, arousal: float | None = None) -> Baseline:
    """What is kept of a heart at rest at 62 after so many sessions of five minutes with `bpm`."""
    kept = Baseline(62.0, 4.0, 600.0)
    for _ in range(days):
        rest = Rest(Feature.HEART_RATE, kept)
        if arousal is not None:
            rest.told(arousal)
        stay(rest, [bpm] * 150)
        kept = rest.baseline
    return kept


def middle(feature: Feature) -> float:
    return sum(MEANS[feature]) / 2


def test_mean_and_spread_are_those_of_what_was_taken() -> None:
    chance = random.Random(1)
    values = [chance.gauss(62, 7) for _ in range(60)]
    baseline = taken(Feature.HEART_RATE, values, None).baseline
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
    assert taken(Feature.HEART_RATE, [80] * 60, None).baseline == Baseline(80.0, 4.0, 120.0, 0.0)


def test_a_body_that_was_taken_without_a_word_stands_for_the_first_one() -> None:
    rest = taken(Feature.HEART_RATE, [80] * 60, None)
    rest.told(0.6)
    stay(rest, [80])
    assert rest.arousal(80)[0] == pytest.approx(0.6)


@given(st.floats(-0.95, 0.95), st.lists(st.floats(-0.95, 0.95), min_size=3, max_size=6))
def test_the_same_word_again_and_again_wins_over_a_body_that_has_not_moved(last: float, before: list[float]) -> None:
    rest = known(62)
    for arousal in before + [last] * 5:
        rest.told(arousal)
        stay(rest, [80.0] * 20)
    assert rest.arousal(80)[0] == pytest.approx(last, abs=0.05)


def test_of_a_later_report_most_is_taken_at_once() -> None:
    rest = taken(Feature.HEART_RATE, [66] * 90, 0.41)
    rest.told(-0.31)
    stay(rest, [66])
    assert -0.31 < rest.arousal(66)[0] < 0.0


def test_a_report_that_corrects_another_one_takes_its_place() -> None:
    corrected, said = taken(Feature.HEART_RATE, [66] * 90, 0.4), taken(Feature.HEART_RATE, [66] * 90, 0.4)
    for arousal in (0.3, 0.1, -0.3):
        corrected.told(arousal)
    said.told(-0.3)
    for rest in (corrected, said):
        stay(rest, [66] * 10)
    assert corrected.arousal(66) == said.arousal(66)


@pytest.mark.parametrize("steady_seconds", [0, 10, 60])
def test_a_heart_that_rises_after_a_report_is_heard(steady_seconds: int) -> None:
    rest = taken(Feature.HEART_RATE, [66] * 90, 0.4)
    rest.told(-0.3)
    stay(rest, [66] * (steady_seconds // 2) + [91] * 30)
    assert rest.arousal(91)[0] > 0.8


def test_a_body_that_is_hardly_trusted_is_met_and_makes_no_baseline() -> None:
    rest = known(62)
    before = rest.baseline
    rest.told(0.4)
    rest.meet(66, 2.0)
    assert rest.arousal(66)[0] == pytest.approx(0.4)
    assert rest.baseline == before


def test_a_kept_baseline_counts_for_a_minute_of_what_is_taken_now() -> None:
    rest = known(60, -0.3)
    stay(rest, [69] * 60)
    assert rest.arousal(66)[0] == pytest.approx(-0.3)


def test_whoever_comes_in_excitement_is_not_taken_to_be_at_rest() -> None:
    for word in (None, 0.0):
        rest = known(60)
        if word is not None:
            rest.told(word)
        stay(rest, [104] * 60)
        assert rest.arousal(70)[0] >= 0
        assert rest.arousal(104)[0] > 0.9


def test_who_goes_on_saying_that_a_fast_heart_is_calm_is_believed() -> None:
    rest = known(60)
    for _ in range(4):
        rest.told(-0.3)
        stay(rest, [104] * 45)
    assert rest.arousal(104)[0] < 0.0


def test_ten_days_of_excitement_hardly_move_what_is_kept() -> None:
    kept = kept_after(10, 95)
    assert 62 < kept.mean < 69
    assert Rest(Feature.HEART_RATE, kept).arousal(95)[0] > 0.9


def test_what_is_kept_follows_a_body_that_is_another_one_for_many_days() -> None:
    kept = kept_after(30, 68, 0.0)
    assert kept.mean == pytest.approx(68, abs=0.5)
    assert kept.arousal == 0


def test_a_tense_day_at_a_usual_pace_does_not_become_rest() -> None:
    kept = kept_after(1, 66, 0.41)
    assert kept.mean == pytest.approx(62, abs=0.1)
    assert kept.arousal == 0


def test_a_session_without_readings_leaves_what_is_kept_as_it_was() -> None:
    kept = Baseline(62.0, 5.0, 600.0, 0.1)
    rest = Rest(Feature.HEART_RATE, kept)
    rest.told(0.9)
    assert rest.baseline == kept


@given(st.sampled_from(Feature), st.lists(st.floats(1.0, 4.0), min_size=1, max_size=100), st.data())
def test_a_baseline_can_be_kept_however_often_it_was_rounded(
    feature: Feature, spans: list[float], data: st.DataObject
) -> None:
    value, arousal = data.draw(st.sampled_from(MEANS[feature])), data.draw(st.sampled_from([-1.0, 1.0]))
    rest = Rest(feature, None)
    rest.told(arousal)
    for seconds in spans:
        rest.meet(value, seconds)
        rest.take(value, seconds)
    profile = Profile({feature: rest.baseline})
    assert Profile.from_json(profile.to_json()) == profile


def test_a_baseline_never_grows_so_old_that_it_cannot_follow() -> None:
    for arousal in (None, 0.0):
        rest = taken(Feature.HEART_RATE, [62] * 3000, arousal)
        assert rest.baseline.seconds <= REMEMBERED_SECONDS
        stay(rest, [63] * 300)
        assert 62.4 < rest.baseline.mean < 62.8
