"""What a therapist says, and what was planned, heard in a live session."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from musicmed_live.core.answers import PAUSE_FRAMES, REACTION_FRAMES, REST_FRAMES
from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.events import Bound, EndGently, Event, Hold, Lead, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.generator import SAMPLE_RATE, frames_of
from musicmed_live.core.plan import Plan, PlannedPause
from musicmed_live.core.session import GENTLE_FRAMES
from musicmed_live.errors import IllegalTransition, InvalidInput
from tests.core.sounds import BAR
from tests.service.stage import ANXIOUS, CALM, JOYFUL, Stage, stage

PAUSE = PlannedPause(frames_of(20.3), 60.0)
WISH = Plan(ANXIOUS, CALM, frames_of(600), 1)
RESTING = replace(WISH, pauses=(PAUSE,))
BRIGHT = Region(valence=(0.0, 1.0))


def state(on: Stage) -> dict[str, Any]:
    return on.live.state()


def play(on: Stage, seconds: float) -> None:
    on.do(Play())
    on.wait(seconds)
    on.check()


def rest(on: Stage) -> None:
    """Play until it rests as planned."""
    on.do(Play())
    on.until(lambda: state(on)["rest"] is not None)
    on.until(lambda: not on.live.playing)


def test_music_that_rests_goes_on_by_itself_unless_it_is_paused() -> None:
    """So whoever pulls the headphones then has to be heard of, too."""
    with stage(wish=RESTING) as on:
        assert not on.live.goes_on
        rest(on)
        assert on.live.goes_on and not on.live.playing
        on.do(Pause())
        assert not on.live.goes_on


# Bounds


def test_music_that_is_outside_a_narrowed_region_is_inside_within_a_beat_or_two() -> None:
    with stage(wish=WISH) as on:
        play(on, 15)
        on.do(Bound({"region": BRIGHT}))
        on.wait(1.5)
        assert BRIGHT.holds(on.sounding)
        assert "bounds" in [reason for _, reason in on.cuts]
        assert state(on)["bounds"]["region"] == {"valence": [0.0, 1.0], "arousal": [-1.0, 1.0]}


def test_no_clip_of_a_session_lies_outside_its_region() -> None:
    with stage(wish=replace(WISH, bounds=Bounds(BRIGHT))) as on:
        play(on, 5)
        events: tuple[Event, ...] = (
            Report(ANXIOUS),
            TooMuch(),
            Report(JOYFUL),
            Play(),
            Hold(),
            Report(ANXIOUS),
            Lead(),
        )
        for event in events:
            on.do(event)
            on.wait(4)
            on.check()
            for clip in on.live.timeline.clips:
                assert BRIGHT.holds(clip.start)
                assert BRIGHT.holds(clip.end_emotion)


@pytest.mark.parametrize(
    ("changes", "field"), [({"forbid": ("kazoo",)}, "forbid"), ({"loudest_dba": 60.0}, "loudest_dba")]
)
def test_bounds_that_cannot_be_kept_are_refused_and_change_nothing(changes: dict[str, Any], field: str) -> None:
    with stage(wish=WISH) as on:
        play(on, 5)
        with pytest.raises(InvalidInput) as refused:
            on.do(Bound(changes))
        assert refused.value.field == field
        assert on.live.session.bounds == WISH.bounds


# Hold


def test_music_that_is_held_stays_where_it_is() -> None:
    with stage(wish=WISH) as on:
        play(on, 60)
        on.do(Hold())
        on.wait(4)
        here = on.sounding
        on.do(Report(JOYFUL))
        on.wait(40)
        assert on.sounding == here
        assert state(on)["held"]
        assert state(on)["because"] == {"key": "held", "mood": None, "times": None}
        on.do(Lead())
        on.wait(40)
        assert on.sounding != here
        assert not state(on)["held"]


# Planned pauses


def test_a_planned_pause_fades_out_at_a_bar_line_and_ends_by_itself() -> None:
    with stage(wish=RESTING) as on:
        rest(on)
        at = on.live.heard
        bar = -(-PAUSE.position // BAR) * BAR
        assert 0 <= at - bar < frames_of(0.15)
        assert state(on)["phase"] == "paused"
        assert 58 < state(on)["rest"]["seconds_left"] <= 60
        on.wait(50)
        assert on.live.heard == at
        on.until(lambda: on.live.playing, within=12)
        assert state(on)["rest"] is None
        on.wait(10)
        on.check()
        assert on.live.heard > at
        assert on.live.mixer.underruns == 0


def test_a_planned_pause_is_silent_at_its_end_and_gets_there_without_a_jump() -> None:
    with stage(wish=RESTING) as on:
        on.do(Play())
        on.until(lambda: state(on)["rest"] is not None)
        levels = []
        while on.live.playing:
            levels.append(float(np.abs(on.live.audio(on.live.heard, SAMPLE_RATE // 10)).max()))
            on.wait(0.1)
        assert len(levels) > 10 * REST_FRAMES / SAMPLE_RATE - 1
        assert levels[-1] < 0.01 * levels[0]
        assert all(later < earlier + 0.1 * levels[0] for earlier, later in pairwise(levels))


@pytest.mark.parametrize("event", [Pause(), TooMuch()])
def test_who_pauses_a_planned_pause_goes_on_when_they_like(event: Event) -> None:
    with stage(wish=RESTING) as on:
        rest(on)
        on.do(event)
        on.wait(120)
        assert not on.live.playing
        assert state(on)["rest"] is None
        on.do(Play())
        on.wait(5)
        on.check()
        assert on.live.playing


@pytest.mark.parametrize("event", [Pause(), TooMuch()])
def test_who_pauses_a_planned_pause_that_still_fades_out_misses_no_music(event: Event) -> None:
    with stage(wish=RESTING) as on:
        on.do(Play())
        on.until(lambda: state(on)["rest"] is not None)
        at = on.do(event)
        on.wait(5)
        assert on.live.heard == at + REACTION_FRAMES + PAUSE_FRAMES
        assert not on.live.playing
        on.do(event)
        on.wait(5)
        assert on.live.heard == at + REACTION_FRAMES + PAUSE_FRAMES


def test_a_session_may_be_stopped_while_it_rests() -> None:
    with stage(wish=RESTING) as on:
        rest(on)
        on.do(Stop())
        on.wait(1)
        assert on.live.over.is_set()


# A gentle end


def test_a_gentle_end_is_silent_when_it_comes_and_then_the_session_is_over() -> None:
    with stage(wish=WISH) as on:
        play(on, 100)
        asked_at = on.do(EndGently())
        end = state(on)["ends"]
        assert end == asked_at + GENTLE_FRAMES
        on.wait(3)
        clip = on.live.timeline.clips[-1]
        assert clip.end == end
        on.until(lambda: on.live.heard > end - frames_of(10))
        loud = np.abs(on.live.audio(on.live.heard, SAMPLE_RATE // 10)).max()
        on.until(lambda: on.live.heard > end - frames_of(0.3))
        assert np.abs(on.live.audio(on.live.heard, SAMPLE_RATE // 10)).max() < 0.1 * loud
        on.until(on.live.over.is_set, within=2)
        with pytest.raises(IllegalTransition):
            on.do(Play())


def test_a_session_fades_out_over_as_long_as_its_plan_says() -> None:
    with stage(wish=replace(WISH, frames=frames_of(60), ending_frames=frames_of(20))) as on:
        play(on, 39)
        before = np.abs(on.live.audio(on.live.heard, SAMPLE_RATE // 10)).max()
        on.wait(11)
        halfway = np.abs(on.live.audio(on.live.heard, SAMPLE_RATE // 10)).max()
        assert 0.3 * before < halfway < 0.7 * before
