"""The path: it meets, holds, leads in bounded steps, arrives and stays, and never leaves the plane."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.bounds import Region
from musicmed_live.core.emotion import NEUTRAL, Emotion, parse_emotion
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.messages import emotion_object
from musicmed_live.core.path import CLIP_FRAMES, EmotionPath, Rules, Shape, onwards, plan, stay, within

ANXIOUS, CALM = Emotion(-0.6, 0.6), Emotion(0.6, -0.4)
QUARTER_HOUR = 30 * CLIP_FRAMES

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
positions = st.integers(0, 4 * 3600 * SAMPLE_RATE)
lengths = st.none() | st.integers(0, 5 * SAMPLE_RATE) | st.integers(0, 3600 * SAMPLE_RATE)
rules = st.builds(
    Rules,
    step=st.floats(0.02, 1.0),
    hold_frames=st.integers(0, 2 * CLIP_FRAMES),
    shape=st.sampled_from(Shape),
)


@st.composite
def paths(draw: st.DrawFn) -> tuple[EmotionPath, Rules, int, int | None, Emotion]:
    """A path, its rules, where it begins, where its session ends, and its goal."""
    position, length, bounds, goal = draw(positions), draw(lengths), draw(rules), draw(emotions)
    end = None if length is None else position + length
    return plan(draw(emotions), goal, position, end, bounds), bounds, position, end, goal


def told(emotion: Emotion) -> Emotion:
    """As a message has it."""
    return parse_emotion(emotion_object(emotion), "")


@given(paths(), st.data())
def test_points_30_s_apart_are_never_further_apart_than_the_step_even_as_they_are_told(
    planned: tuple[EmotionPath, Rules, int, int | None, Emotion], data: st.DataObject
) -> None:
    path, bounds, *_ = planned
    first, last = path.corners[0].position, path.corners[-1].position
    position = data.draw(st.integers(first - CLIP_FRAMES, last))
    assert told(path.at(position)).distance(told(path.at(position + CLIP_FRAMES))) <= bounds.step


@given(paths())
def test_corners_rise_strictly_and_lie_in_the_plane(
    planned: tuple[EmotionPath, Rules, int, int | None, Emotion],
) -> None:
    path, _, position, *_ = planned
    assert path.corners[0].position == position
    assert all(a.position < b.position for a, b in pairwise(path.corners))
    for corner in path.corners:
        assert abs(corner.emotion.valence) <= 1
        assert abs(corner.emotion.arousal) <= 1


@given(paths(), st.integers(0, QUARTER_HOUR))
def test_it_stays_at_the_goal_from_its_arrival_on(
    planned: tuple[EmotionPath, Rules, int, int | None, Emotion], later: int
) -> None:
    path, _, _, end, goal = planned
    if path.arrives is None:
        assert end is not None
        assert path.corners[-1].position > end
    else:
        assert path.at(path.arrives + later).distance(goal) < 1e-6
        assert end is None or path.arrives <= end


@given(paths(), st.floats(0, 1))
def test_it_holds_where_it_met_the_patient_until_it_leads(
    planned: tuple[EmotionPath, Rules, int, int | None, Emotion], share: float
) -> None:
    path, bounds, position, end, _ = planned
    assert path.leads_from is not None
    hold = path.leads_from - position
    assert 0 <= hold <= bounds.hold_frames
    assert end is None or hold <= (end - position) / 6 + 1
    assert path.at(position + int(share * hold)) == path.corners[0].emotion


@given(emotions, positions, lengths, rules, st.integers(0, QUARTER_HOUR))
def test_a_goal_that_is_reached_already_gives_a_constant_path(
    emotion: Emotion, position: int, length: int | None, bounds: Rules, later: int
) -> None:
    path = plan(emotion, emotion, position, None if length is None else position + length, bounds)
    assert path.at(position + later) == emotion
    assert path.arrives == path.leads_from


@given(emotions, emotions, positions)
def test_where_nothing_is_held_it_leads_at_once(here: Emotion, goal: Emotion, position: int) -> None:
    path = plan(here, goal, position, None, Rules(hold_frames=0))
    assert path.leads_from == position
    assert path.at(position) == here


def test_a_quarter_hour_holds_for_a_clip_leads_for_two_thirds_and_stays() -> None:
    path = plan(ANXIOUS, CALM, 0, QUARTER_HOUR, Rules())
    assert path.leads_from == CLIP_FRAMES
    assert path.arrives == CLIP_FRAMES + round(29 * CLIP_FRAMES * 2 / 3)
    assert path.at(0) == ANXIOUS
    assert path.at(path.arrives) == CALM


def test_a_session_too_short_for_the_way_ends_on_it() -> None:
    path = plan(ANXIOUS, CALM, 0, 2 * CLIP_FRAMES, Rules())
    assert path.arrives is None
    there = path.at(2 * CLIP_FRAMES)
    assert 0 < ANXIOUS.distance(there) <= 2 * Rules().step
    assert there.distance(CALM) > 0.5


def test_an_open_ended_session_leads_at_half_the_bound() -> None:
    path = plan(ANXIOUS, CALM, 0, None, Rules())
    assert path.leads_from is not None
    a, b = path.at(path.leads_from), path.at(path.leads_from + CLIP_FRAMES)
    assert a.distance(b) == pytest.approx(Rules().step / 2, rel=1e-3)


def test_a_long_session_does_not_creep() -> None:
    path = plan(ANXIOUS, CALM, 0, 480 * CLIP_FRAMES, Rules())
    assert path.leads_from is not None
    a, b = path.at(path.leads_from), path.at(path.leads_from + CLIP_FRAMES)
    assert a.distance(b) == pytest.approx(Rules().step / 4, rel=1e-3)


def test_a_curved_path_moves_arousal_before_valence() -> None:
    path = plan(ANXIOUS, CALM, 0, QUARTER_HOUR, Rules(shape=Shape.CURVED))
    assert path.leads_from is not None
    assert path.arrives is not None
    middle = path.at((path.leads_from + path.arrives) // 2)
    gone_in_valence = (middle.valence - ANXIOUS.valence) / (CALM.valence - ANXIOUS.valence)
    gone_in_arousal = (middle.arousal - ANXIOUS.arousal) / (CALM.arousal - ANXIOUS.arousal)
    assert gone_in_arousal > gone_in_valence + 0.2


def test_a_straight_path_moves_both_alike() -> None:
    path = plan(ANXIOUS, CALM, 0, QUARTER_HOUR, Rules())
    assert path.leads_from is not None
    assert path.arrives is not None
    assert path.at((path.leads_from + path.arrives) // 2).distance(ANXIOUS.blend(CALM, 0.5)) < 1e-5


def test_who_is_led_nowhere_stays() -> None:
    path = stay(NEUTRAL, 7)
    assert (path.arrives, path.leads_from) == (None, None)
    assert {path.at(position) for position in (0, 7, QUARTER_HOUR)} == {NEUTRAL}


sides = st.tuples(st.floats(-1, 0.8), st.floats(0.1, 1)).map(lambda side: (side[0], min(1.0, side[0] + side[1])))
regions = st.builds(Region, sides, sides)


@given(emotions, emotions, st.sampled_from(Shape), regions, st.integers(0, 30 * CLIP_FRAMES))
def test_a_path_within_a_region_never_leaves_it_and_is_nowhere_faster(
    here: Emotion, goal: Emotion, shape: Shape, region: Region, position: int
) -> None:
    path = plan(here, goal, 0, None, Rules(shape=shape))
    confined = within(path, region)
    step = confined.at(position).distance(confined.at(position + CLIP_FRAMES))
    assert region.holds(confined.at(position))
    assert step <= Rules().step + 1e-9
    assert (confined.arrives, confined.leads_from) == (path.arrives, path.leads_from)


def test_a_path_that_never_leaves_a_region_stays_the_very_same() -> None:
    path = plan(Emotion(0.0, 0.0), Emotion(0.5, 0.5), 0, None, Rules())
    assert within(path, Region((0.0, 1.0), (0.0, 1.0))) is path


@given(emotions, emotions, st.integers(0, 30 * CLIP_FRAMES), st.integers(0, 30 * CLIP_FRAMES))
def test_a_path_onwards_from_a_place_is_the_same_from_there_on(
    here: Emotion, goal: Emotion, position: int, later: int
) -> None:
    path = plan(here, goal, 0, None, Rules())
    rest = onwards(path, position)
    assert rest.at(position + later).distance(path.at(position + later)) < 1e-9
    assert rest.corners[0].position == position
