"""The timeline: covered without a gap whatever is cut and appended, and read without a step."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.generator import SAMPLE_RATE, Block, Cue
from musicmed_live.core.timeline import Clip, Description, Timeline, Track, crossfade_gains
from tests.core.sounds import BAR, BEAT, add_beats, largest_step, timeline_of, tone, track_of

ANXIOUS, CALM = Emotion(-0.6, 0.6), Emotion(0.6, -0.4)


def clip(position: int, frames: int, track: Track, fade_frames: int = 0, rho: float = 0.0) -> Clip:
    return Clip(position, frames, NEUTRAL, NEUTRAL, track, fade_frames, rho)


def block(position: int, frames: int, cue: Cue = Cue.NONE) -> Block:
    return Block(position, tone(position, frames), cue, 120.0, "C ionian", ("piano",))


# Tracks


def test_a_track_gives_back_what_was_added_and_silence_elsewhere() -> None:
    track = Track()
    track.add(block(100, 50))
    track.add(block(200, 50))
    assert track.end == 250
    heard = track.read(80, 200)
    assert np.array_equal(heard[20:70], tone(100, 50))
    assert np.array_equal(heard[120:170], tone(200, 50))
    assert not heard[:20].any()
    assert not heard[70:120].any()
    assert not heard[170:].any()


def test_a_track_refuses_a_block_that_overlaps() -> None:
    track = track_of(tone(0, 100))
    with pytest.raises(ValueError, match="block at 99 overlaps what ends at 100"):
        track.add(block(99, 10))


@given(st.integers(0, 5 * BEAT))
def test_a_track_that_was_cut_ends_there_and_goes_on_from_there(position: int) -> None:
    track = track_of(tone(0, 3 * BEAT + 7))
    track.cut(position)
    assert track.end == min(position, 3 * BEAT + 7)
    assert np.array_equal(track.read(0, track.end), tone(0, track.end))
    track.add(block(track.end, 10))


def test_a_track_knows_where_its_sound_stops() -> None:
    track = Track()
    track.add(block(100, 50))
    track.add(block(150, 50))
    track.add(block(300, 50))
    assert [track.filled_until(start) for start in (0, 100, 199, 200, 300, 350)] == [0, 200, 200, 200, 350, 350]


def test_a_track_that_forgets_sound_keeps_what_it_was() -> None:
    track = track_of(tone(0, 4 * BEAT))
    track.forget(BEAT, 3 * BEAT)
    kept = track.between(0, 4 * BEAT)
    assert [one.position for one in kept] == [BEAT, 2 * BEAT, 3 * BEAT]
    assert not track.read(0, 3 * BEAT).any()
    assert np.array_equal(track.read(3 * BEAT, BEAT), tone(3 * BEAT, BEAT))
    assert track.filled_until(BEAT) == 4 * BEAT


def test_a_track_that_was_cut_back_into_its_silence_keeps_the_sound_that_is_added() -> None:
    track = track_of(tone(0, 4 * BEAT))
    track.forget(0, 3 * BEAT)
    track.cut(BEAT)
    add_beats(track, BEAT, tone(BEAT, 4 * BEAT))
    track.forget(0, 2 * BEAT)
    assert not track.read(0, 2 * BEAT).any()
    assert np.array_equal(track.read(2 * BEAT, 3 * BEAT), tone(2 * BEAT, 3 * BEAT))


# Appending and cutting


def test_a_clip_must_begin_where_the_timeline_ends() -> None:
    timeline = timeline_of(tone(0, BAR))
    for position in (BAR - 1, BAR + 1):
        with pytest.raises(ValueError, match=f"clip at {position}, but the timeline ends at {BAR}"):
            timeline.append(clip(position, BAR, Track()))


def test_a_clip_has_a_length() -> None:
    with pytest.raises(ValueError, match="clip of 0 frames"):
        Timeline().append(clip(0, 0, Track()))


def test_a_cut_beyond_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match=f"cut at {BAR + 1}, but the timeline ends at {BAR}"):
        timeline_of(tone(0, BAR)).cut(BAR + 1)


def test_the_last_clip_goes_on_up_to_where_it_is_extended() -> None:
    timeline = timeline_of(tone(0, BAR))
    timeline.extend(2 * BAR)
    assert [(one.position, one.end) for one in timeline.clips] == [(0, 2 * BAR)]
    timeline.append(clip(2 * BAR, BAR, Track()))
    timeline.extend(2 * BAR + 1)
    assert [one.end for one in timeline.clips] == [2 * BAR, 3 * BAR]


def test_there_is_nothing_to_extend_in_an_empty_timeline() -> None:
    timeline = Timeline()
    timeline.extend(BAR)
    assert timeline.end == 0


def test_a_cut_clip_stands_for_the_part_of_its_way_that_is_left() -> None:
    timeline = Timeline()
    timeline.append(Clip(0, 4 * BAR, ANXIOUS, CALM, track_of(tone(0, 4 * BAR))))
    timeline.cut(BAR)
    (left,) = timeline.clips
    assert left.frames == BAR
    assert left.start == ANXIOUS
    assert left.end_emotion.distance(ANXIOUS.blend(CALM, 0.25)) < 1e-9
    assert left.emotion.distance(ANXIOUS.blend(CALM, 0.125)) < 1e-9


def test_a_clip_knows_its_emotion_at_each_position() -> None:
    whole = Clip(BAR, 2 * BAR, ANXIOUS, CALM, Track())
    assert [whole.emotion_at(position) for position in (0, BAR, 3 * BAR, 4 * BAR)] == [ANXIOUS, ANXIOUS, CALM, CALM]
    assert whole.emotion_at(2 * BAR) == whole.emotion == ANXIOUS.blend(CALM, 0.5)


def test_the_clip_at_a_position() -> None:
    timeline = timeline_of(tone(0, BAR))
    assert timeline.clip_at(0) is timeline.clip_at(BAR - 1) is timeline.clips[0]
    assert timeline.clip_at(BAR) is None
    assert timeline.clip_at(-1) is None
    assert Timeline().clip_at(0) is None


plans = st.lists(
    st.tuples(
        st.integers(1, BAR),  # length of the clip
        st.integers(480, BAR),  # of its fade, 10 ms at least
        st.floats(0, 0.99),  # its correlation
        st.floats(0, 1),  # where the timeline is cut before it, as a share of what is planned
        st.booleans(),  # whether it is cut at all
    ),
    min_size=1,
    max_size=6,
)


def build(deeds: list[tuple[int, int, float, float, bool]]) -> Timeline:
    """Clips of the same tone, each on its own track that sounds on, cut and faded into each other."""
    timeline = Timeline()
    for frames, fade_frames, rho, share, cuts in deeds:
        if cuts:
            timeline.cut(int(share * timeline.end))
        end = timeline.end
        track = track_of(tone(end, frames + BAR), end)
        timeline.append(clip(end, frames, track, fade_frames if end else 0, rho))
    return timeline


@settings(max_examples=25)
@given(plans)
def test_any_cuts_and_appends_leave_it_covered_without_a_gap(deeds: list[tuple[int, int, float, float, bool]]) -> None:
    timeline = build(deeds)
    assert timeline.clips[0].position == 0
    assert all(a.end == b.position for a, b in pairwise(timeline.clips))
    assert timeline.clips[-1].end == timeline.end
    assert timeline.ready_until(0) == timeline.end


@settings(max_examples=25)
@given(plans)
def test_reading_through_nested_fades_takes_no_step_larger_than_the_music_does(
    deeds: list[tuple[int, int, float, float, bool]],
) -> None:
    timeline = build(deeds)
    # Fades of sides that are more alike than their rho says bulge, by 3 dB at most for each that is nested.
    bulge = math.sqrt(2) ** min(len(timeline.clips), 5)
    assert largest_step(timeline.read(0, timeline.end)) <= bulge * largest_step(tone(0, BEAT)) * 1.01


@settings(max_examples=20)
@given(plans, st.data())
def test_any_part_of_it_reads_like_that_part_of_the_whole(
    deeds: list[tuple[int, int, float, float, bool]], data: st.DataObject
) -> None:
    timeline = build(deeds)
    start = data.draw(st.integers(0, timeline.end - 1))
    frames = data.draw(st.integers(1, timeline.end - start))
    assert np.array_equal(timeline.read(start, frames), timeline.read(0, timeline.end)[start : start + frames])


def test_what_is_cut_off_is_not_heard() -> None:
    timeline = timeline_of(tone(0, 2 * BAR))
    timeline.cut(BAR)
    assert not timeline.read(BAR, BAR).any()
    timeline.append(clip(BAR, BAR, track_of(tone(0, BAR, hz=330), BAR)))
    assert np.array_equal(timeline.read(0, BAR), tone(0, BAR))
    assert np.array_equal(timeline.read(BAR, BAR), tone(0, BAR, hz=330))


def test_under_a_fade_the_old_music_sounds_on() -> None:
    timeline = timeline_of(tone(0, 4 * BAR))
    timeline.cut(BAR)
    timeline.append(clip(BAR, BAR, track_of(np.zeros((BAR, 2), np.float32), BAR), fade_frames=BEAT))
    heard = timeline.read(BAR, BAR)
    out_gain, _ = crossfade_gains(np.arange(BEAT) / BEAT, 0.0)
    assert np.allclose(heard[:BEAT], tone(BAR, BEAT) * out_gain[:, None])
    assert not heard[BEAT:].any()


def test_a_cut_within_a_fade_does_not_break_the_fade_off() -> None:
    timeline = timeline_of(tone(0, 4 * BAR))
    track = track_of(tone(BAR, 2 * BAR, hz=330), BAR)
    timeline.cut(BAR)
    timeline.append(clip(BAR, 2 * BAR, track, fade_frames=2 * BEAT))
    uncut = timeline.read(0, 3 * BAR)
    timeline.cut(BAR + BEAT)
    timeline.append(clip(BAR + BEAT, 2 * BAR - BEAT, track))
    assert np.array_equal(timeline.read(0, 3 * BAR), uncut)
    timeline.forget_before(BAR + BEAT + 100)
    assert np.array_equal(timeline.read(BAR + BEAT + 100, BAR), uncut[BAR + BEAT + 100 :][:BAR])


@given(st.floats(0, 1), st.floats(0, 0.9999))
def test_crossfade_gains_keep_the_level_of_sides_that_are_correlated(share: float, rho: float) -> None:
    (a,), (b,) = crossfade_gains(np.array([share]), rho)
    assert a >= -1e-6
    assert b >= -1e-6
    assert a * a + b * b + 2 * rho * a * b == pytest.approx(1, abs=1e-5)


def test_a_crossfade_goes_from_one_side_to_the_other() -> None:
    for rho in (0.0, 0.5, 1.0):
        a, b = crossfade_gains(np.linspace(0, 1, 101), rho)
        assert (a[0], b[0]) == pytest.approx((1, 0), abs=1e-6)
        assert (a[-1], b[-1]) == pytest.approx((0, 1), abs=1e-6)
        assert (np.diff(a) < 0).all()
        assert (np.diff(b) > 0).all()


# Cue points


def test_the_next_cue_is_the_first_of_its_kind_at_or_after_a_position() -> None:
    track = track_of(tone(0, 2 * BAR))
    assert track.next_cue(0, Cue.BAR) == track.next_cue(0, Cue.BEAT) == 0
    assert track.next_cue(1, Cue.BEAT) == BEAT
    assert track.next_cue(1, Cue.BAR) == BAR
    assert track.next_cue(BAR - BEAT + 1, Cue.BEAT) == BAR
    assert track.next_cue(BAR + 1, Cue.BAR) is None
    assert Track().next_cue(0, Cue.BEAT) is None


def test_what_is_neither_bar_nor_beat_is_no_cue() -> None:
    track = Track()
    track.add(block(0, 50, Cue.NONE))
    track.add(block(50, 50, Cue.BEAT))
    assert track.next_cue(0, Cue.BEAT) == 50
    assert track.next_cue(0, Cue.BAR) is None


def test_where_no_beat_is_known_music_is_cut_anywhere_and_a_beat_is_such_a_place_too() -> None:
    track = Track()
    for number, cue in enumerate((Cue.FREE, Cue.NONE, Cue.FREE, Cue.BEAT)):
        track.add(block(50 * number, 50, cue))
    assert [track.next_cue(position, Cue.FREE) for position in (0, 1, 51, 101, 151)] == [0, 1, 100, 101, None]
    assert track.next_cue(0, Cue.BEAT) == 150


def test_cues_that_were_cut_off_a_track_do_not_count() -> None:
    track = track_of(tone(0, 2 * BAR))
    track.cut(2 * BEAT)
    assert track.next_cue(BEAT, Cue.BEAT) == BEAT
    assert track.next_cue(BEAT + 1, Cue.BEAT) is None


@given(st.integers(0, 3 * BAR), st.sampled_from([Cue.BEAT, Cue.BAR]))
def test_a_cue_is_never_before_the_position_asked_for(position: int, kind: Cue) -> None:
    found = track_of(tone(0, 2 * BAR)).next_cue(position, kind)
    grid = BAR if kind is Cue.BAR else BEAT
    expected = -(-position // grid) * grid
    assert found == (expected if expected < 2 * BAR else None)


# What is there


def test_a_bar_line_is_waited_for_where_one_is_near() -> None:
    timeline = timeline_of(tone(0, 4 * BAR))
    assert timeline.bar_near(BAR) == BAR
    assert timeline.bar_near(BAR + 1) == 2 * BAR
    assert timeline.bar_near(3 * BAR + 1) == 3 * BAR + 1, "no bar line is known there"
    lonely = Timeline()
    assert lonely.bar_near(7) == 7


def test_it_is_ready_up_to_the_first_hole() -> None:
    track = track_of(tone(0, BAR))
    timeline = Timeline()
    timeline.append(clip(0, 3 * BAR, track))
    assert timeline.ready_until(0) == BAR
    assert timeline.ready_until(2 * BAR) == 2 * BAR
    add_beats(track, 2 * BAR, tone(2 * BAR, BAR))
    assert timeline.ready_until(0) == BAR
    assert timeline.ready_until(BAR + 5) == BAR + 5
    assert timeline.ready_until(2 * BAR) == 3 * BAR


def test_it_is_ready_across_clips_but_not_beyond_the_last() -> None:
    timeline = timeline_of(tone(0, BAR))
    timeline.append(clip(BAR, BAR, track_of(tone(BAR, 4 * BAR), BAR)))
    assert timeline.ready_until(BEAT) == 2 * BAR
    assert timeline.ready_until(5 * BAR) == 5 * BAR


def test_an_empty_timeline_is_ready_for_nothing() -> None:
    assert Timeline().ready_until(7) == 7
    assert not Timeline().read(0, 10).any()


def test_a_clip_is_described_in_bars_tempo_key_and_instruments() -> None:
    track = Track()
    for number in range(8):
        cue = Cue.BEAT if number % 4 else Cue.BAR
        names = ("piano",) if number < 4 else ("cello", "piano")
        track.add(Block(number * BEAT, tone(0, BEAT), cue, 119.0, "D dorian", names))
    timeline = Timeline()
    timeline.append(clip(0, 8 * BEAT, track))
    assert timeline.describe(timeline.clips[0]) == Description(2, 120.0, "D dorian", ("cello", "piano"))


def test_a_clip_that_is_still_being_composed_is_described_by_what_its_tempo_promises() -> None:
    timeline = Timeline()
    timeline.append(clip(0, 30 * SAMPLE_RATE, track_of(tone(0, 3 * BEAT))))
    assert timeline.describe(timeline.clips[0]).bars == 15


def test_bars_and_tempo_of_music_without_known_beats_are_not_made_up() -> None:
    track = Track()
    for number in range(10):
        track.add(Block(number * BEAT, tone(0, BEAT), Cue.FREE, 0.0, "", ("piano",)))
    timeline = Timeline()
    timeline.append(clip(0, 30 * SAMPLE_RATE, track))
    assert timeline.describe(timeline.clips[0]) == Description(None, None, None, ("piano",))


def test_nothing_is_known_of_a_clip_of_which_nothing_is_composed() -> None:
    timeline = Timeline()
    timeline.append(clip(0, BAR, Track()))
    assert timeline.describe(timeline.clips[0]) == Description(None, None, None, ())


def test_forgetting_lets_go_of_the_sound_but_not_of_what_goes_on() -> None:
    timeline = timeline_of(tone(0, BAR))
    track = track_of(tone(BAR, 4 * BAR), BAR)
    timeline.append(clip(BAR, 4 * BAR, track))
    before, heard = timeline.describe(timeline.clips[1]), timeline.read(3 * BAR, BAR)
    timeline.forget_before(3 * BAR)
    assert [left.position for left in timeline.clips] == [BAR]
    assert timeline.describe(timeline.clips[0]) == before
    assert np.array_equal(timeline.read(3 * BAR, BAR), heard)
    assert not timeline.read(BAR, BAR).any()


@settings(max_examples=25)
@given(plans, st.floats(0, 1))
def test_forgetting_changes_nothing_that_is_still_to_be_heard(
    deeds: list[tuple[int, int, float, float, bool]], share: float
) -> None:
    timeline = build(deeds)
    position = int(share * timeline.end)
    heard = timeline.read(position, timeline.end - position)
    timeline.forget_before(position)
    assert np.array_equal(timeline.read(position, timeline.end - position), heard)
    assert timeline.ready_until(position) == timeline.end


def test_what_is_heard_and_what_fades_out_under_it_are_told_block_by_block() -> None:
    old, new = (track_of(tone(0, 10 * BEAT)) for _ in range(2))
    timeline = Timeline()
    timeline.append(clip(0, 4 * BEAT, old))
    timeline.append(clip(4 * BEAT, BEAT, new, fade_frames=3 * BEAT))
    timeline.append(clip(5 * BEAT, 5 * BEAT, new))  # goes on, and so does the fade
    heard, fading = (list(found(3 * BEAT, 8 * BEAT)) for found in (timeline.blocks, timeline.fading))
    assert [block.position for block in heard] == [n * BEAT for n in range(3, 8)]
    assert [block.position for block in fading] == [n * BEAT for n in range(4, 7)]
    assert all(block in old.between(0, 10 * BEAT) for block in fading)


def test_a_fade_ends_with_the_clip_that_another_one_has_faded_over() -> None:
    old, new, newest = (track_of(tone(0, 10 * BEAT)) for _ in range(3))
    timeline = Timeline()
    timeline.append(clip(0, 2 * BEAT, old))
    timeline.append(clip(2 * BEAT, 2 * BEAT, new, fade_frames=6 * BEAT))
    timeline.append(clip(4 * BEAT, 6 * BEAT, newest, fade_frames=BEAT))
    assert not list(timeline.fading(5 * BEAT, 10 * BEAT))
    assert {id(block) for block in timeline.fading(4 * BEAT, 5 * BEAT)} == {
        id(block) for one in (old, new) for block in one.between(4 * BEAT, 5 * BEAT)
    }
