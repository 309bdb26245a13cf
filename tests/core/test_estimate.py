"""The estimate: what is said moves both axes, what the body shows moves arousal, time makes unsure."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.estimate import MAX_SD, REPORT_SD, REPORT_SD_BOUNDS, SENSED_PER_SECOND, Estimate, Estimator

TENSE, CALM = Emotion(-0.5, 0.5), Emotion(0.5, -0.4)
EASED = Emotion(-0.25, 0.3)  # no surprise

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
waits = st.floats(0, 600)
reports = st.tuples(st.just("report"), waits, emotions)
readings = st.tuples(st.just("reading"), waits, coordinates)
changes = st.tuples(st.just("change"), waits, st.none())
happenings = st.lists(st.one_of(reports, readings, changes), max_size=30)


def estimate_of(estimator: Estimator, now: float) -> Estimate:
    found = estimator.at(now)
    assert found is not None
    return found


def tell(estimator: Estimator, events: list[tuple[str, float, Emotion | float | None]]) -> float:
    """Let it all happen, one after the other; when it is over."""
    now = 0.0
    for kind, wait, what in events:
        now += wait
        if kind == "report":
            assert isinstance(what, Emotion)
            estimator.report(what, now)
        elif kind == "reading":
            assert isinstance(what, float)
            estimator.observe_arousal(what, 0.2, now)
        else:
            estimator.music_changed(now)
    return now


def test_nothing_is_known_before_the_first_word() -> None:
    assert Estimator(None, 0.0).at(60.0) is None


def test_the_first_word_is_taken_as_it_is() -> None:
    found = estimate_of(Estimator(TENSE, 0.0), 0.0)
    assert found.emotion == TENSE
    assert (found.valence_sd, found.arousal_sd, found.report_sd) == pytest.approx((REPORT_SD, REPORT_SD, REPORT_SD))


def test_it_grows_unsure_with_time_and_never_more_than_of_somebody_unknown() -> None:
    estimator = Estimator(TENSE, 0.0)
    sds = [estimate_of(estimator, now).valence_sd for now in (0, 60, 600, 6000, 60_000)]
    assert sds == sorted(sds)
    assert sds[1] > sds[0]
    assert sds[-1] == pytest.approx(MAX_SD)
    assert estimate_of(estimator, 60_000).emotion == TENSE


def test_a_report_moves_both_axes_and_more_the_older_the_last_one_is() -> None:
    def moved(wait: float) -> float:
        estimator = Estimator(TENSE, 0.0)
        estimator.report(EASED, wait)
        return estimate_of(estimator, wait).emotion.distance(TENSE)

    assert 0 < moved(10) < moved(120) < moved(1200) < EASED.distance(TENSE)


@pytest.mark.parametrize("after_change", [1.0, 30.0])
def test_a_report_that_surprises_is_believed(after_change: float) -> None:
    estimator = Estimator(TENSE, 0.0)
    estimator.music_changed(60.0 - after_change)
    estimator.report(CALM, 60.0)
    assert estimate_of(estimator, 60.0).emotion == CALM


@pytest.mark.parametrize("said", [EASED, CALM])
def test_the_estimate_foretells_what_a_report_will_make_of_it(said: Emotion) -> None:
    estimator = Estimator(TENSE, 0.0)
    foretold = estimate_of(estimator, 90.0).told(said)
    estimator.report(said, 90.0)
    assert estimate_of(estimator, 90.0).emotion.distance(foretold.emotion) < 1e-9


@given(st.lists(st.tuples(st.floats(0, 30), coordinates), max_size=20))
def test_readings_never_move_valence(seen: list[tuple[float, float]]) -> None:
    estimator, quiet = Estimator(TENSE, 0.0), Estimator(TENSE, 0.0)
    now = 0.0
    for wait, arousal in seen:
        now += wait
        estimator.observe_arousal(arousal, 0.1, now)
    found, expected = estimate_of(estimator, now), estimate_of(quiet, now)
    assert found.emotion.valence == expected.emotion.valence
    assert found.valence_sd == pytest.approx(expected.valence_sd)


def test_readings_draw_arousal_to_what_they_show() -> None:
    estimator = Estimator(TENSE, 0.0)
    for second in range(1, 121):
        estimator.observe_arousal(-0.4, 0.2, float(second))
    assert estimate_of(estimator, 120).emotion.arousal == pytest.approx(-0.4, abs=0.05)


@given(st.lists(st.tuples(st.floats(0, 1), coordinates), min_size=1, max_size=60))
def test_readings_move_arousal_no_faster_than_a_body_can(seen: list[tuple[float, float]]) -> None:
    estimator = Estimator(TENSE, 0.0)
    now = 0.0
    for wait, arousal in seen:
        now += wait
        estimator.observe_arousal(arousal, 0.01, now)
        assert abs(estimate_of(estimator, now).emotion.arousal - TENSE.arousal) <= SENSED_PER_SECOND * now + 1e-9


def test_ten_thousand_readings_in_a_second_weigh_no_more_than_one() -> None:
    one, many = Estimator(TENSE, 0.0), Estimator(TENSE, 0.0)
    one.observe_arousal(-1.0, 0.2, 1.0)
    for count in range(1, 10_001):
        many.observe_arousal(-1.0, 0.2, count / 10_000)
    slow, fast = estimate_of(one, 1.0), estimate_of(many, 1.0)
    assert slow.emotion.arousal == pytest.approx(fast.emotion.arousal, abs=0.05)
    assert fast.arousal_sd > 0.6 * slow.arousal_sd


def test_of_two_sources_that_speak_at_once_both_are_heard() -> None:
    estimator = Estimator(Emotion(0, 0), 0.0)
    for second in range(1, 301):
        estimator.observe_arousal(0.6, 0.2, float(second))
        estimator.observe_arousal(0.0, 0.2, second + 0.001)
    assert 0.15 < estimate_of(estimator, 301).emotion.arousal < 0.45


def test_a_reading_before_the_first_word_begins_at_neutral() -> None:
    estimator = Estimator(None, 0.0)
    estimator.observe_arousal(0.8, 0.2, 100.0)
    found = estimate_of(estimator, 100.0)
    assert found.emotion.valence == 0
    assert found.valence_sd == pytest.approx(MAX_SD)
    assert 0 <= found.emotion.arousal <= 0.25


def test_a_report_weighs_a_quarter_while_the_listener_finds_their_way_in_changed_music() -> None:
    def moved(after_change: float) -> float:
        estimator = Estimator(TENSE, 0.0)
        estimator.music_changed(60.0 - after_change)
        estimator.report(EASED, 60.0)
        return estimate_of(estimator, 60.0).emotion.distance(TENSE)

    assert moved(1) == moved(8) < moved(10) < moved(12) == moved(30)


def test_who_drags_the_slider_has_said_the_last_thing_only() -> None:
    dragged, said = Estimator(TENSE, 0.0), Estimator(TENSE, 0.0)
    for step in range(1, 5):
        dragged.report(TENSE.blend(CALM, step / 4), 60.0 + step)
    said.report(CALM, 64.0)
    assert estimate_of(dragged, 64.0).emotion.distance(estimate_of(said, 64.0).emotion) < 1e-6
    assert dragged.report_sd == pytest.approx(said.report_sd)


def test_a_correction_keeps_the_weight_of_the_first_word() -> None:
    """The music answers the first word of a drag: that must not make the last word count for less."""
    answered, unanswered = Estimator(TENSE, 0.0), Estimator(TENSE, 0.0)
    for estimator in (answered, unanswered):
        estimator.report(NEUTRAL, 60.0)
    answered.music_changed(60.5)
    for estimator in (answered, unanswered):
        estimator.report(CALM, 62.0)
    assert estimate_of(answered, 62.0) == estimate_of(unanswered, 62.0)


def test_a_correction_keeps_what_readings_have_shown_meanwhile() -> None:
    estimator = Estimator(TENSE, 0.0)
    estimator.report(TENSE, 60.0)
    for tenth in range(1, 40):
        estimator.observe_arousal(-1.0, 0.05, 60.0 + tenth / 10)
    estimator.report(TENSE, 64.0)
    assert estimate_of(estimator, 64.0).emotion.arousal < TENSE.arousal - 0.02


def test_what_comes_later_is_a_report_of_its_own() -> None:
    estimator = Estimator(TENSE, 0.0)
    estimator.report(EASED, 60.0)
    once = estimate_of(estimator, 66.0)
    estimator.report(EASED, 66.0)
    twice = estimate_of(estimator, 66.0)
    assert twice.emotion.distance(EASED) < once.emotion.distance(EASED)
    assert twice.valence_sd < once.valence_sd


@pytest.mark.parametrize("sd", [0.05, 0.1, 0.2, 0.3])
def test_it_learns_how_much_a_patients_reports_vary(sd: float) -> None:
    dice = random.Random(7)
    estimator = Estimator(None, 0.0)
    for count in range(60):
        said = Emotion(max(-1.0, min(1.0, dice.gauss(0, sd))), max(-1.0, min(1.0, dice.gauss(0, sd))))
        estimator.report(said, 20.0 * count)
    assert estimator.report_sd == pytest.approx(sd, abs=0.05)


def test_what_was_learned_of_a_patient_is_where_the_next_session_begins() -> None:
    assert Estimator(None, 0.0, report_sd=0.3).report_sd == pytest.approx(0.3)


def test_one_change_of_mood_is_not_taken_for_noise() -> None:
    estimator = Estimator(TENSE, 0.0)
    estimator.report(CALM, 60.0)
    assert estimator.report_sd < 1.6 * REPORT_SD


@given(happenings)
def test_it_stays_in_the_plane_and_within_its_bounds_whatever_happens(
    events: list[tuple[str, float, Emotion | float | None]],
) -> None:
    estimator = Estimator(None, 0.0)
    now = tell(estimator, events)
    found = estimator.at(now)
    if found is None:
        assert not [event for event in events if event[0] != "change"]
        return
    assert max(abs(found.emotion.valence), abs(found.emotion.arousal)) <= 1
    assert 0 < found.valence_sd <= MAX_SD + 1e-9
    assert 0 < found.arousal_sd <= MAX_SD + 1e-9
    low, high = REPORT_SD_BOUNDS
    assert low <= estimator.report_sd <= high
    assert math.isfinite(found.emotion.valence + found.emotion.arousal)


@given(happenings)
def test_the_same_happenings_give_the_same_estimate(
    events: list[tuple[str, float, Emotion | float | None]],
) -> None:
    one, other = Estimator(TENSE, 0.0), Estimator(TENSE, 0.0)
    now = tell(one, events)
    tell(other, events)
    assert one.at(now + 1) == other.at(now + 1)


@pytest.mark.parametrize(("report_sd", "far"), [(0.125, 0.51), (REPORT_SD_BOUNDS[1], 0.76)])
def test_however_unevenly_somebody_reports_a_far_report_is_news(report_sd: float, far: float) -> None:
    thought = Estimate(NEUTRAL, 0.1, 0.1, report_sd)
    assert thought.is_surprised_by(Emotion(far, 0.0))
    assert not thought.is_surprised_by(Emotion(far - 0.02, 0.0))
