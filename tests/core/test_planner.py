"""The planner: it meets, leads who follows, waits for who comes along, goes back for who does not, and says why."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.bounds import Region
from musicmed_live.core.decision import Decision, Stance
from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.estimate import Estimate, Estimator
from musicmed_live.core.following import LEASH_BOUNDS, mood
from musicmed_live.core.generator import frames_of
from musicmed_live.core.messages import emotion_object
from musicmed_live.core.path import CLIP_FRAMES, Rules, Shape
from musicmed_live.core.planner import Planner
from musicmed_live.core.reasons import Why

TENSE, CALM = Emotion(-0.54, 0.41), Emotion(0.56, -0.31)
SAD = Emotion(-0.65, -0.27)
END = 30 * CLIP_FRAMES
WORDLESS_SECONDS = 120


@dataclass
class Room:
    """A planner with an estimator beside it, as a session has them; music plays what is planned."""

    planner: Planner
    estimator: Estimator
    second: float = 0.0
    decisions: list[Decision] = field(default_factory=list)

    @property
    def position(self) -> int:
        return frames_of(self.second)

    @property
    def music(self) -> Emotion:
        return self.planner.decision.path.at(self.position)

    @property
    def now(self) -> Decision:
        return self.planner.at(self.position)

    def wait(self, seconds: float) -> "Room":
        self.second += seconds
        return self

    def report(self, emotion: Emotion) -> Decision:
        before = self.estimator.at(self.second)
        self.estimator.report(emotion, self.second)
        return self.kept(self.planner.report(emotion, before, self.position, self.music))

    def feel(self, arousal: float, seconds: float) -> Decision:
        """Readings, one a second, that show this arousal beyond doubt."""
        for _ in range(round(seconds)):
            self.wait(1)
            estimate = Estimate(Emotion(self.music.valence, arousal), 0.3, 0.05)
            self.kept(self.planner.sense(estimate, self.position, self.music))
        return self.planner.decision

    def kept(self, decision: Decision) -> Decision:
        assert decision is self.planner.decision
        self.decisions.append(decision)
        return decision


def room(
    start: Emotion | None = TENSE, goal: Emotion = CALM, end: int | None = END, rules: Rules | None = None
) -> Room:
    planner = Planner(goal, end, rules or Rules())
    planner.meet(start, 0)
    return Room(planner, Estimator(start, 0.0))


def led(seconds: float = 120, start: Emotion = TENSE) -> Room:
    """A room where the music has led for a while."""
    found = room(start).wait(seconds)
    assert found.now.stance is Stance.LEAD
    return found


def hand_over(decision: Decision, stance: Stance, why: str) -> None:
    assert (decision.stance, str(decision.why)) == (stance, why)


# Matching


def test_it_begins_where_the_patient_is_stays_a_while_and_leads() -> None:
    meeting = room()
    hand_over(meeting.now, Stance.MATCH, "Meeting you where you are: tense")
    assert meeting.music == TENSE
    hand_over(meeting.wait(31).now, Stance.LEAD, "Leading on from where we met")
    hand_over(meeting.wait(860).now, Stance.ARRIVE, "Staying here: this is where we were going")


def test_without_a_start_it_plays_neutrally_and_asks() -> None:
    waiting = room(None)
    hand_over(waiting.wait(300).now, Stance.MATCH, "Playing neutrally until you say how you feel")
    assert waiting.now.asks
    assert waiting.music == NEUTRAL


def test_who_says_the_same_again_and_again_while_it_matches_is_led_in_time() -> None:
    meeting = room()
    for _ in range(4):
        meeting.wait(20).report(TENSE)
    assert meeting.music.distance(TENSE) > 0.1


def test_the_first_word_is_met_at_once() -> None:
    waiting = room(None).wait(20)
    decision = waiting.report(SAD)
    hand_over(decision, Stance.MATCH, "Meeting you where you are: sad")
    assert not decision.asks
    assert waiting.music == SAD


@given(st.floats(0, 29), st.builds(Emotion, st.floats(-1, 1), st.floats(-1, 1)))
def test_while_it_matches_it_meets_every_report_exactly_and_stays_for_news(second: float, said: Emotion) -> None:
    meeting = room().wait(second)
    assert meeting.report(said).stance is Stance.MATCH
    assert meeting.music == said
    until = 29.5 if said.distance(TENSE) <= Rules().tolerance else second + 29
    assert meeting.wait(until - second).music == said


@pytest.mark.parametrize("said", [Emotion(0.9, 0.9), Emotion(-0.9, -0.9), Emotion(0.4, 0.8)])
def test_a_mood_that_has_moved_is_met_at_once(said: Emotion) -> None:
    leading = led()
    assert said.distance(leading.music) > 0.5
    assert leading.report(said).stance is Stance.MATCH
    assert leading.music == said


# Leading


def test_who_is_with_the_music_is_led_faster() -> None:
    followed, alone = led(), led()
    hand_over(followed.report(followed.music), Stance.LEAD, "Leading on: you are with the music")
    assert followed.wait(30).music.distance(CALM) < alone.wait(30).music.distance(CALM) - 0.05


def test_who_is_where_the_music_sounds_is_with_it_wherever_it_was_meant_to_be() -> None:
    room = led()
    sounds = Emotion(room.music.valence - 0.35, room.music.arousal)
    before = Estimate(sounds, 0.15, 0.15)
    apart = led().planner.report(sounds, before, room.position, room.music)
    together = room.planner.report(sounds, before, room.position, room.music, sounds)
    assert str(together.why) == "Leading on: you are with the music" != str(apart.why)
    assert together.path.at(room.position).distance(room.music) < 1e-9, "it goes on from what was asked for"


def test_it_runs_no_further_ahead_than_the_leash_and_waits_there() -> None:
    following = led()
    said = following.music
    following.report(said)
    far = following.wait(90).music.distance(said)
    assert 0.4 < far < 0.65
    assert following.wait(10).music.distance(said) == pytest.approx(far)


def test_without_another_word_it_leads_on_in_the_end_and_asks_for_one() -> None:
    following = led()
    following.report(following.music)
    assert not following.now.asks
    following.wait(WORDLESS_SECONDS + 1)
    assert following.now.asks
    assert following.wait(400).now.stance is Stance.ARRIVE
    following.report(CALM)
    assert not following.now.asks


def test_who_follows_all_the_way_arrives_well_before_the_open_path() -> None:
    following, alone = room(), room()
    while following.now.stance is not Stance.ARRIVE and following.position < END:
        following.wait(40).report(following.music)
    assert alone.planner.decision.path.arrives is not None
    assert following.position < 0.7 * alone.planner.decision.path.arrives


def test_at_the_goal_a_report_from_there_changes_nothing() -> None:
    arrived = room().wait(700)
    before = arrived.planner.decision
    assert arrived.report(CALM) is before


# Holding


def test_who_is_far_behind_but_coming_along_is_waited_for_no_further_off_than_the_leash() -> None:
    leading = led(300)
    nearer = TENSE.blend(leading.music, 0.1)
    hand_over(leading.report(nearer), Stance.HOLD, "Waiting here: you are on the way")
    assert leading.wait(60).music.distance(nearer) < 0.5


def test_it_stays_for_who_reports_the_same_twice_and_says_so() -> None:
    leading = led(240)
    assert TENSE.distance(leading.music) > 0.4
    hand_over(leading.report(TENSE), Stance.HOLD, "Staying here: you reported tense twice")
    here = leading.wait(30).music
    assert leading.wait(300).music == here
    hand_over(leading.report(TENSE), Stance.HOLD, "Staying here: you reported tense three times")
    assert leading.music == here


def test_a_more_patient_plan_leads_on_for_longer() -> None:
    leading = room(rules=Rules(patience=3)).wait(240)
    before = leading.planner.decision
    assert leading.report(TENSE) is before
    assert leading.wait(20).report(TENSE).stance is Stance.HOLD


def test_in_the_end_it_goes_back_to_where_they_met_and_asks() -> None:
    leading = led(240)
    for _ in range(2):
        assert leading.report(TENSE).stance is Stance.HOLD
        leading.wait(30)
    decision = leading.report(TENSE)
    hand_over(decision, Stance.STEP_BACK, "Going back to where we met: you reported tense four times")
    assert decision.asks
    assert leading.wait(120).music == TENSE
    answer = leading.report(TENSE)
    assert not answer.asks


def test_a_surprise_that_the_next_report_takes_back_is_made_good() -> None:
    leading = led(240)
    before = leading.music
    leading.report(SAD)
    assert leading.music == SAD
    decision = leading.wait(20).report(TENSE.blend(before, 0.5))
    hand_over(decision, Stance.LEAD, "Going on from where we were: you are there again")
    assert leading.music == before


def test_a_mood_that_has_moved_and_stays_there_is_not_taken_back() -> None:
    leading = led(240)
    leading.report(SAD)
    assert leading.wait(20).report(SAD.blend(NEUTRAL, 0.2)).stance is Stance.MATCH


def test_a_drag_of_the_slider_counts_once() -> None:
    leading = led(240)
    for _ in range(6):
        decision = leading.report(TENSE)
        leading.wait(2)
    hand_over(decision, Stance.HOLD, "Staying here: you reported tense twice")


def test_a_drag_ends_as_if_only_its_last_word_had_been_said() -> None:
    dragged, said = led(240), led(240)
    for share in (0.3, 0.6, 1.0):
        last = dragged.report(TENSE.blend(Emotion(0.9, 0.9), share))
        dragged.wait(1)
    once = said.wait(2).report(Emotion(0.9, 0.9))
    assert (last.stance, last.why, last.path.corners[0].position) == (
        once.stance,
        once.why,
        dragged.position - frames_of(1),
    )
    assert dragged.music.distance(said.music) < 1e-9


def test_after_going_back_in_vain_it_stays_longer_each_time() -> None:
    """Somebody who never moves is not led to and fro for ever."""
    still = room(end=None)
    for _ in range(120):  # an hour
        still.wait(30).report(TENSE)
    returns = [
        index for index, (a, b) in enumerate(pairwise(still.decisions)) if b.stance is Stance.STEP_BACK is not a.stance
    ]
    gaps = [b - a for a, b in pairwise(returns)]
    assert 1 <= len(returns) <= 8
    assert gaps == sorted(gaps)


# Readings


def test_a_heart_that_stays_faster_than_the_music_makes_it_hold() -> None:
    leading = led()
    hand_over(leading.feel(0.9, 45), Stance.HOLD, "Staying here: your body is still livelier than the music")
    here = leading.music
    leading.feel(0.9, 10)
    assert leading.music == here


def test_a_body_that_is_calmer_than_the_music_is_named_so() -> None:
    assert str(led().feel(-0.9, 45).why) == "Staying here: your body is calmer than the music"


def test_a_short_flutter_changes_nothing() -> None:
    leading = led()
    before = leading.planner.decision
    assert leading.feel(0.9, 20) is before
    leading.feel(leading.music.arousal, 5)
    assert leading.feel(0.9, 20) is before


def test_an_arousal_that_is_not_certain_changes_nothing() -> None:
    leading = led()
    before = leading.planner.decision
    for _ in range(120):
        leading.wait(1)
        unsure = Estimate(Emotion(0, 0.9), 0.5, 0.5)
        assert leading.planner.sense(unsure, leading.position, leading.music) is before


def test_readings_that_stay_off_bring_it_back_to_where_they_met_and_ask() -> None:
    leading = led()
    leading.feel(0.9, 90)
    hand_over(
        leading.planner.decision,
        Stance.STEP_BACK,
        "Going back to where we met: your body is still livelier than the music",
    )
    assert leading.planner.decision.asks


def test_readings_that_come_to_the_music_let_it_lead_on() -> None:
    leading = led()
    leading.feel(0.9, 45)
    assert leading.feel(leading.music.arousal, 1).stance is Stance.LEAD


def test_what_a_wearable_said_is_not_waited_for_when_it_has_gone() -> None:
    for seconds in (45, 90):  # until it holds; until it has stepped back
        leading = led()
        leading.feel(0.9, seconds)
        leading.kept(leading.planner.unsense(leading.position, leading.music))
        assert leading.wait(300).now.stance is Stance.LEAD


def test_a_wearable_that_goes_does_not_touch_what_words_have_led_to() -> None:
    leading = led(240)
    for _ in range(3):
        leading.report(TENSE)
        leading.wait(40)
    before = leading.planner.decision
    assert leading.planner.unsense(leading.position, leading.music) is before


def test_readings_while_it_matches_change_nothing() -> None:
    meeting = room()
    before = meeting.planner.decision
    assert meeting.feel(-1.0, 29) is before


def test_readings_that_are_off_at_the_goal_make_it_ask_and_stay() -> None:
    arrived = room().wait(800)
    decision = arrived.feel(0.9, 45)
    assert (decision.stance, decision.asks) == (Stance.ARRIVE, True)
    assert arrived.music == CALM


@pytest.mark.parametrize("end", ["readings agree", "a word", "no wearable"])
def test_at_the_goal_it_does_not_speak_of_the_body_for_longer_than_that_is_so(end: str) -> None:
    arrived = room().wait(800)
    path = arrived.planner.decision.path
    hand_over(arrived.feel(0.9, 45), Stance.ARRIVE, "Staying here, though your body is still livelier than the music")
    match end:
        case "readings agree":
            arrived.feel(CALM.arousal, 1)
        case "a word":
            arrived.report(CALM)
        case _:
            arrived.kept(arrived.planner.unsense(arrived.position, arrived.music))
    hand_over(arrived.planner.decision, Stance.ARRIVE, "Staying here: this is where we were going")
    assert not arrived.planner.decision.asks
    assert arrived.planner.decision.path is path


@pytest.mark.parametrize("region", [Region(), Region(arousal=(0.2, 1.0))])
def test_before_the_first_word_it_comes_back_to_neutral_when_the_wearable_goes(region: Region) -> None:
    waiting = Room(Planner(CALM, END, Rules(), region), Estimator(None, 0.0))
    waiting.feel(0.8, 5)
    here = waiting.wait(60).music
    decision = waiting.kept(waiting.planner.unsense(waiting.position, here))
    hand_over(decision, Stance.MATCH, "Playing neutrally until you say how you feel")
    assert decision.asks
    assert waiting.music == here
    assert here.distance(waiting.wait(30).music) == pytest.approx(Rules().step, abs=0.001)
    assert waiting.wait(300).music == region.nearest(NEUTRAL)
    assert waiting.planner.unsense(waiting.position, waiting.music) is decision


def test_before_the_first_word_the_musics_arousal_goes_along_with_the_heart() -> None:
    waiting = room(None)
    hand_over(waiting.feel(0.8, 5), Stance.MATCH, "Going along with your body until you say how you feel")
    assert waiting.planner.decision.asks
    assert waiting.wait(300).music == Emotion(0, 0.8)


# The therapist


def test_another_goal_is_led_to_from_where_the_music_is() -> None:
    leading = led()
    here = leading.music
    leading.kept(leading.planner.aim(Emotion(0.83, 0.53), leading.position, here))
    hand_over(leading.planner.decision, Stance.LEAD, "Leading on to the new goal: happy")
    assert leading.music == here
    assert leading.wait(800).music == Emotion(0.83, 0.53)


def test_the_same_goal_again_changes_nothing() -> None:
    leading = led()
    before = leading.planner.decision
    assert leading.planner.aim(CALM, leading.position, leading.music) is before


def test_another_goal_leaves_the_rest_of_the_meeting() -> None:
    meeting = room().wait(10)
    meeting.planner.aim(Emotion(0.83, 0.53), meeting.position, meeting.music)
    assert meeting.planner.decision.path.leads_from == CLIP_FRAMES
    assert meeting.wait(19).music == TENSE


@pytest.mark.parametrize("region", [Region(valence=(-1.0, -0.2)), Region(valence=(-1.0, 0.1), arousal=(-1.0, 0.0))])
def test_a_new_goal_that_a_narrowed_region_moves_is_named_as_it_is_now(region: Region) -> None:
    leading = led()
    leading.planner.aim(Emotion(0.83, 0.53), leading.position, leading.music)
    decision = leading.kept(leading.planner.confine(region, leading.position, leading.music))
    assert decision.why == Why("new_goal", mood(region.nearest(Emotion(0.83, 0.53))))
    assert decision.why.mood != "happy"


@pytest.mark.parametrize(("highest", "key"), [(0.3, "meeting"), (0.1, "meeting_near")])
def test_in_a_widened_region_it_is_told_that_the_patient_is_met_where_the_music_is_with_them(
    highest: float, key: str
) -> None:
    meeting = room()
    meeting.planner.confine(Region(arousal=(-1.0, highest)), 0, TENSE)
    here = meeting.music
    assert meeting.planner.decision.why == Why("meeting_near", "tense")
    still_outside = meeting.kept(meeting.planner.confine(Region(arousal=(-1.0, 0.4)), 0, here))
    assert still_outside.why == Why("meeting_near", "tense")
    assert meeting.kept(meeting.planner.confine(Region(), 0, here)).why == Why(key, "tense")
    assert meeting.music == here


def test_another_goal_before_the_first_word_is_kept_for_later() -> None:
    waiting = room(None)
    before = waiting.planner.decision
    assert waiting.planner.aim(SAD, 0, NEUTRAL) is before
    waiting.wait(10).report(TENSE)
    assert waiting.wait(880).music.distance(SAD) < 0.01


def test_other_rules_hold_from_here_on() -> None:
    leading = led()
    here = leading.music
    leading.planner.obey(Rules(step=0.02), leading.position, here)
    assert leading.music == here
    assert leading.wait(30).music.distance(here) <= 0.02


def test_the_same_rules_again_change_nothing() -> None:
    leading = led()
    before = leading.planner.decision
    assert leading.planner.obey(Rules(), leading.position, leading.music) is before


def test_after_too_much_it_meets_the_patient_anew() -> None:
    leading = led(240)
    leading.report(TENSE)
    hand_over(leading.planner.meet(SAD, leading.position), Stance.MATCH, "Meeting you where you are: sad")


def test_after_too_much_without_a_word_it_goes_on_calmly_and_asks() -> None:
    leading = led()
    leading.planner.land(Emotion(0.4, -0.8), leading.position)
    hand_over(leading.now, Stance.MATCH, "Going on calmly: say how you feel now")
    assert leading.now.asks
    assert str(leading.report(TENSE).why) == "Meeting you where you are: tense"


# What always holds

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
rules = st.builds(
    Rules,
    step=st.floats(0.02, 1.0),
    hold_frames=st.integers(0, 2 * CLIP_FRAMES),
    shape=st.sampled_from(Shape),
    patience=st.integers(1, 10),
    tolerance=st.floats(0.05, 1.0),
)
events = st.lists(
    st.tuples(
        st.floats(0, 120),
        st.one_of(
            st.tuples(st.just("report"), emotions),
            st.tuples(st.just("near"), st.floats(-0.3, 0.3)),
            st.tuples(st.just("sense"), st.tuples(coordinates, st.floats(0.01, 0.5))),
            st.tuples(st.just("aim"), emotions),
            st.tuples(st.just("obey"), rules),
        ),
    ),
    max_size=25,
)
starts = st.none() | emotions
ends = st.none() | st.integers(0, 2 * END)


def let_happen(there: Room, kind: str, what: object) -> Decision:
    """One event of those above."""
    planner, position, music = there.planner, there.position, there.music
    match kind, what:
        case "report", Emotion() as said:
            return there.report(said)
        case "near", float() as off:
            return there.report(Emotion(max(-1, min(1, music.valence + off)), music.arousal))
        case "sense", (float() as arousal, float() as sd):
            return there.kept(planner.sense(Estimate(Emotion(0, arousal), 0.3, sd), position, music))
        case "aim", Emotion() as goal:
            return there.kept(planner.aim(goal, position, music))
        case "obey", Rules() as bounds:
            return there.kept(planner.obey(bounds, position, music))
        case _:
            raise AssertionError(kind)


@settings(deadline=None)
@given(starts, emotions, ends, rules, events)
def test_whatever_happens_no_path_is_faster_than_the_bound_or_leaves_the_plane(
    start: Emotion | None,
    goal: Emotion,
    end: int | None,
    bounds: Rules,
    happens: list[tuple[float, tuple[str, object]]],
) -> None:
    there = room(start, goal, end, bounds)
    left: list[Emotion] = []  # what the music has left for a match
    for wait, (kind, what) in happens:
        there.wait(wait)
        position, music, before = there.position, there.music, there.planner.decision
        path = let_happen(there, kind, what).path
        if path is not before.path:
            assert path.corners[0].position == position
            matches = there.planner.decision.stance is Stance.MATCH
            assert matches or path.at(position) == music or (kind in ("report", "near") and path.at(position) in left)
            if matches:
                left.append(music)
        assert all(a.position < b.position for a, b in pairwise(path.corners))
        last = path.corners[-1].position
        step = there.planner.rules.step
        for point in range(position, min(last, position + 40 * CLIP_FRAMES) + 1, CLIP_FRAMES // 3):
            assert told(path.at(point)).distance(told(path.at(point + CLIP_FRAMES))) <= step


def told(emotion: Emotion) -> Emotion:
    """As a message has it."""
    return Emotion(**emotion_object(emotion))


@settings(deadline=None)
@given(starts, emotions, ends, rules, events)
def test_readings_never_make_the_music_jump(
    start: Emotion | None,
    goal: Emotion,
    end: int | None,
    bounds: Rules,
    happens: list[tuple[float, tuple[str, object]]],
) -> None:
    there = room(start, goal, end, bounds)
    for wait, (kind, what) in happens:
        there.wait(wait)
        music = there.music
        let_happen(there, kind, what)
        if kind in ("sense", "aim", "obey"):
            assert there.music == music


@settings(deadline=None)
@given(starts, emotions, ends, rules, events)
def test_every_decision_says_why_in_one_sentence(
    start: Emotion | None,
    goal: Emotion,
    end: int | None,
    bounds: Rules,
    happens: list[tuple[float, tuple[str, object]]],
) -> None:
    there = room(start, goal, end, bounds)
    for wait, (kind, what) in happens:
        let_happen(there.wait(wait), kind, what)
        for decision in (there.planner.decision, there.now):
            sentence = str(decision.why)
            assert sentence[0].isupper()
            assert 10 < len(sentence) < 100
            assert not set("{}.") & set(sentence)


@settings(deadline=None)
@given(starts, emotions, ends, rules, events)
def test_the_same_happenings_give_the_same_decisions(
    start: Emotion | None,
    goal: Emotion,
    end: int | None,
    bounds: Rules,
    happens: list[tuple[float, tuple[str, object]]],
) -> None:
    one, other = room(start, goal, end, bounds), room(start, goal, end, bounds)
    for wait, (kind, what) in happens:
        assert let_happen(one.wait(wait), kind, what) == let_happen(other.wait(wait), kind, what)


@given(st.floats(0.05, 1.0))
def test_the_music_never_leaves_a_patient_who_never_moves_far_behind(tolerance: float) -> None:
    still = room(rules=replace(Rules(), tolerance=tolerance))
    for _ in range(29):
        still.wait(30).report(TENSE)
        assert still.music.distance(TENSE) <= LEASH_BOUNDS[1] * tolerance + 2 * Rules().step
