"""The session: a table of phases and events, what it answers, and the clips that it asks for."""

from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from musicmed_live.core.answers import (
    LANDING_FRAMES,
    LANDING_GAIN,
    PAUSE_FRAMES,
    REACTION_FRAMES,
    RETURN_FRAMES,
    STOP_FRAMES,
)
from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.events import (
    Action,
    Bound,
    End,
    EndGently,
    Event,
    Fade,
    Finished,
    Goal,
    Halt,
    Hold,
    Land,
    Lead,
    Obey,
    Pause,
    Play,
    Recompose,
    Report,
    Rest,
    Run,
    Sense,
    Shorten,
    StepBack,
    Stop,
    TooMuch,
)
from musicmed_live.core.generator import SAMPLE_RATE, Cue, Preference, frames_of
from musicmed_live.core.path import CLIP_FRAMES, Rules, onwards
from musicmed_live.core.phases import TRANSITIONS, Phase
from musicmed_live.core.plan import Plan, PlannedPause
from musicmed_live.core.readings import HeartRate, Motion
from musicmed_live.core.session import LANDING_EMOTION, LARGE_MOVE, Session
from musicmed_live.errors import IllegalTransition

ANXIOUS, CALM, JOYFUL = Emotion(-0.6, 0.6), Emotion(0.6, -0.4), Emotion(0.7, 0.7)
QUARTER_HOUR = 30 * CLIP_FRAMES
WISH = Plan(ANXIOUS, CALM, QUARTER_HOUR, 1)
HEARD = 1_000_000

EVENTS: tuple[Event, ...] = (
    *(Play(), Pause(), TooMuch(), Stop(), Report(ANXIOUS), Goal(JOYFUL), Finished()),
    *(Sense(Motion(0.0, 0.1), 0.0), Obey({"step": 0.1}), Bound({"region": Region((0.0, 0.5))})),
    *(Hold(), Lead(), StepBack(), EndGently(), Rest(60.0)),
)
ROADS: dict[Phase, tuple[Event, ...]] = {
    Phase.READY: (),
    Phase.PLAYING: (Play(),),
    Phase.PAUSED: (Play(), Pause()),
    Phase.LANDING: (Play(), TooMuch()),
    Phase.ENDED: (Stop(),),
}
AFTER: dict[Phase, dict[type[Event], Phase]] = {
    Phase.READY: {Play: Phase.PLAYING, Stop: Phase.ENDED, EndGently: Phase.ENDED},
    Phase.PLAYING: {
        **{Pause: Phase.PAUSED, Rest: Phase.PAUSED, TooMuch: Phase.LANDING},
        **{Stop: Phase.ENDED, Finished: Phase.ENDED},
    },
    Phase.PAUSED: {Play: Phase.PLAYING, Stop: Phase.ENDED, EndGently: Phase.ENDED, Finished: Phase.ENDED},
    Phase.LANDING: {Play: Phase.PLAYING, Pause: Phase.PAUSED, Stop: Phase.ENDED, Finished: Phase.ENDED},
}


def session_after(*events: Event, wish: Plan = WISH) -> Session:
    session = Session(wish)
    for event in events:
        session.handle(event, HEARD)
    return session


@pytest.mark.parametrize(("phase", "event"), list(product(ROADS, EVENTS)))
def test_every_phase_knows_what_to_do_about_every_event(phase: Phase, event: Event) -> None:
    session = session_after(*ROADS[phase])
    assert session.phase is phase
    if phase is Phase.ENDED or (phase is Phase.READY and isinstance(event, Finished | Rest)):
        with pytest.raises(IllegalTransition):
            session.handle(event, HEARD)
        assert session.phase is phase
    else:
        session.handle(event, HEARD)
        assert session.phase is AFTER[phase].get(type(event), phase)


def test_nothing_leads_out_of_the_end() -> None:
    assert not [phase for phase, _ in TRANSITIONS if phase is Phase.ENDED]


SOON = HEARD + REACTION_FRAMES


@pytest.mark.parametrize(
    ("before", "event", "answer"),
    [
        ((), Play(), [Run()]),
        ((), Pause(), []),
        ((), TooMuch(), []),
        ((), Stop(), [End(HEARD)]),
        ((Play(),), Play(), []),
        ((Play(),), Pause(), [Fade(SOON, PAUSE_FRAMES, 0.0, "pause"), Halt(SOON + PAUSE_FRAMES)]),
        (
            (Play(),),
            TooMuch(),
            [Land(SOON, LANDING_FRAMES), Fade(SOON, LANDING_FRAMES, LANDING_GAIN, "too_much")],
        ),
        ((Play(),), Stop(), [Fade(SOON, STOP_FRAMES, 0.0, "stop"), End(SOON + STOP_FRAMES)]),
        ((Play(),), Finished(), [End(HEARD)]),
        ((Play(), Pause()), Play(), [Fade(SOON, PAUSE_FRAMES, 1.0, "play"), Run()]),
        ((Play(), Pause()), Pause(), []),
        ((Play(), Pause()), Stop(), [Fade(SOON, PAUSE_FRAMES, 0.0, "stop"), End(SOON + PAUSE_FRAMES)]),
        ((Play(), Pause()), Finished(), [End(HEARD)]),
        ((Play(), TooMuch()), TooMuch(), []),
        (
            (Play(), TooMuch()),
            Play(),
            [Fade(SOON, RETURN_FRAMES, 1.0, "play"), Recompose(Cue.BEAT, "play"), Run()],
        ),
        (
            (Play(), TooMuch(), Pause()),
            Play(),
            [Fade(SOON, RETURN_FRAMES, 1.0, "play"), Recompose(Cue.BEAT, "play"), Run()],
        ),
    ],
)
def test_what_it_answers(before: tuple[Event, ...], event: Event, answer: list[Action]) -> None:
    assert session_after(*before).handle(event, HEARD) == answer


def test_stop_and_too_much_are_heard_within_a_tenth_of_a_second() -> None:
    assert REACTION_FRAMES <= 4800


def test_too_much_takes_at_least_6_db_off() -> None:
    assert LANDING_GAIN <= 0.501


@pytest.mark.parametrize(("distance", "cue"), [(LARGE_MOVE + 0.01, Cue.BEAT), (LARGE_MOVE - 0.01, Cue.BAR)])
def test_a_far_report_is_met_at_the_next_beat_and_a_near_one_at_the_next_bar(distance: float, cue: Cue) -> None:
    session = session_after(Play())
    report = Report(Emotion(ANXIOUS.valence + distance, ANXIOUS.arousal))
    assert session.handle(report, HEARD) == [Recompose(cue, "report")]


def test_a_report_is_measured_from_what_is_played_not_from_what_was_reported() -> None:
    session = session_after(Play())
    late = QUARTER_HOUR - 1
    assert session.target(late).distance(CALM) < 1e-9
    assert session.handle(Report(CALM), late) == []
    assert session.handle(Report(JOYFUL), late) == [Recompose(Cue.BEAT, "report")]


def test_a_report_is_measured_from_what_sounds_where_that_lags_behind_what_was_asked_for() -> None:
    session = session_after(Play(), Report(JOYFUL))
    assert session.handle(Report(ANXIOUS), HEARD + 2, sounding=ANXIOUS) == [Recompose(Cue.BAR, "report")]
    assert session.handle(Report(JOYFUL), HEARD + 3, sounding=ANXIOUS) == [Recompose(Cue.BEAT, "report")]


def test_a_report_that_changes_nothing_cuts_nothing() -> None:
    session = session_after(Play(), Report(JOYFUL))
    assert session.handle(Report(JOYFUL), HEARD + 6 * SAMPLE_RATE) == []
    assert session.path.leads_from == HEARD + CLIP_FRAMES  # nor does the stay begin anew


@pytest.mark.parametrize(("rest", "why"), [((Pause(),), "Paused"), ((TooMuch(),), "Softer and calm")])
def test_while_nothing_is_led_nothing_else_is_said_and_nobody_is_asked(rest: tuple[Event, ...], why: str) -> None:
    session = session_after(Play(), *rest, wish=replace(WISH, start=None))
    assert str(session.decision_at(HEARD).why).startswith(why)
    assert not session.decision_at(HEARD).asks


def test_who_was_calmed_is_asked_and_not_said_to_have_reported_it() -> None:
    session = session_after(Play(), TooMuch(), Play())
    decision = session.decision_at(HEARD)
    assert (str(decision.why), decision.asks) == ("Going on calmly: say how you feel now", True)
    assert session.target(HEARD) == LANDING_EMOTION
    assert session.target(QUARTER_HOUR).distance(CALM) < LANDING_EMOTION.distance(CALM) - 0.2


def test_who_never_said_anything_is_calmed_and_not_led() -> None:
    session = session_after(Play(), TooMuch(), Play(), wish=replace(WISH, start=None))
    assert session.target(QUARTER_HOUR) == LANDING_EMOTION


def test_a_report_is_met_held_and_then_led_on_from() -> None:
    session = session_after(Play(), Report(JOYFUL))
    assert session.reported == (JOYFUL, HEARD / SAMPLE_RATE)
    assert session.target(HEARD) == session.target(HEARD + CLIP_FRAMES) == JOYFUL
    assert session.wire_phase(HEARD) == "matching"
    led = HEARD + 2 * CLIP_FRAMES
    assert session.wire_phase(led) == "leading"
    assert 0 < session.target(led).distance(JOYFUL) <= WISH.rules.step
    assert session.path.arrives is not None
    assert session.target(session.path.arrives).distance(CALM) < 1e-9
    assert session.wire_phase(session.path.arrives) == "arrived"


def test_a_new_goal_is_led_to_from_here_without_a_jump() -> None:
    session = session_after(Play())
    here = session.target(10 * CLIP_FRAMES)
    assert session.handle(Goal(JOYFUL), 10 * CLIP_FRAMES) == [Recompose(Cue.BAR, "goal")]
    assert session.target(10 * CLIP_FRAMES) == here
    assert session.wire_phase(10 * CLIP_FRAMES) == "leading"
    assert session.path.arrives is not None
    assert session.target(session.path.arrives).distance(JOYFUL) < 1e-9


def test_a_new_goal_leaves_the_rest_of_the_hold() -> None:
    session = session_after(Play())
    session.handle(Goal(JOYFUL), CLIP_FRAMES // 3)
    assert session.path.leads_from == CLIP_FRAMES


def test_without_a_start_it_plays_neutrally_until_the_first_report() -> None:
    session = Session(replace(WISH, start=None))
    assert session.estimate(0.0) is None
    session.handle(Play(), 0)
    assert session.handle(Goal(JOYFUL), HEARD) == []
    assert session.target(QUARTER_HOUR) == NEUTRAL
    assert session.wire_phase(QUARTER_HOUR - 1) == "matching"
    session.handle(Report(ANXIOUS), HEARD)
    assert session.target(HEARD) == ANXIOUS
    assert session.target(QUARTER_HOUR).distance(JOYFUL) < ANXIOUS.distance(JOYFUL) - 0.5


def test_a_report_before_the_music_starts_moves_the_start() -> None:
    session = session_after(wish=WISH)
    session.handle(Report(JOYFUL), 0)
    request = session.next_clip(0)
    assert request is not None
    assert request.start == JOYFUL


def test_a_landing_is_calm_whatever_the_path_says() -> None:
    session = session_after(Play(), TooMuch())
    assert {session.target(position) for position in (0, HEARD, QUARTER_HOUR)} == {LANDING_EMOTION}
    assert LANDING_EMOTION.arousal <= -0.5
    assert session.wire_phase(HEARD) == "landing"


def test_a_report_or_a_goal_during_a_landing_moves_nothing_until_play() -> None:
    session = session_after(Play(), TooMuch())
    assert session.handle(Report(ANXIOUS), HEARD) == []
    assert session.handle(Goal(JOYFUL), HEARD) == []
    assert session.target(HEARD) == LANDING_EMOTION
    session.handle(Play(), HEARD)
    assert session.target(HEARD) == ANXIOUS
    assert session.goal == JOYFUL


def test_play_after_a_landing_goes_on_from_the_calm_of_it() -> None:
    session = session_after(Play(), Report(JOYFUL), TooMuch(), Play())
    assert session.phase is Phase.PLAYING
    assert session.target(HEARD) == LANDING_EMOTION
    assert session.path.leads_from == HEARD + CLIP_FRAMES


def test_a_second_landing_forgets_what_was_reported_during_the_first() -> None:
    session = session_after(Play(), TooMuch(), Report(ANXIOUS), Play(), TooMuch(), Play())
    assert session.target(HEARD) == LANDING_EMOTION


def test_too_much_while_paused_makes_it_return_in_calm() -> None:
    session = Session(WISH)
    for event in (Play(), Pause(), TooMuch()):
        session.handle(event, HEARD)
    assert session.phase is Phase.PAUSED
    session.handle(Play(), HEARD)
    assert session.target(HEARD) == LANDING_EMOTION


def test_a_landing_that_is_paused_is_still_a_landing() -> None:
    session = session_after(Play(), TooMuch(), Pause())
    assert session.wire_phase(HEARD) == "paused"
    assert session.target(HEARD) == LANDING_EMOTION
    assert session.handle(Report(ANXIOUS), HEARD) == []
    session.handle(Play(), HEARD)
    assert session.phase is Phase.PLAYING
    assert session.target(HEARD) == ANXIOUS


def test_after_the_end_an_event_is_refused_and_changes_nothing() -> None:
    session = session_after(Play(), Stop())
    decision, estimate = session.decision, session.estimate(0.0)
    for event in (Report(JOYFUL), Sense(Motion(0.0, 0.1), 0.0), Obey({"step": 0.1})):
        with pytest.raises(IllegalTransition, match="has ended"):
            session.handle(event, HEARD)
    assert (session.decision, session.estimate(0.0), session.phase) == (decision, estimate, Phase.ENDED)


@given(st.integers(1, 10 * CLIP_FRAMES))
def test_clips_cover_a_session_exactly_and_only_the_last_is_final(frames: int) -> None:
    session, position, finals = Session(replace(WISH, frames=frames)), 0, []
    while (request := session.next_clip(position)) is not None:
        assert request.position == position
        assert 0 < request.frames <= CLIP_FRAMES
        assert frames <= CLIP_FRAMES or request.frames >= CLIP_FRAMES // 2
        finals.append(request.final)
        position += request.frames
    assert position == frames
    assert finals == [False] * (len(finals) - 1) + [True]


def test_landing_music_is_calm_and_keeps_the_bounds() -> None:
    bounds = Bounds(Region(arousal=(-0.5, 1.0)), (50.0, 80.0), forbid=("flute",))
    wish = replace(WISH, bounds=bounds, instruments=Preference(("flute", "harp")))
    request = Session(wish).landing_clip(frames_of(8.0))
    assert (request.position, request.frames, request.final) == (0, frames_of(8.0), False)
    assert request.start == request.end == bounds.region.nearest(LANDING_EMOTION)
    assert request.instruments == Preference(("harp",), ("flute",))
    assert bounds.covers(request)


@given(st.integers(0, 10**10))
def test_an_open_ended_session_never_runs_out_of_clips(position: int) -> None:
    request = Session(replace(WISH, frames=None)).next_clip(position)
    assert request is not None
    assert (request.frames, request.final) == (CLIP_FRAMES, False)


def test_a_clip_goes_the_way_of_the_path_with_what_the_listener_prefers() -> None:
    wish = replace(WISH, instruments=Preference(prefer=("piano",)), style=Preference(forbid=("waltz",)))
    session = Session(wish)
    request = session.next_clip(3 * CLIP_FRAMES)
    assert request is not None
    assert (request.start, request.end) == (session.target(3 * CLIP_FRAMES), session.target(4 * CLIP_FRAMES))
    assert (request.instruments, request.style) == (wish.instruments, wish.style)


coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
sides = st.tuples(st.floats(-1, 0.8), st.floats(0.1, 1)).map(lambda side: (side[0], min(1.0, side[0] + side[1])))
regions = st.builds(Region, sides, sides)


class AnyEvents(RuleBasedStateMachine):
    """Whatever happens, in whatever order: the session stays in a state that makes sense."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0
        self.longest = Rules().step
        pauses = (PlannedPause(4 * CLIP_FRAMES, 60.0), PlannedPause(9 * CLIP_FRAMES, 30.0))
        rules = Rules(hold_frames=CLIP_FRAMES)
        self.session = Session(Plan(None, CALM, 20 * CLIP_FRAMES, 1, rules=rules, pauses=pauses))

    @rule(frames=st.integers(0, 2 * CLIP_FRAMES))
    def listen(self, frames: int) -> None:
        here, held = self.session.target(self.heard), self.session.held
        assert self.session.ends is not None
        self.heard = min(self.heard + frames, self.session.ends)
        assert not held or self.session.target(self.heard) == here

    @rule(event=st.sampled_from((Play(), Pause(), TooMuch(), Play())))
    def press(self, event: Event) -> None:
        self.happen(event)

    @rule(event=st.sampled_from((Stop(), Finished())))
    def finish(self, event: Event) -> None:
        self.happen(event)

    @rule(emotion=emotions)
    def report(self, emotion: Emotion) -> None:
        self.happen(Report(emotion))
        if self.session.phase is not Phase.ENDED:
            assert self.session.reported == (emotion, self.heard / SAMPLE_RATE)

    @rule(bpm=st.floats(20, 300), age=st.floats(-5, 15))
    def sense(self, bpm: float, age: float) -> None:
        here = self.session.target(self.heard)
        self.happen(Sense(HeartRate(self.heard / SAMPLE_RATE - age, bpm), age))
        assert self.session.target(self.heard).distance(here) < 1e-9

    @rule(step=st.floats(0.02, 1), patience=st.integers(1, 10))
    def change_the_rules(self, step: float, patience: int) -> None:
        here = self.session.target(self.heard)
        self.happen(Obey({"step": step, "patience": patience}))
        if self.session.phase is not Phase.ENDED:
            self.longest = step
        assert self.session.target(self.heard).distance(here) < 1e-9

    @rule(emotion=emotions)
    def change_the_goal(self, emotion: Emotion) -> None:
        here = self.session.target(self.heard)
        self.happen(Goal(emotion))
        assert self.session.target(self.heard).distance(here) < 1e-9

    @rule(region=regions)
    def narrow_or_widen_the_region(self, region: Region) -> None:
        here = self.session.target(self.heard)
        self.happen(Bound({"region": region}))
        if self.session.phase is not Phase.ENDED:
            assert self.session.bounds.region == region
            there = self.session.target(self.heard)
            assert there == self.session.calm or there.distance(region.nearest(here)) < 1e-9

    @rule(names=st.sets(st.sampled_from(("piano", "harp", "flute"))), slowest=st.floats(40, 100))
    def change_the_other_bounds(self, names: set[str], slowest: float) -> None:
        here = self.session.target(self.heard)
        self.happen(Bound({"forbid": tuple(sorted(names)), "tempo_bpm": (slowest, 180.0)}))
        assert self.session.target(self.heard) == here

    @rule(event=st.sampled_from((Hold(), Lead(), StepBack())))
    def steer(self, event: Event) -> None:
        here = self.session.target(self.heard)
        self.happen(event)
        assert self.session.target(self.heard).distance(here) < 1e-9
        if self.session.phase is not Phase.ENDED:
            assert self.session.held is isinstance(event, Hold)

    @rule()
    def end_gently(self) -> None:
        self.happen(EndGently())
        if self.session.phase in (Phase.PLAYING, Phase.LANDING):
            assert self.session.ends is not None
            assert self.session.ends - self.heard <= frames_of(60)

    @rule()
    def come_to_a_pause(self) -> None:
        pause = self.session.next_pause
        if pause is not None and self.session.phase in (Phase.PLAYING, Phase.LANDING):
            self.happen(Rest(pause.seconds))
            assert self.session.next_pause != pause

    def happen(self, event: Event) -> None:
        before, path = self.session.phase, self.session.path
        if (before, type(event)) not in TRANSITIONS:
            with pytest.raises(IllegalTransition):
                self.session.handle(event, self.heard)
            assert (self.session.phase, self.session.path) == (before, path)
            return
        for action in self.session.handle(event, self.heard):
            match action:
                case Fade(position, frames, gain, _):
                    assert position >= self.heard
                    assert frames > 0
                    assert 0 <= gain <= 1
                case Halt(position) | Land(position) | End(position) | Shorten(position):
                    assert position >= self.heard
        assert self.session.phase is TRANSITIONS[before, type(event)]

    @invariant()
    def the_next_clip_begins_where_it_is_asked_for_and_stays_within_the_session(self) -> None:
        request, ends = self.session.next_clip(self.heard), self.session.ends
        assert ends is not None
        if self.heard == ends:
            assert request is None
        else:
            assert request is not None
            assert request.position == self.heard
            assert request.position + request.frames <= ends
            assert request.start == self.session.target(self.heard)

    @invariant()
    def every_clip_that_it_asks_for_keeps_to_the_bounds(self) -> None:
        bounds = self.session.bounds
        assert bounds.region.holds(self.session.goal)
        for position in range(self.heard, 20 * CLIP_FRAMES, 5 * CLIP_FRAMES):
            request = self.session.next_clip(position)
            if request is not None:
                assert bounds.region.holds(request.start)
                assert bounds.region.holds(request.end)
                assert (request.region, request.tempo_bpm) == (bounds.region, bounds.tempo_bpm)
                assert request.instruments.forbid == bounds.forbid

    @invariant()
    def no_step_is_longer_than_the_bound(self) -> None:
        path = self.session.decision.path  # what lies behind may have been walked by other rules
        for one, other in pairwise(onwards(path, self.heard).corners):
            allowed = self.longest * (other.position - one.position) / CLIP_FRAMES
            assert one.emotion.distance(other.emotion) <= allowed + 1e-9

    @invariant()
    def it_rests_only_while_it_is_paused(self) -> None:
        rests = self.session.rest_seconds(self.heard / SAMPLE_RATE) is not None
        assert not rests or self.session.phase is Phase.PAUSED

    @invariant()
    def the_wire_phase_is_one_of_the_protocol(self) -> None:
        known = {"ready", "matching", "leading", "holding", "stepping_back", "arrived", "paused", "landing", "ended"}
        assert self.session.wire_phase(self.heard) in known


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=40, stateful_step_count=25)
