"""What comes over MQTT is used or counted, whatever it is."""

import json
from typing import Any, cast

from aiomqtt import Message
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.readings import Kind
from musicmed_live.service.budget import Budget
from musicmed_live.service.hub import Hub
from musicmed_live.service.intake import Intake
from musicmed_live.service.topics import COMMANDS
from tests.service.house import House

LEAVES = (*(f"reading/{kind}" for kind in Kind), "reading/aura", "report", "goal", "command", "state", "error")
KEYS = st.sampled_from(["at", "bpm", "rr_ms", "us", "g", "breaths_per_minute", "contact", "valence", "arousal", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.sampled_from([72, 0.5, 1763800000]),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=6,
)
PAYLOADS = st.one_of(
    st.binary(max_size=64),
    st.dictionaries(KEYS, VALUES).map(lambda body: json.dumps(body).encode()),
    st.text().map(str.encode),
    st.sampled_from([word.encode() for word in COMMANDS]),
    st.integers(4000, 5000).map(lambda size: b"[" * size),
)
TOPICS = st.one_of(
    st.tuples(st.sampled_from(["anna", "zoe", "", "a b"]), st.sampled_from(LEAVES)).map(
        "musicmed/{0[0]}/{0[1]}".format
    ),
    st.text(st.characters(exclude_characters="#+\0"), min_size=1, max_size=80),
)


def intake_of(house: House) -> tuple[Intake, list[tuple[str, str]]]:
    answers: list[tuple[str, str]] = []
    return Intake(cast(Hub, house), lambda *answer: answers.append(answer)), answers


def message(topic: str, payload: bytes, retain: bool = False) -> Message:
    return Message(topic, payload, 0, retain, 0, None)


@given(st.lists(st.tuples(TOPICS, PAYLOADS, st.booleans()), max_size=20))
def test_every_message_is_used_or_counted_and_nothing_else_happens(said: list[tuple[str, bytes, bool]]) -> None:
    house = House()
    anna = house.open("anna")
    intake, answers = intake_of(house)
    for topic, payload, retain in said:
        intake.take(message(topic, payload, retain))
    used = house.count("musicmed_mqtt_taken")
    dropped = sum(
        sample.value
        for metric in house.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "musicmed_mqtt_dropped_total"
    )
    assert used == len(anna.events) + len(anna.readings)
    assert used + dropped == len(said)
    assert all(topic == "musicmed/anna/error" and len(text) < 1000 for topic, text in answers)


@given(st.text(), st.sampled_from(["report", "goal", "command", "reading/heart_rate", "reading/" + "x" * 5000]))
def test_an_answer_says_what_was_wrong_and_where(payload: str, leaf: str) -> None:
    house = House()
    anna = house.open("anna")
    intake, answers = intake_of(house)
    intake.take(message(f"musicmed/anna/{leaf}", payload.encode(errors="replace")))
    assert bool(answers) is not bool(anna.events)
    for _, text in answers:
        answer: dict[str, Any] = json.loads(text)
        assert answer.keys() == {"code", "message", "field", "topic"}
        assert f"musicmed/anna/{leaf}".startswith(answer["topic"])


@given(
    st.lists(st.floats(0, 2), max_size=200),
    st.integers(1, 20),
    st.integers(1, 50),
)
def test_a_budget_is_never_exceeded(pauses: list[float], per_second: int, burst: int) -> None:
    now, budget, spent = 0.0, Budget(per_second, burst, 0.0), 0
    for pause in pauses:
        now += pause
        spent += budget.spend(now)
    assert spent <= burst + per_second * now + 1e-6


def test_a_budget_lets_a_steady_sender_through() -> None:
    budget = Budget(10, 1, 0.0)
    assert all(budget.spend(i * 0.101) for i in range(1000))


def test_a_patients_account_is_forgotten_with_the_session() -> None:
    house = House()
    house.open("anna")
    intake, answers = intake_of(house)
    for _ in range(2):
        intake.take(message("musicmed/anna/goal", b"bliss"))
        intake.forget("anna")
    assert len(answers) == 2
