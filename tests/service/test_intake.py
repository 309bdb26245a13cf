"""What comes over MQTT is used or counted, whatever it is."""

import json
from typing import Any, cast

import pytest
from aiomqtt import Message
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.events import Event, Play, Report, Stop, TooMuch
from musicmed_live.core.readings import Kind
from musicmed_live.service import mqtt_client
from musicmed_live.service.budget import Budget
from musicmed_live.service.hub import Hub
from musicmed_live.service.intake import Intake, is_urgent
from musicmed_live.service.mqtt_client import Inbox
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


class Clock:
    """Time that passes at a word."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def intake_of(house: House, clock: Clock | None = None) -> tuple[Intake, list[tuple[str, str]]]:
    answers: list[tuple[str, str]] = []
    return Intake(cast(Hub, house), lambda *answer: answers.append(answer), clock or Clock()), answers


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
    assert used + dropped == sum(bool(payload) for _, payload, _ in said)
    assert all(topic == "musicmed/anna/error" and len(text) < 1000 for topic, text in answers)


@given(
    st.text(min_size=1), st.sampled_from(["report", "goal", "command", "reading/heart_rate", "reading/" + "x" * 5000])
)
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


@pytest.mark.parametrize("leaf", ["report", "goal", "command", "reading/heart_rate"])
@pytest.mark.parametrize("payload", [b"{", b"\xff", b'{"at": \xe9}'])
def test_an_answer_shows_what_was_sent_and_not_what_we_made_of_it(leaf: str, payload: bytes) -> None:
    house = House()
    house.open("anna")
    intake, answers = intake_of(house)
    intake.take(message(f"musicmed/anna/{leaf}", payload))
    assert "b'" not in json.loads(answers[0][1])["message"]


@pytest.mark.parametrize("topic", ["musicmed/anna/reading/heart_rate", "musicmed/zoe/goal", "musicmed/a b/goal"])
def test_clearing_a_retained_message_is_no_message(topic: str) -> None:
    house = House()
    house.open("anna")
    intake, answers = intake_of(house)
    intake.take(message(topic, b""))
    assert not answers
    assert all(
        house.dropped(reason) == 0
        for reason in ("not_json", "unknown_word", "unknown_patient", "bad_topic", "retained")
    )


def test_a_stream_of_errors_is_answered_once_a_second_and_each_channel_for_itself() -> None:
    house, clock = House(), Clock()
    house.open("anna")
    intake, answers = intake_of(house, clock)
    for _ in range(10):
        intake.take(message("musicmed/anna/goal", b"bliss"))
        intake.take(message("musicmed/anna/command", b"explode"))
        clock.now += 0.25
    codes = [json.loads(text)["code"] for _, text in answers]
    assert codes.count("unknown_word") == codes.count("unknown_command") == 3


def test_a_page_that_reports_as_fast_as_pages_do_is_heard_and_a_flood_is_not() -> None:
    house, clock = House(), Clock()
    anna = house.open("anna")
    intake, _ = intake_of(house, clock)
    for _ in range(100):
        clock.now += 0.35
        intake.take(message("musicmed/anna/report", b'{"valence": 0.1}'))
    assert len(anna.events) == 100
    for _ in range(10_000):
        clock.now += 0.0001
        intake.take(message("musicmed/anna/report", b'{"valence": 0.2}'))
    assert len(anna.events) - 100 <= 8 + 4
    assert house.dropped("too_often") == 10_100 - len(anna.events)


@pytest.mark.parametrize(
    ("payload", "event"), [(b"too_much", TooMuch()), (b" too_much\n", TooMuch()), (b"stop", Stop())]
)
def test_what_is_urgent_is_never_too_often(payload: bytes, event: Event) -> None:
    house = House()
    anna = house.open("anna")
    intake, _ = intake_of(house)
    for _ in range(60):
        intake.take(message("musicmed/anna/command", b"play"))
    intake.take(message("musicmed/anna/command", payload))
    assert anna.events == [Play()] * 8 + [event]
    assert house.dropped("too_often") == 52


def test_a_flood_of_one_patient_leaves_another_one_all_of_theirs() -> None:
    house = House()
    house.open("anna")
    ben = house.open("ben")
    intake, _ = intake_of(house)
    for _ in range(1000):
        intake.take(message("musicmed/anna/report", b'{"valence": 0.2}'))
    for _ in range(8):
        intake.take(message("musicmed/ben/report", b'{"valence": 0.2}'))
    assert len(ben.events) == 8
    assert all(isinstance(event, Report) for event in ben.events)


async def test_a_full_inbox_loses_the_oldest_that_is_not_urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_client, "INBOX", 3)
    inbox = Inbox(is_urgent)
    for payload in (b"too_much", b"play", b"stop", b"pause", b"play", b"too_much"):
        inbox.put_nowait(message("musicmed/anna/command", payload))
    assert inbox.lost == 3
    assert [inbox.get_nowait().payload for _ in range(inbox.qsize())] == [b"too_much", b"stop", b"too_much"]


async def test_a_full_inbox_of_nothing_urgent_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_client, "INBOX", 3)
    inbox = Inbox()
    for i in range(10):
        inbox.put_nowait(message("musicmed/anna/report", str(i).encode()))
    assert inbox.lost == 7
    assert [inbox.get_nowait().payload for _ in range(inbox.qsize())] == [b"7", b"8", b"9"]


def test_who_reserves_waits_as_long_as_those_before_and_none_longer_for_one_who_was_silent() -> None:
    budget = Budget(10, 2, 0.0)
    assert [budget.reserve(0.0) for _ in range(4)] == pytest.approx([0, 0, 0.1, 0.2])
    assert budget.reserve(0.2) == pytest.approx(0.1)
    assert [budget.reserve(60.0) for _ in range(3)] == pytest.approx([0, 0, 0.1])
