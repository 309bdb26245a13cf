"""Whether a patient follows: the four kinds of report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.bounds import Region
from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.estimate import Estimate
from musicmed_live.core.following import Answer, Meeting, judge, mood, nearest
from musicmed_live.core.reasons import Why

START, GOAL = Emotion(-0.6, 0.0), Emotion(0.6, 0.0)
TRAIL = (START, Emotion(0.0, 0.0))
MUSIC = TRAIL[-1]

PLANE = Region()

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)


def answer(said: Emotion, thought: Emotion | None = START, report_sd: float = 0.125) -> Answer:
    before = None if thought is None else Estimate(thought, 0.1, 0.1, report_sd)
    return judge(said, thought or START, before, MUSIC, TRAIL, 0.25, PLANE).answer


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Emotion(-0.2, 0.1), Answer.WITH),
        (Emotion(0.2, -0.1), Answer.WITH),
        (Emotion(-0.35, 0.0), Answer.BEHIND),
        (Emotion(-0.6, 0.0), Answer.SAME),
        (Emotion(-0.7, 0.1), Answer.SAME),
        (Emotion(-0.6, 0.9), Answer.ELSEWHERE),
        (Emotion(0.8, 0.0), Answer.ELSEWHERE),
    ],
)
def test_a_report_is_one_of_four_kinds(said: Emotion, kind: Answer) -> None:
    assert answer(said) is kind


def test_of_somebody_unknown_a_report_is_with_the_music_or_elsewhere() -> None:
    assert answer(Emotion(0.1, 0.0), None) is Answer.WITH
    assert answer(START, None) is Answer.ELSEWHERE


def test_who_reports_unevenly_surprises_less_and_has_the_benefit_of_the_doubt() -> None:
    assert answer(Emotion(-0.6, 0.7)) is Answer.ELSEWHERE
    assert answer(Emotion(-0.6, 0.7), report_sd=0.3) is not Answer.ELSEWHERE
    assert answer(Emotion(-0.35, 0.0), report_sd=0.3) is Answer.WITH


def test_a_surprise_is_taken_at_its_word_and_the_rest_is_weighed() -> None:
    before = Estimate(START, 0.1, 0.1, 0.125)
    assert judge(GOAL, START, before, MUSIC, TRAIL, 0.25, PLANE).place == GOAL
    weighed = judge(Emotion(-0.5, 0.0), START, before, MUSIC, TRAIL, 0.25, PLANE).place
    assert -0.6 < weighed.valence < -0.5


def test_who_says_the_same_as_before_does_not_come_along_only_because_readings_had_thought_worse() -> None:
    said = Emotion(-0.35, 0.0)
    readings_say = Estimate(Emotion(-0.55, 0.0), 0.1, 0.1, 0.125)
    assert judge(said, Emotion(-0.55, 0.0), readings_say, MUSIC, TRAIL, 0.25, PLANE).answer is Answer.BEHIND
    assert judge(said, said, readings_say, MUSIC, TRAIL, 0.25, PLANE).answer is Answer.SAME


def test_who_is_outside_the_region_counts_as_where_the_music_could_come_nearest() -> None:
    region, before = Region(valence=(-0.2, 1.0)), Estimate(START, 0.1, 0.1, 0.125)
    met, leading = Emotion(-0.2, 0.0), Emotion(0.15, 0.0)
    near = judge(START, START, before, met, (met,), 0.25, region)
    assert (near.answer, near.place, near.near) == (Answer.WITH, START, met)
    assert judge(START, START, before, leading, (met, leading), 0.25, region).answer is Answer.SAME


def test_who_is_outside_the_region_and_comes_nearer_to_it_comes_along() -> None:
    region, before = Region(valence=(-0.2, 1.0)), Estimate(START, 0.1, 0.1, 0.125)
    leading = Emotion(0.15, 0.0)
    trail = (Emotion(-0.2, 0.0), leading)
    assert judge(Emotion(-0.4, 0.0), START, before, leading, trail, 0.25, region).answer is Answer.BEHIND


@given(st.lists(emotions, min_size=1, max_size=6), emotions, st.floats(0, 1), st.integers(0, 10))
def test_no_point_of_a_trail_is_nearer_than_the_nearest(
    trail: list[Emotion], point: Emotion, share: float, which: int
) -> None:
    found = nearest(point, trail)
    stretch = which % len(trail)
    other = trail[stretch].blend(trail[min(stretch + 1, len(trail) - 1)], share)
    assert found.distance(point) <= other.distance(point) + 1e-6


@pytest.mark.parametrize("word", sorted(WORDS))
def test_each_mood_word_is_the_nearest_to_its_own_point(word: str) -> None:
    assert mood(WORDS[word][0]) == word


def test_a_stay_is_told_by_the_word_that_was_said_and_how_often() -> None:
    stay = Meeting(START, START, 0, TRAIL, ("tense", "sad", "sad"))
    assert stay.why("staying") == Why("staying_reported", "sad", 2)
    assert Meeting(START, START, 0, TRAIL, ("tense", "sad")).why("staying") == Why("staying_apart")


def test_a_trail_forgets_its_beginning_rather_than_grow_without_end() -> None:
    meeting = Meeting(START, START, 0, TRAIL)
    for position in range(1000):
        meeting = meeting.gone([START, GOAL], position)
    assert len(meeting.trail) < 100
