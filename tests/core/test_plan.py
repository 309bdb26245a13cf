"""What a session is asked to be: read, refused by field and value, and written down so that it comes back."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.bounds import GENERATORS, LOUDEST_DBA, LOUDEST_LUFS, Bounds, Interval, Region
from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.generator import SAMPLE_RATE, Preference, frames_of
from musicmed_live.core.messages import error
from musicmed_live.core.path import Rules, Shape
from musicmed_live.core.plan import MOST_PAUSES, Control, Plan, PlannedPause, parse_plan, plan_object
from musicmed_live.errors import InvalidInput
from tests.core.junk import junk

MINUTE = 60 * SAMPLE_RATE

plan_keys = st.sampled_from(
    [
        *("start", "goal", "minutes", "seed", "instruments", "style", "shape", "patience", "region", "tempo_bpm"),
        *("loudest_lufs", "loudest_dba", "generator", "control", "pauses", "ending_seconds", "output", "sensitive"),
    ]
)
emotions = st.builds(Emotion, st.floats(-1, 1), st.floats(-1, 1))
sides: st.SearchStrategy[Interval] = st.tuples(st.floats(-1, 0.4), st.floats(0.5, 1))
names = st.lists(st.text(max_size=8), unique=True, max_size=4).map(tuple)
preferences = st.builds(Preference, names, names)
rules = st.builds(
    Rules,
    step=st.floats(0.02, 1),
    shape=st.sampled_from(Shape),
    patience=st.integers(1, 10),
    tolerance=st.floats(0.05, 1),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any that a body can ask for."""
    frames = draw(st.none() | st.integers(6 * MINUTE, 240 * MINUTE))
    rests = draw(st.lists(st.tuples(st.integers(0, 10), st.floats(0.1, 60)), max_size=MOST_PAUSES))
    positions = [(i + 1) * MINUTE // 2 + jitter for i, (jitter, _) in enumerate(rests)]
    output = draw(st.none() | st.text(min_size=1, max_size=64))
    bounds = Bounds(
        region=draw(st.builds(Region, sides, sides)),
        tempo_bpm=draw(st.none() | st.tuples(st.floats(40, 100), st.floats(130, 180))),
        loudest_lufs=draw(st.none() | st.floats(*LOUDEST_LUFS)),
        loudest_dba=None if output is None else draw(st.none() | st.floats(*LOUDEST_DBA)),
        generator=draw(st.none() | st.sampled_from(GENERATORS)),
    )
    pauses = [PlannedPause(at, round(60 * minutes, 3)) for at, (_, minutes) in zip(positions, rests, strict=True)]
    rising = [pause for i, pause in enumerate(pauses) if not i or pause.position - positions[i - 1] >= MINUTE // 2]
    return Plan(
        start=draw(st.none() | emotions),
        goal=draw(emotions),
        frames=frames,
        seed=draw(st.integers(0, 2**63 - 1)),
        instruments=draw(preferences),
        style=draw(preferences),
        rules=draw(rules),
        bounds=bounds,
        control=draw(st.sampled_from(Control)),
        pauses=tuple(rising),
        ending_frames=draw(st.integers(3 * SAMPLE_RATE, 180 * SAMPLE_RATE)),
        output=output,
        sensitive=draw(st.booleans()),
    )


def refused_plan(body: dict[str, Any]) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        parse_plan(body, lambda: 1)
    assert json.dumps(error(refused.value), ensure_ascii=False).encode()
    return refused.value


@given(plans())
def test_a_plan_that_is_written_down_comes_back_as_it_was(plan: Plan) -> None:
    assert parse_plan(json.loads(json.dumps(plan_object(plan))), lambda: 0) == plan


@given(st.dictionaries(plan_keys, junk, max_size=7), st.booleans())
def test_no_body_raises_anything_but_invalid_input(body: dict[str, Any], with_goal: bool) -> None:
    try:
        parse_plan({**body, "goal": "calm"} if with_goal else body, lambda: 1)
    except InvalidInput as fault:
        assert fault.field or fault.code == "invalid"
        assert json.dumps(error(fault), ensure_ascii=False).encode()


def test_a_body_without_a_goal_is_refused() -> None:
    fault = refused_plan({"start": "anxious"})
    assert (fault.field, fault.code) == ("goal", "invalid")


def test_a_body_of_only_a_goal_gets_the_defaults() -> None:
    wish = parse_plan({"goal": "calm"}, lambda: 42)
    assert wish.start is None
    assert wish.goal == WORDS["calm"][0]
    assert wish.frames == 900 * 48_000
    assert wish.seed == 42
    assert wish.instruments == wish.style == Preference()
    assert wish.rules == Rules()


def test_a_full_body_is_read() -> None:
    body = {
        "start": "anxious",
        "goal": {"valence": 0.6, "arousal": -0.4},
        "minutes": 0.5,
        "seed": 2**63 - 1,
        "instruments": {"prefer": ["piano", "harp", "piano"], "forbid": []},
        "style": {"forbid": ["waltz"]},
        "shape": "curved",
        "step": 0.1,
        "patience": 3,
        "tolerance": 0.3,
    }
    wish = parse_plan(body, lambda: 0)
    assert (wish.start, wish.goal) == (WORDS["anxious"][0], Emotion(0.6, -0.4))
    assert (wish.frames, wish.seed) == (30 * 48_000, 2**63 - 1)
    assert wish.instruments == Preference(prefer=("piano", "harp"))
    assert wish.style == Preference(forbid=("waltz",))
    assert wish.rules == Rules(step=0.1, patience=3, tolerance=0.3, shape=Shape.CURVED)


def test_minutes_of_null_leave_the_end_open() -> None:
    assert parse_plan({"goal": "calm", "minutes": None}, lambda: 1).frames is None


@pytest.mark.parametrize(
    ("key", "value", "field", "code", "named"),
    [
        ("start", "grumpy", "start", "unknown_word", "'grumpy'"),
        ("goal", "grumpy", "goal", "unknown_word", "'grumpy'"),
        ("goal", None, "goal", "invalid", "null"),
        ("goal", {"valence": math.nan, "arousal": 0}, "goal.valence", "invalid", "NaN"),
        ("start", {"valence": 0}, "start", "invalid", '{"valence": 0}'),
        ("minutes", 0.49, "minutes", "invalid", "0.49"),
        ("minutes", 240.5, "minutes", "invalid", "240.5"),
        ("minutes", math.nan, "minutes", "invalid", "NaN"),
        ("minutes", "15", "minutes", "invalid", '"15"'),
        ("minutes", True, "minutes", "invalid", "true"),
        ("seed", -1, "seed", "invalid", "-1"),
        ("seed", 2**63, "seed", "invalid", "9223372036854775808"),
        ("seed", 1.0, "seed", "invalid", "1.0"),
        ("seed", True, "seed", "invalid", "true"),
        ("seed", "7", "seed", "invalid", '"7"'),
        ("shape", "zigzag", "shape", "invalid", '"zigzag"'),
        ("shape", ["linear"], "shape", "invalid", '["linear"]'),
        ("step", 0.01, "step", "invalid", "0.01"),
        ("step", True, "step", "invalid", "true"),
        ("patience", 1.5, "patience", "invalid", "1.5"),
        ("patience", 11, "patience", "invalid", "11"),
        ("tolerance", "wide", "tolerance", "invalid", '"wide"'),
        ("instruments", ["piano"], "instruments", "invalid", '["piano"]'),
        ("instruments", {"prefer": "piano"}, "instruments.prefer", "invalid", '"piano"'),
        ("instruments", {"forbid": [1]}, "instruments.forbid", "invalid", "[1]"),
        ("style", {"prefer": ["x"] * 65}, "style.prefer", "invalid", '["x", "x"'),
        ("style", {"avoid": []}, "style", "invalid", '"avoid"'),
        ("region", [0, 1], "region", "invalid", "[0, 1]"),
        ("region", {"valence": [0.5, 0.55]}, "region.valence", "invalid", "[0.5, 0.55]"),
        ("tempo_bpm", [60, 70], "tempo_bpm", "invalid", "[60, 70]"),
        ("loudest_lufs", -10, "loudest_lufs", "invalid", "-10"),
        ("loudest_dba", 50, "loudest_dba", "invalid", "50"),
        ("generator", "piano", "generator", "invalid", '"piano"'),
        ("control", "voice", "control", "invalid", '"voice"'),
        ("control", None, "control", "invalid", "null"),
        ("pauses", None, "pauses", "invalid", "null"),
        ("pauses", [{"after_minutes": 1 + i, "minutes": 1} for i in range(9)], "pauses", "invalid", "after_minutes"),
        ("pauses", [5], "pauses.0", "invalid", "5"),
        ("pauses", [{"after_minutes": 5}], "pauses.0", "invalid", "after_minutes"),
        ("pauses", [{"after_minutes": 0, "minutes": 1}], "pauses.0.after_minutes", "invalid", "0"),
        ("pauses", [{"after_minutes": 5, "minutes": "2"}], "pauses.0.minutes", "invalid", '"2"'),
        ("pauses", [{"after_minutes": 15, "minutes": 1}], "pauses.0", "invalid", "beyond the end"),
        (
            "pauses",
            [{"after_minutes": 5, "minutes": 1}, {"after_minutes": 5.25, "minutes": 1}],
            "pauses.1",
            "invalid",
            "after the pause before it",
        ),
        ("ending_seconds", 2, "ending_seconds", "invalid", "2"),
        ("ending_seconds", None, "ending_seconds", "invalid", "null"),
        ("output", "", "output", "invalid", '""'),
        ("output", "x" * 65, "output", "invalid", '"xxxx'),
        ("output", 3, "output", "invalid", "3"),
        ("sensitive", 1, "sensitive", "invalid", "1"),
        ("tempo", 90, "tempo", "invalid", '"tempo"'),
        ("\ud800", 90, "\\ud800", "invalid", '"\\ud800"'),
    ],
)
def test_a_bad_part_of_a_body_is_refused_by_name_and_value(
    key: str, value: Any, field: str, code: str, named: str
) -> None:
    fault = refused_plan({"goal": "calm", key: value})
    assert (fault.field, fault.code) == (field, code)
    assert fault.message.startswith((f"{field}: ", "unknown key "))
    assert named in fault.message


def test_a_body_of_only_a_goal_is_bound_by_nothing() -> None:
    plan = parse_plan({"goal": "calm"}, lambda: 1)
    assert (plan.bounds, plan.control, plan.pauses, plan.output) == (Bounds(), Control.PAD, (), None)
    assert plan.ending_frames == frames_of(10)


def test_what_a_therapist_asks_for_is_read() -> None:
    body = {
        "goal": "calm",
        "region": {"valence": [-0.5, 1], "arousal": [-1, 0.25]},
        "tempo_bpm": [50, 80],
        "loudest_lufs": -30,
        "loudest_dba": 55,
        "generator": "composer",
        "instruments": {"forbid": ["flute"]},
        "control": "faces",
        "pauses": [{"after_minutes": 5, "minutes": 2}, {"after_minutes": 10, "minutes": 0.5}],
        "ending_seconds": 60,
        "output": "bed 3",
    }
    plan = parse_plan(body, lambda: 1)
    region = Region((-0.5, 1.0), (-1.0, 0.25))
    assert plan.bounds == Bounds(region, (50.0, 80.0), -30.0, 55.0, ("flute",), "composer")
    assert plan.instruments == Preference(forbid=("flute",))
    assert (plan.control, plan.output, plan.ending_frames) == (Control.FACES, "bed 3", MINUTE)
    assert plan.pauses == (PlannedPause(5 * MINUTE, 120.0), PlannedPause(10 * MINUTE, 30.0))


def test_what_is_forbidden_stands_in_both_places_wherever_it_was_said() -> None:
    plan = Plan(None, Emotion(0, 0), None, 1, Preference(forbid=("flute",)), bounds=Bounds(forbid=("oboe", "flute")))
    assert plan.instruments.forbid == plan.bounds.forbid == ("flute", "oboe")


def test_an_ending_does_not_take_up_more_than_half_of_a_session() -> None:
    assert parse_plan({"goal": "calm", "minutes": 1, "ending_seconds": 30}, lambda: 1).ending_frames == MINUTE // 2
    with pytest.raises(InvalidInput, match="more than half"):
        parse_plan({"goal": "calm", "minutes": 1, "ending_seconds": 31}, lambda: 1)
