"""The beat grid: clips of any length are filled to the frame, and the tempo never leaps within a session."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.composer.tempo import MAX_CHANGE, PLANNING_FRAMES, TempoPlan, plan_tempo
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
lengths = st.integers(SAMPLE_RATE, 90 * SAMPLE_RATE)


@given(st.integers(0, 10**9), lengths, emotions, emotions, lengths)
def test_beats_rise_and_fill_the_clip_to_the_frame(
    position: int, frames: int, emotion: Emotion, before: Emotion, previous_frames: int
) -> None:
    previous = plan_tempo(position, previous_frames, before)
    plan = plan_tempo(position + previous_frames, frames, emotion, previous, jump=True)
    bars = plan.bars()
    assert bars[0][0] == position + previous_frames
    assert bars[-1][-1] == position + previous_frames + frames
    assert all(left[-1] == right[0] for left, right in pairwise(bars))
    assert all(early < late for bar in bars for early, late in pairwise(bar))
    assert all(len(bar) == 5 for bar in bars[:-1])


@pytest.mark.parametrize(
    ("valence", "arousal", "bars"),
    [(-1, -1, 7), (0, -1, 8), (0, 0, 12), (0, 1, 16), (1, 1, 16), (-0.6, 0.6, 14)],
)
def test_a_clip_of_30_s_holds_whole_bars_at_the_pace_of_its_emotion(valence: float, arousal: float, bars: int) -> None:
    plan = plan_tempo(0, PLANNING_FRAMES, Emotion(valence, arousal))
    assert [len(bar) for bar in plan.bars()] == [5] * bars
    assert plan.tempo_bpm(plan.frames // 2) == pytest.approx(8 * bars)


@given(emotions, emotions)
def test_the_pace_moves_by_two_bars_at_most_unless_the_emotion_jumps(first: Emotion, second: Emotion) -> None:
    plan = plan_tempo(0, PLANNING_FRAMES, first)
    following = plan_tempo(PLANNING_FRAMES, PLANNING_FRAMES, second, plan)
    assert abs(following.bar_rate - plan.bar_rate) <= MAX_CHANGE


def test_a_jump_reaches_its_own_tempo_within_the_first_eighth() -> None:
    calm = plan_tempo(0, PLANNING_FRAMES, Emotion(0.5, -1))
    excited = plan_tempo(PLANNING_FRAMES, PLANNING_FRAMES, Emotion(0.5, 1), calm, jump=True)
    assert excited.tempo_bpm(PLANNING_FRAMES) == pytest.approx(calm.tempo_bpm(PLANNING_FRAMES - 1))
    eased = PLANNING_FRAMES + PLANNING_FRAMES // 8
    assert excited.tempo_bpm(eased) == pytest.approx(excited.tempo_bpm(2 * PLANNING_FRAMES), rel=1e-6)
    assert len(excited.bars()) == 16


@given(st.integers(16 * SAMPLE_RATE, 90 * SAMPLE_RATE), emotions)
def test_the_beats_follow_the_tempo_that_is_told(frames: int, emotion: Emotion) -> None:
    slow = TempoPlan(0, PLANNING_FRAMES, 32, 32 / PLANNING_FRAMES, 32 / PLANNING_FRAMES)
    plan = plan_tempo(PLANNING_FRAMES, frames, emotion, slow, jump=True)
    for bar in plan.bars():
        for start, end in pairwise(bar):
            told = plan.rate_at((start + end) // 2)
            assert 1 / (end - start) == pytest.approx(told, rel=0.1)


@given(st.integers(SAMPLE_RATE, 4 * SAMPLE_RATE), emotions)
def test_a_short_clip_keeps_about_the_tempo_by_cutting_its_last_bar(frames: int, emotion: Emotion) -> None:
    wanted = plan_tempo(0, PLANNING_FRAMES, emotion).tempo_bpm(0)
    plan = plan_tempo(0, frames, emotion)
    assert plan.tempo_bpm(0) == pytest.approx(wanted, rel=0.5)


limits = st.tuples(st.floats(40, 144), st.floats(1.25, 4)).map(
    lambda drawn: (drawn[0], min(180.0, drawn[0] * drawn[1]))
)
HEARD_BPM = 0.5  # a beat is a whole number of frames long


@given(limits, st.integers(6 * SAMPLE_RATE, 90 * SAMPLE_RATE), emotions, emotions, st.booleans())
def test_every_beat_keeps_the_limits_in_the_first_clip_and_in_the_one_after_it(
    allowed: tuple[float, float], frames: int, first: Emotion, second: Emotion, jump: bool
) -> None:
    opened = plan_tempo(0, frames, first, limits_bpm=allowed)
    following = plan_tempo(frames, frames, second, opened, jump, allowed)
    for plan in (opened, following):
        for start, end in (pair for bar in plan.bars() for pair in pairwise(bar)):
            assert allowed[0] - 1e-6 <= plan.tempo_bpm(start) <= allowed[1] + 1e-6
            assert allowed[0] - HEARD_BPM <= 60 * SAMPLE_RATE / (end - start) <= allowed[1] + HEARD_BPM
        assert plan.bars()[-1][-1] == plan.position + frames


@given(limits, st.integers(SAMPLE_RATE, 60 * SAMPLE_RATE), lengths, emotions, emotions)
def test_where_the_limits_are_narrowed_the_tempo_leaps(
    allowed: tuple[float, float], played: int, frames: int, before: Emotion, emotion: Emotion
) -> None:
    free = plan_tempo(0, 90 * SAMPLE_RATE, before)
    plan = plan_tempo(played, frames, emotion, free, limits_bpm=allowed)
    beats = [pair for bar in plan.bars() for pair in pairwise(bar)]
    assert beats[-1][1] == played + frames
    for start, end in beats[:-1]:
        assert allowed[0] - 1e-6 <= plan.tempo_bpm(start) <= allowed[1] + 1e-6
        assert allowed[0] - HEARD_BPM <= 60 * SAMPLE_RATE / (end - start) <= allowed[1] + HEARD_BPM


def test_a_short_clip_that_no_number_of_beats_fills_holds_its_last_beat() -> None:
    plan = plan_tempo(0, 3 * SAMPLE_RATE // 2, Emotion(0, 0), limits_bpm=(50, 70))
    assert [beats[1] - beats[0] for bar in plan.bars() for beats in pairwise(bar)] == [72_000]
    assert plan.tempo_bpm(0) == pytest.approx(50)


def test_limits_that_hold_the_emotions_own_tempo_change_nothing() -> None:
    before = plan_tempo(0, PLANNING_FRAMES, Emotion(0.2, 0.1))
    free = plan_tempo(PLANNING_FRAMES, PLANNING_FRAMES, Emotion(0.4, 0.3), before)
    assert plan_tempo(PLANNING_FRAMES, PLANNING_FRAMES, Emotion(0.4, 0.3), before, limits_bpm=(40, 180)) == free
