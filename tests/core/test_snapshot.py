"""What a session needs to go on in another process: written down and read again, it does just the same."""

import json
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import (
    Bound,
    EndGently,
    Event,
    Goal,
    Hold,
    Lead,
    Obey,
    Pause,
    Play,
    Recompose,
    Report,
    Rest,
    Sense,
    StepBack,
    TooMuch,
    Unsensed,
)
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Cue, Preference, Recipe, frames_of
from musicmed_live.core.judgement import Judgement, Reason
from musicmed_live.core.mixer import Level
from musicmed_live.core.notation import Notation
from musicmed_live.core.plan import Plan, PlannedPause
from musicmed_live.core.readings import HeartRate
from musicmed_live.core.session import Session
from musicmed_live.core.snapshot import Memory, Passage, Past, Snapshot, read, recall, remember, write
from musicmed_live.errors import IllegalTransition, InvalidInput

MOODS = st.builds(Emotion, st.floats(-1, 1), st.floats(-1, 1))
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Report, MOODS),
    st.builds(Goal, MOODS),
    st.sampled_from(
        [
            *(Play(), Pause(), TooMuch(), Unsensed(), Hold(), Lead(), StepBack(), EndGently(), Rest(20.0)),
            *(Obey({"step": 0.1}), Obey({"patience": 3, "tolerance": 0.1})),
            *(Bound({"region": Region((-0.5, 0.6), (-0.8, 0.2))}), Bound({"tempo_bpm": (60.0, 90.0)})),
        ]
    ),
)
STEPS = st.lists(st.tuples(EVENTS, st.floats(0.1, 200.0)), max_size=12)
PLANS = st.builds(
    Plan,
    st.none() | MOODS,
    MOODS,
    st.sampled_from([None, frames_of(900.0)]),
    st.just(7),
    pauses=st.just((PlannedPause(frames_of(120.0), 30.0),)),
)


class Course:
    """A session that is told events, and what it has answered."""

    def __init__(self, session: Session, now: float = 0.0) -> None:
        self.session, self.now = session, now

    def go(self, steps: Sequence[tuple[Event, float]]) -> list[Any]:
        """What came of each step."""
        found: list[Any] = []
        for event, seconds in steps:
            self.now += seconds
            heard, session = round(self.now * SAMPLE_RATE), self.session
            try:
                found.append(session.handle(event, heard, now=self.now))
            except IllegalTransition as fault:
                found.append(str(fault))
            found += [session.decision_at(heard), session.estimate(self.now), session.next_clip(heard)]
            found += [session.phase, session.held, session.bounds, session.ends, session.rest_seconds(self.now)]
        return found

    def wear(self, seconds: int) -> None:
        """Wear a strap for so long."""
        for number in range(seconds):
            self.now += 1
            reading = HeartRate(self.now, 70.0 + number % 3, (850.0, 860.0), True)
            self.session.handle(Sense(reading, 0.1), round(self.now * SAMPLE_RATE), now=self.now)


def again(memory: Memory) -> Memory:
    """Through a text and back."""
    found = read(write(snapshot_of(memory)))
    return found.memory


def snapshot_of(memory: Memory, **more: Any) -> Snapshot:
    wish = Plan(None, Emotion(0, 0), None, 1)
    rest: dict[str, Any] = {"wanted": None, "passages": (), **more}
    return Snapshot(
        "anna", True, wish, 3.5, 48_000, True, memory, Level(0.1, 0.2, 1.0, ((96_000, 480), (72_000, 480))), **rest
    )


@settings(max_examples=60, deadline=None)
@given(PLANS, STEPS, STEPS, st.integers(0, 40))
def test_a_session_that_was_written_down_answers_as_if_it_had_not_been(
    plan: Plan, before: list[tuple[Event, float]], after: list[tuple[Event, float]], worn: int
) -> None:
    one = Course(Session(plan))
    one.go(before)
    one.wear(worn if one.session.phase != "ended" else 0)
    memory = remember(one.session)
    other = Course(recall(again(memory), plan, one.now), one.now)
    assert remember(other.session) == memory
    assert other.go(after) == one.go(after)


def test_what_was_learned_of_the_body_is_kept() -> None:
    one = Course(Session(Plan(Emotion(0.0, 0.0), Emotion(0.5, -0.5), None, 1)))
    one.wear(90)
    assert one.session.profile.baselines
    assert recall(again(remember(one.session)), one.session.wish, one.now).profile == one.session.profile


def request(position: int, seconds: float = 30.0) -> ClipRequest:
    forbid = Preference(forbid=("piano",))
    return ClipRequest(position, frames_of(seconds), Emotion(0.1, 0.2), Emotion(0.3, 0.2), forbid, tempo_bpm=(60, 90))


def passage(position: int, begins: int | None = None) -> Passage:
    asked = request(position if begins is None else begins)
    heard = Judgement(Emotion(0.1, 0.2), 0.3, 0.25, (Reason("tempo", "arousal", 0.3),))
    return Passage(position, asked.start, asked.end, heard, asked.start, "composer", Recipe(asked, '{"a":"b"}'))


def test_everything_is_written_down_as_it_is() -> None:
    memory = remember(Session(Plan(None, Emotion(0, 0), None, 1)))
    wish = Plan(Emotion(1, 1), Emotion(0, 0), None, 2**63 - 1, bounds=Bounds(forbid=("harp",), generator="composer"))
    whole = snapshot_of(memory, wanted=Recompose(Cue.BAR, "goal"), passages=(passage(0), passage(90)))
    whole = replace(whole, plan=wish)
    assert read(write(whole)) == whole


def test_it_goes_on_with_the_passage_that_is_heard_then() -> None:
    memory = remember(Session(Plan(None, Emotion(0, 0), None, 1)))
    at = 48_000
    found = snapshot_of(memory, passages=(passage(0), passage(at + frames_of(2.5))))
    assert Past(found, 0.2).passage == found.passages[0]
    assert Past(found, 0.2).wanted == Recompose(Cue.BAR, "late"), "the clip that was to cut it off is to be made anew"
    assert Past(found, 4.0).passage == found.passages[1]
    assert Past(found, 4.0).wanted is None
    assert Past(replace(found, passages=()), 4.0).passage is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "{}",
        lambda text: "[" * 100_000,
        lambda text: text[:-20],
        lambda text: text.replace('"version":1', '"version":0'),
        lambda text: text.replace('"$":"Plan"', '"$":"Popen"'),
        lambda text: text.replace('"valence":0', '"valence":7', 1),
        lambda text: text.replace('"clock":', '"clocks":'),
        lambda text: text.replace('"instruments":{', '"instruments":3,"style":{', 1),
        lambda text: json.dumps({"$": "Emotion", "valence": 0, "arousal": 0}),
    ],
)
def test_what_is_damaged_or_of_another_version_is_refused(damage: Any) -> None:
    text = write(snapshot_of(remember(Session(Plan(Emotion(0, 0), Emotion(0, 0), None, 1)))))
    with pytest.raises(InvalidInput):
        read(damage(text))


def test_attributes_that_nobody_knows_any_more_are_refused() -> None:
    memory = remember(Session(Plan(None, Emotion(0, 0), None, 1)))
    with pytest.raises(InvalidInput, match="has no whim"):
        recall(replace(memory, planner={**memory.planner, "whim": 1}), Plan(None, Emotion(0, 0), None, 1), 0.0)


def test_mappings_keep_their_order_and_unknown_classes_are_not_written() -> None:
    notation = Notation((Cue, Emotion))
    value = MappingProxyType({Cue.BAR: 1.5, Cue.BEAT: 0.5, "a": frozenset({"y", "x"})})
    found = notation.read(notation.write(value))
    assert list(found.items()) == list(value.items())
    for unknown in (Preference(), object(), [1], {1: 2}, {"$": 1}):
        with pytest.raises(TypeError):
            notation.write(unknown)
    with pytest.raises(ValueError, match="not JSON compliant"):
        notation.write(float("nan"))
