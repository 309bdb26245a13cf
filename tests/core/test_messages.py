"""The wire: every message is read, every refusal names code, field and value, and nothing else gets through."""

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core import messages
from musicmed_live.core.bounds import Region
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
    Report,
    StepBack,
    Stop,
    TooMuch,
)
from musicmed_live.core.generator import Cue
from musicmed_live.core.judgement import Judgement, Reason
from musicmed_live.core.messages import Codec, Listen, Role, parse_message, parse_object, parse_patient
from musicmed_live.core.path import Rules, plan
from musicmed_live.core.readings import HeartRate, Motion, Reading
from musicmed_live.core.timeline import Clip, Description, Track
from musicmed_live.errors import InvalidInput, shown
from tests.core.junk import junk

CALM = {"valence": 0.6, "arousal": -0.4}
STEERING = {"rules", "bounds", "hold", "lead", "step_back", "end_gently"}


def refusal(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        parse_message(text)
    fault = refused.value
    # Starlette writes JSON as UTF-8 without escapes: what cannot be encoded there would be a server error.
    assert json.dumps(messages.error(fault), ensure_ascii=False).encode()
    assert len(fault.message) < 400
    return fault


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ({"type": "play"}, Play()),
        ({"type": "pause"}, Pause()),
        ({"type": "too_much"}, TooMuch()),
        ({"type": "stop"}, Stop()),
        ({"type": "report", "valence": -0.6, "arousal": 1}, Report(Emotion(-0.6, 1.0))),
        ({"type": "goal", "valence": 0, "arousal": -1}, Goal(Emotion(0.0, -1.0))),
        ({"type": "rules", "step": 0.1, "patience": 3}, Obey({"step": 0.1, "patience": 3})),
        ({"type": "bounds", "tempo_bpm": None, "forbid": ["oboe"]}, Bound({"tempo_bpm": None, "forbid": ("oboe",)})),
        (
            {"type": "bounds", "region": {"valence": [-1, 1], "arousal": [-1, 0]}},
            Bound({"region": Region(arousal=(-1.0, 0.0))}),
        ),
        ({"type": "hold"}, Hold()),
        ({"type": "lead"}, Lead()),
        ({"type": "step_back"}, StepBack()),
        ({"type": "end_gently"}, EndGently()),
        (
            {"type": "reading", "kind": "heart_rate", "at": 1.5, "bpm": 72, "rr_ms": [830, 840.5], "contact": True},
            HeartRate(1.5, 72.0, (830.0, 840.5), True),
        ),
        ({"type": "reading", "kind": "motion", "at": 1.5, "g": 0.1}, Motion(1.5, 0.1)),
        ({"type": "listen"}, Listen(Codec.PCM_S16LE, 72_000)),
        ({"type": "listen", "codec": "opus", "lead_ms": 100}, Listen(Codec.OPUS, 4800)),
        ({"type": "listen", "codec": "pcm_s16le", "lead_ms": 8000}, Listen(Codec.PCM_S16LE, 384_000)),
    ],
)
def test_every_message_of_the_protocol_is_read(message: dict[str, Any], meaning: Listen | Reading | Event) -> None:
    assert parse_message(json.dumps(message)) == meaning


@pytest.mark.parametrize(
    "text",
    ["", "play", "{", '{"type": "play"', "{'type': 'play'}", '{"type": "play"} {}', "[" * 2000, "9" * 4096, "\x00"],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    assert refusal(text).code == "not_json"


@pytest.mark.parametrize("text", ["null", "3", '"play"', '["play"]', "true", "NaN"])
def test_json_that_is_not_an_object_is_refused(text: str) -> None:
    fault = refusal(text)
    assert (fault.code, fault.field) == ("not_json", "")
    assert json.dumps(text) in fault.message


@pytest.mark.parametrize("text", ["x" * 4097, "é" * 2049, '{"type": "play", "pad": "' + " " * 5000 + '"}'])
def test_an_over_long_message_is_refused_unread(text: str) -> None:
    fault = refusal(text)
    assert fault.code == "too_long"
    assert str(len(text)) in fault.message
    assert "4096" in fault.message


def test_a_message_of_exactly_the_limit_is_read() -> None:
    assert parse_message('{"type": "play"}'.ljust(4096)) == Play()


@pytest.mark.parametrize("kind", ["louder", "", None, 3, ["play"], {"type": "play"}, True, "x" * 3000])
def test_an_unknown_type_is_answered_with_the_known_ones(kind: Any) -> None:
    fault = refusal(json.dumps({"type": kind}))
    assert (fault.code, fault.field) == ("unknown_type", "type")
    assert json.dumps(kind)[:50] in fault.message
    known = "goal, hold, lead, listen, pause, play, reading, report, rules, step_back, stop, too_much"
    assert f"bounds, end_gently, {known}" in fault.message


def test_a_message_without_a_type_is_refused() -> None:
    assert refusal("{}").code == "unknown_type"


@pytest.mark.parametrize("kind", ["report", "goal"])
@pytest.mark.parametrize("axis", ["valence", "arousal"])
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1.0001, -2, 10**400, "0.5", None, True, [0.5], {"x": 1}]
)
def test_a_bad_coordinate_is_refused_by_name_and_value(kind: str, axis: str, value: Any) -> None:
    fault = refusal(json.dumps({"type": kind, "valence": 0.0, "arousal": 0.0, axis: value}))
    assert (fault.code, fault.field) == ("invalid", axis)
    assert json.dumps(value)[:50] in fault.message


@pytest.mark.parametrize("kind", ["report", "goal"])
@pytest.mark.parametrize("axis", ["valence", "arousal"])
def test_a_missing_coordinate_is_refused_by_name(kind: str, axis: str) -> None:
    message = {"type": kind, "valence": 0.0, "arousal": 0.0}
    del message[axis]
    fault = refusal(json.dumps(message))
    assert (fault.code, fault.field) == ("invalid", axis)
    assert "missing" in fault.message


@pytest.mark.parametrize("codec", ["mp3", "", None, 1, ["opus"], "OPUS"])
def test_an_unknown_codec_is_answered_with_the_known_ones(codec: Any) -> None:
    fault = refusal(json.dumps({"type": "listen", "codec": codec}))
    assert (fault.code, fault.field) == ("unknown_codec", "codec")
    assert json.dumps(codec) in fault.message
    assert "pcm_s16le, opus" in fault.message


@pytest.mark.parametrize("lead_ms", [99, 8001, -1, 0, math.nan, math.inf, "1500", None, True, 10**300])
def test_a_lead_out_of_range_is_refused(lead_ms: Any) -> None:
    fault = refusal(json.dumps({"type": "listen", "lead_ms": lead_ms}))
    assert (fault.code, fault.field) == ("invalid", "lead_ms")
    assert json.dumps(lead_ms)[:50] in fault.message
    assert "from 100 to 8000" in fault.message


@pytest.mark.parametrize("kind", ["play", "pause", "too_much", "stop", "report", "goal", "listen"])
@pytest.mark.parametrize("key", ["volume", "", "\ud800", "k" * 1000])
def test_an_unknown_key_is_refused_by_name(kind: str, key: str) -> None:
    fault = refusal(json.dumps({"type": kind, **(CALM if kind in ("report", "goal") else {}), key: 1}))
    assert fault.code == "invalid"
    assert json.dumps(key)[:50] in fault.message
    assert fault.field == repr(key[:40])[1:-1]


@pytest.mark.parametrize("depth", range(880, 1010, 3))
def test_deep_nesting_is_refused_like_any_other_junk(depth: int) -> None:
    assert refusal('{"type": ' + "[" * depth + "]" * depth + "}").code in ("not_json", "unknown_type")


def test_what_is_nested_too_deeply_to_be_shown_is_told_by_its_kind() -> None:
    value: Any = []
    for _ in range(sys.getrecursionlimit()):
        value = [value]
    assert shown(value) == "list"


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_invalid_input(text: str) -> None:
    try:
        parse_message(text)
    except InvalidInput as fault:
        assert fault.code in ("not_json", "unknown_type", "unknown_kind", "invalid")


kinds = st.sampled_from(["report", "goal", "listen", "play", "pause", "too_much", "stop", "rules", "reading", "bounds"])
keys = st.sampled_from(
    ["valence", "arousal", "codec", "lead_ms", "step", "patience", "kind", "at", "bpm", "rr_ms", "region", "forbid"]
) | st.text(max_size=10)


@given(kinds | junk, st.dictionaries(keys, junk, max_size=4))
def test_no_json_raises_anything_but_invalid_input(kind: Any, rest: dict[str, Any]) -> None:
    try:
        parse_message(json.dumps({**rest, "type": kind}))
    except InvalidInput as fault:
        assert fault.message
        assert json.dumps(messages.error(fault), ensure_ascii=False).encode()


@pytest.mark.parametrize(("patient", "found"), [({}, None), ({"patient": "anna-3_B"}, "anna-3_B")])
def test_a_pseudonym_is_read_where_there_is_one(patient: dict[str, str], found: str | None) -> None:
    assert parse_patient({"goal": "calm", **patient}) == found


@pytest.mark.parametrize("patient", ["", "a b", "anna/report", "+", "#", "a" * 65, 7, ["anna"], "ann\u00e4", "anna\n"])
def test_what_would_not_do_as_a_pseudonym_is_refused(patient: Any) -> None:
    with pytest.raises(InvalidInput, match="patient: ") as refused:
        parse_patient({"patient": patient})
    assert refused.value.field == "patient"


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (Role.LISTENER, {"listen"}),
        (Role.SENSOR, {"reading"}),
        (Role.PATIENT, {"listen", "reading", "report", "goal", "play"}),
        (Role.THERAPIST, {"listen", "reading", "report", "goal", "play"} | STEERING),
    ],
)
def test_a_role_may_say_what_is_its_own(role: Role, said: set[str]) -> None:
    everything: dict[str, Listen | Reading | Event] = {
        "listen": Listen(Codec.OPUS, 4800),
        "reading": Motion(0.0, 0.0),
        "report": Report(Emotion(0.0, 0.0)),
        "goal": Goal(Emotion(0.0, 0.0)),
        "play": Play(),
        "rules": Obey({}),
        "bounds": Bound({}),
        "hold": Hold(),
        "lead": Lead(),
        "step_back": StepBack(),
        "end_gently": EndGently(),
    }
    assert {kind for kind, message in everything.items() if role.may(message)} == said


@given(st.binary(max_size=64))
def test_bytes_that_are_no_json_object_are_refused(body: bytes) -> None:
    try:
        assert isinstance(parse_object(body), dict)
    except InvalidInput as fault:
        assert fault.code == "not_json"


@given(st.integers(0, 2**64 - 1), st.binary(max_size=64))
def test_a_binary_frame_is_its_position_and_its_block(position: int, payload: bytes) -> None:
    frame = messages.pack_block(position, payload)
    assert frame[:8] == position.to_bytes(8, "little")
    assert messages.unpack_block(frame) == (position, payload)


def test_hello_says_what_will_be_sent() -> None:
    hello = json.loads(messages.hello("s", Role.PATIENT, Codec.OPUS, 312))
    audio = {"codec": "opus", "sample_rate": 48_000, "channels": 2, "block_frames": 1920, "pre_skip": 312}
    assert hello == {"type": "hello", "protocol": 1, "session": "s", "role": "patient", "audio": audio}


def test_a_cut_says_from_where_and_why() -> None:
    assert json.loads(messages.cut(7, "report")) == {"type": "cut", "position": 7, "reason": "report"}


def test_an_error_has_code_message_and_field() -> None:
    fault = InvalidInput("what was wrong", "goal", "unknown_word")
    assert messages.error(fault) == {"code": "unknown_word", "message": "what was wrong", "field": "goal"}


def test_a_path_is_told_by_its_corners() -> None:
    path = plan(Emotion(0, 0), Emotion(0.2, 0), 0, None, Rules(hold_frames=0))
    assert messages.path_objects(path) == [
        {"position": 0, "valence": 0, "arousal": 0},
        {"position": path.arrives, "valence": 0.2, "arousal": 0},
    ]


def test_a_clip_is_told_by_the_middle_of_its_way() -> None:
    clip = Clip(48_000, 96_000, Emotion(0, 0), Emotion(0.5, -1 / 3), Track())
    assert Cue.BAR.value == "bar"
    assert messages.clip_object(clip, Description(4, 96.0, "D dorian", ("cello", "piano"))) == {
        "position": 48_000,
        "frames": 96_000,
        "emotion": {"valence": 0.25, "arousal": -0.166667},
        "bars": 4,
        "tempo_bpm": 96.0,
        "key": "D dorian",
        "instruments": ["cello", "piano"],
        "heard": None,
    }


def test_a_clip_that_was_judged_is_told_with_what_spoke_for_it() -> None:
    judgement = Judgement(Emotion(0.125, -0.25), 0.3125, 0.2, (Reason("mode", "valence", 0.10004),))
    assert messages.judgement_object(judgement) == {
        "valence": 0.125,
        "arousal": -0.25,
        "valence_sd": 0.312,
        "arousal_sd": 0.2,
        "reasons": [{"feature": "mode", "axis": "valence", "adds": 0.1}],
    }


def test_bytes_that_are_not_json_are_named_as_they_were_sent() -> None:
    with pytest.raises(InvalidInput, match=r'^not JSON: "{\\"goal\\""$'):
        parse_object(b'{"goal"')
