"""The therapist steers: what the music may be, that it stays, leads on, goes back, rests, and comes to a gentle end."""

from dataclasses import replace
from typing import Any

import pytest

from musicmed_live.core.answers import PAUSE_FRAMES, REACTION_FRAMES, REST_FRAMES, RETURN_FRAMES
from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.emotion import NEUTRAL, WORDS, Emotion
from musicmed_live.core.events import (
    Bound,
    EndGently,
    Event,
    Fade,
    Goal,
    Halt,
    Hold,
    Lead,
    Pause,
    Play,
    Recompose,
    Report,
    Rest,
    Run,
    Sense,
    Shorten,
    StepBack,
    TooMuch,
)
from musicmed_live.core.generator import SAMPLE_RATE, Cue, Preference, frames_of
from musicmed_live.core.path import CLIP_FRAMES
from musicmed_live.core.phases import Phase
from musicmed_live.core.plan import Plan, PlannedPause
from musicmed_live.core.readings import HeartRate
from musicmed_live.core.session import GENTLE_FRAMES, LANDING_EMOTION, Session

TENSE, SAD, CALM, JOYFUL = WORDS["tense"][0], WORDS["sad"][0], WORDS["calm"][0], WORDS["joyful"][0]
QUARTER_HOUR = 30 * CLIP_FRAMES
WISH = Plan(TENSE, CALM, QUARTER_HOUR, 1)
BRIGHT = Region(valence=(0.0, 1.0))
LED = 4 * CLIP_FRAMES  # by then the music leads


def playing(wish: Plan = WISH, *events: Event, heard: int = LED) -> Session:
    """A session that plays since its beginning, and to which that happens at `heard`."""
    session = Session(wish)
    session.handle(Play(), 0)
    for event in events:
        session.handle(event, heard)
    return session


def bound(region: Region) -> Plan:
    return replace(WISH, bounds=Bounds(region))


def why(session: Session, heard: int = LED) -> str:
    return str(session.decision_at(heard).why)


def tell(session: Session, emotion: Emotion, minutes: range) -> list[str]:
    """Report the same every minute; what is said to that."""
    said = []
    for minute in minutes:
        session.handle(Report(emotion), minute * 2 * CLIP_FRAMES)
        said.append(session.decision.why.key)
    return said


# A region


def test_who_is_outside_the_region_is_met_as_near_as_it_allows_and_told_so() -> None:
    session = playing(bound(BRIGHT), heard=0)
    assert session.target(0) == BRIGHT.nearest(TENSE)
    assert why(session, 0) == "Meeting you as near as your therapist allows: tense"
    assert session.reported == (TENSE, 0.0)
    estimate = session.estimate(0.0)
    assert estimate is not None
    assert estimate.emotion == TENSE


def test_a_goal_outside_the_region_is_moved_to_the_nearest_point() -> None:
    below = Region(arousal=(-0.1, 0.5))
    session = playing(bound(below))
    assert session.goal == below.nearest(CALM)
    session.handle(Goal(LANDING_EMOTION), LED)
    assert session.goal == below.nearest(LANDING_EMOTION)


def test_who_comes_along_from_outside_is_led_to_the_goal() -> None:
    session = playing(bound(BRIGHT))
    for minute in range(1, 15):
        session.handle(Report(TENSE.blend(CALM, min(1.0, minute / 8))), minute * 2 * CLIP_FRAMES)
    assert session.target(QUARTER_HOUR) == CALM
    assert why(session, QUARTER_HOUR) == "Staying here: this is where we were going"


def test_the_music_does_not_wait_for_ever_for_somebody_it_may_not_come_near() -> None:
    near = BRIGHT.nearest(TENSE)
    outside, there = playing(bound(BRIGHT)), playing(replace(WISH, start=near))
    for minute in range(1, 30):
        heard = minute * 2 * CLIP_FRAMES
        outside.handle(Report(TENSE), heard)
        there.handle(Report(near), heard)
        assert outside.target(heard).distance(there.target(heard)) < 1e-6
        assert outside.wire_phase(heard) == there.wire_phase(heard)


def test_who_is_far_off_is_not_told_that_they_are_with_the_music() -> None:
    session = playing(bound(Region((0.2, 0.3), (-0.2, -0.1))))
    assert set(tell(session, TENSE, range(1, 6))) <= {"meeting_near", "following_near"}


def test_who_is_shut_out_while_they_are_met_is_told_that_they_are_met_as_near_as_may_be() -> None:
    session = playing(WISH)
    session.handle(Bound({"region": Region(arousal=(-1.0, 0.9))}), SAMPLE_RATE)
    assert session.decision_at(SAMPLE_RATE).why.key == "meeting"
    session.handle(Bound({"region": BRIGHT}), SAMPLE_RATE)
    assert str(session.decision_at(SAMPLE_RATE).why) == "Meeting you as near as your therapist allows: tense"


def test_a_body_that_is_livelier_than_the_music_may_be_keeps_nobody_waiting() -> None:
    wish = bound(Region(arousal=(-1.0, 0.0)))
    session = playing(wish)
    session.handle(Report(Emotion(-0.3, 0.9)), 0)
    met = session.decision
    for second in range(1, 25):
        heard = second * SAMPLE_RATE
        session.handle(Sense(HeartRate(second, 130.0), 0.0), heard)
    assert session.decision is met


def test_music_that_is_outside_a_narrowed_region_goes_inside_at_the_next_beat() -> None:
    session = playing()
    here = session.target(LED)
    assert session.handle(Bound({"region": BRIGHT}), LED) == [Recompose(Cue.BEAT, "bounds")]
    assert session.target(LED) == BRIGHT.nearest(here) != here
    assert session.target(QUARTER_HOUR) == CALM


def test_bounds_that_leave_more_room_change_nothing_of_what_plays() -> None:
    session = playing(bound(BRIGHT))
    assert session.handle(Bound({"region": Region(), "loudest_lufs": -30.0}), LED) == []
    assert session.bounds == Bounds(loudest_lufs=-30.0)


@pytest.mark.parametrize("changes", [{"tempo_bpm": (50.0, 70.0)}, {"forbid": ("flute",)}])
def test_what_may_break_a_new_bound_is_composed_anew_at_the_next_beat(changes: dict[str, Any]) -> None:
    session = playing(replace(WISH, instruments=Preference(prefer=("flute", "harp"))))
    assert session.handle(Bound(changes), LED) == [Recompose(Cue.BEAT, "bounds")]
    request = session.next_clip(LED)
    assert request is not None
    assert request.tempo_bpm == changes.get("tempo_bpm")
    assert request.instruments.forbid == changes.get("forbid", ())
    assert not set(request.instruments.prefer) & set(request.instruments.forbid)


def test_too_much_leads_to_the_calm_that_is_allowed() -> None:
    lively = Region(arousal=(-0.3, 1.0))
    session = playing(bound(lively), TooMuch())
    assert session.target(LED) == session.calm == lively.nearest(LANDING_EMOTION)
    session.handle(Play(), LED)
    assert session.target(LED) == session.calm


def test_a_region_that_lifts_the_calm_is_heard_in_the_landing() -> None:
    session = playing(WISH, TooMuch())
    assert session.handle(Bound({"region": Region(arousal=(-0.3, 1.0))}), LED) == [Recompose(Cue.BEAT, "bounds")]


# Hold, lead, step back


def test_while_it_is_held_neither_words_nor_readings_move_the_music() -> None:
    session = playing()
    here = session.target(LED)
    assert session.handle(Hold(), LED) == [Recompose(Cue.BAR, "hold")]
    said: tuple[Event, ...] = (Report(SAD), Goal(JOYFUL), Report(JOYFUL))
    for second, event in enumerate(said):
        assert session.handle(event, LED + second * 10 * SAMPLE_RATE) == []
    assert session.target(QUARTER_HOUR) == here
    assert session.held
    assert session.wire_phase(QUARTER_HOUR) == "holding"
    assert why(session) == "Staying here: your therapist holds the music"
    estimate = session.estimate(LED / SAMPLE_RATE + 30)
    assert estimate is not None
    assert estimate.emotion.distance(JOYFUL) < 0.2


def test_what_is_led_on_after_a_hold_goes_on_from_there_to_the_goal() -> None:
    session = playing(WISH, Hold(), Report(SAD), Goal(JOYFUL))
    here, later = session.target(LED), LED + 2 * CLIP_FRAMES
    assert session.handle(Lead(), later) == [Recompose(Cue.BAR, "lead")]
    assert not session.held
    assert session.target(later) == here
    assert session.target(QUARTER_HOUR).distance(JOYFUL) < here.distance(JOYFUL)
    assert why(session, later) == "Leading on: your therapist wishes it"


def test_lead_ends_the_stay_at_a_meeting() -> None:
    session = playing(WISH, Lead(), heard=SAMPLE_RATE)
    assert session.wire_phase(2 * SAMPLE_RATE) == "leading"


def test_before_the_first_word_lead_and_step_back_have_nowhere_to_go() -> None:
    session = playing(replace(WISH, start=None), Hold())
    for event in (Lead(), Hold(), StepBack()):
        session.handle(event, LED)
        assert session.target(QUARTER_HOUR) == NEUTRAL


def test_who_says_something_for_the_first_time_while_it_is_held_is_led_from_there() -> None:
    session = playing(replace(WISH, start=None), Hold(), Report(SAD), Lead())
    assert session.target(LED) == NEUTRAL
    assert session.target(QUARTER_HOUR) == CALM


def test_step_back_goes_by_steps_to_where_music_and_patient_met() -> None:
    session = playing()
    assert session.handle(StepBack(), LED) == [Recompose(Cue.BAR, "step_back")]
    assert session.wire_phase(LED) == "stepping_back"
    assert session.target(LED).distance(session.target(LED + CLIP_FRAMES)) <= WISH.rules.step
    assert session.target(LED + 4 * CLIP_FRAMES) == TENSE
    assert why(session) == "Going back to where we met: your therapist wishes it"


def test_a_hold_outlasts_too_much() -> None:
    session = playing(WISH, Hold(), TooMuch(), Report(SAD), Play())
    assert session.target(QUARTER_HOUR) == LANDING_EMOTION
    assert session.held


def test_a_held_session_goes_inside_a_narrowed_region_and_stays_there() -> None:
    session = playing(WISH, Hold())
    there = BRIGHT.nearest(session.target(LED))
    session.handle(Bound({"region": BRIGHT}), LED)
    assert session.target(LED) == session.target(QUARTER_HOUR) == there
    assert session.held


# Planned pauses


PAUSE = PlannedPause(LED, 90.0)
SOON = LED + REACTION_FRAMES
RESTING = replace(WISH, pauses=(PAUSE, PlannedPause(2 * LED, 30.0)))


def test_a_planned_pause_fades_out_slowly_and_says_how_long_it_lasts() -> None:
    session = playing(RESTING)
    assert session.next_pause == PAUSE
    answer = session.handle(Rest(PAUSE.seconds), LED)
    assert answer == [Fade(SOON, REST_FRAMES, 0.0, "rest"), Halt(SOON + REST_FRAMES)]
    assert session.next_pause != PAUSE
    assert session.wire_phase(LED) == "paused"
    assert why(session) == "A rest that was planned; the music goes on by itself"
    silent = (SOON + REST_FRAMES) / SAMPLE_RATE
    assert session.rest_seconds(silent) == pytest.approx(90.0)
    assert session.rest_seconds(silent + 100) == 0


def test_play_ends_a_planned_pause() -> None:
    session = playing(RESTING, Rest(90.0))
    assert session.handle(Play(), LED) == [Fade(SOON, RETURN_FRAMES, 1.0, "play"), Run()]
    assert session.rest_seconds(0.0) is None


@pytest.mark.parametrize(("event", "reason"), [(Pause(), "pause"), (TooMuch(), "too_much")])
def test_who_pauses_a_planned_pause_says_when_it_goes_on(event: Event, reason: str) -> None:
    session = playing(RESTING, Rest(90.0))
    assert session.handle(event, LED) == [Fade(SOON, PAUSE_FRAMES, 0.0, reason), Halt(SOON + PAUSE_FRAMES)]
    assert session.phase is Phase.PAUSED
    assert session.rest_seconds(0.0) is None
    assert why(session) == "Paused"


def test_a_pause_that_comes_while_it_lands_is_passed_over() -> None:
    session = playing(RESTING, TooMuch())
    assert session.handle(Rest(PAUSE.seconds), LED) == []
    assert session.phase is Phase.LANDING
    assert session.next_pause != PAUSE


def test_what_is_held_before_it_begins_is_not_said_to_stay_where_it_is() -> None:
    session = Session(WISH)
    session.handle(Hold(), 0)
    assert why(session, 0) == "Staying where it begins: your therapist holds the music"
    session.handle(Play(), 0)
    assert why(session, 0) == "Staying here: your therapist holds the music"


# A gentle end


def test_a_gentle_end_comes_within_a_minute_with_one_last_clip_and_a_long_fade() -> None:
    session = playing()
    end = LED + GENTLE_FRAMES
    shorten, recompose = session.handle(EndGently(), LED)
    assert isinstance(shorten, Shorten)
    assert shorten.position == session.ends == end <= LED + frames_of(60)
    assert frames_of(15) <= shorten.fade_frames < GENTLE_FRAMES
    assert recompose == Recompose(Cue.BAR, "ending")
    request = session.next_clip(LED + SAMPLE_RATE)
    assert request is not None
    assert request.final
    assert request.position + request.frames == end
    assert why(session) == "Coming to a gentle end"


def test_a_gentle_end_never_begins_to_fade_before_it_was_asked_for() -> None:
    shorten = playing(replace(WISH, ending_frames=frames_of(180))).handle(EndGently(), LED)[0]
    assert isinstance(shorten, Shorten)
    assert shorten.position - shorten.fade_frames >= SOON


def test_what_ends_soon_anyway_ends_then() -> None:
    session = playing()
    late = QUARTER_HOUR - GENTLE_FRAMES
    assert session.handle(EndGently(), late) == []
    assert session.ends == QUARTER_HOUR
    assert why(session, late) == "Coming to a gentle end"


def test_a_session_that_is_calm_after_too_much_comes_to_a_gentle_end_and_says_so() -> None:
    session = playing(WISH, TooMuch())
    assert why(session) == "Softer and calm, until you want to go on"
    session.handle(EndGently(), LED)
    assert (session.phase, why(session)) == (Phase.LANDING, "Coming to a gentle end")


def test_it_is_asked_to_end_gently_once() -> None:
    session = playing(WISH, EndGently())
    assert session.handle(EndGently(), LED + SAMPLE_RATE) == []
    assert session.ends == LED + GENTLE_FRAMES


def test_an_open_ended_session_ends_gently_too() -> None:
    session = playing(replace(WISH, frames=None), EndGently())
    assert session.ends == LED + GENTLE_FRAMES


def test_on_its_way_to_the_end_no_pause_comes() -> None:
    assert playing(RESTING, EndGently()).next_pause is None


@pytest.mark.parametrize("rest", [Pause(), Rest(90.0)])
def test_what_stands_still_ends_at_once(rest: Event) -> None:
    session = playing(RESTING, rest, EndGently())
    assert session.phase is Phase.ENDED
