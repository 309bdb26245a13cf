"""Sessions over MQTT, with a real broker: docs/mqtt.md, sentence by sentence."""

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest
from aiomqtt import MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.events import Goal, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.readings import HeartRate, SkinConductance
from musicmed_live.errors import InvalidInput
from musicmed_live.service import mqtt
from musicmed_live.service.broker import Broker
from musicmed_live.service.hub import Hub
from musicmed_live.service.mqtt import Bridge
from musicmed_live.service.mqtt_address import Address, parse_address
from musicmed_live.service.mqtt_client import NotSubscribed, OurFault, pause_seconds, sentence, subscribe
from musicmed_live.service.topics import STATUS
from tests.mosquitto import Watcher, half_open, mosquitto, watching
from tests.service.house import House

AT = 1_763_800_000.5
BEAT = {"at": AT, "bpm": 72, "rr_ms": [833], "contact": True}
P = "musicmed/anna"

Bridging = Callable[..., AbstractAsyncContextManager[tuple[House, Bridge, Watcher]]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """States come as fast as they change."""
    monkeypatch.setattr(mqtt, "STATE_SECONDS", 0.02)


@asynccontextmanager
async def bridging(
    port: int, option: str = "", through: int | None = None
) -> AsyncIterator[tuple[House, Bridge, Watcher]]:
    """A house whose sessions a broker knows (by way of another port), and a watcher of all that is said there."""
    house = House()
    bridge = Bridge(parse_address(f"mqtt://127.0.0.1:{through or port}{option}"), cast(Hub, house))
    async with watching(port, "#") as watcher:
        running = asyncio.create_task(bridge.run())
        try:
            await watcher.until(lambda: watcher.latest.get("musicmed/status") == b"online")
            yield house, bridge, watcher
        finally:
            running.cancel()
            await asyncio.wait({running})


async def until(condition: Callable[[], object]) -> None:
    """What does not arrive at the watcher: look again, until it is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what a metric counts, no event tells
            await asyncio.sleep(0.005)


def state(watcher: Watcher, patient: str = "anna") -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(watcher.latest.get(f"musicmed/{patient}/state") or b"{}"))


def error(watcher: Watcher, patient: str = "anna") -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(watcher.latest.get(f"musicmed/{patient}/error") or b"{}"))


# What goes in


@pytest.mark.parametrize("option", ["", "?version=3.1.1"])
async def test_a_reading_reaches_the_session_of_its_patient(broker: Broker, option: str) -> None:
    async with bridging(broker.port, option) as (house, _, watcher):
        anna, ben = house.open("anna"), house.open("ben")
        await watcher.say(f"{P}/reading/heart_rate", json.dumps(BEAT))
        await watcher.say(f"{P}/reading/skin_conductance", json.dumps({"at": AT, "us": 4.2}))
        await until(lambda: len(anna.readings) == 2)
        assert anna.readings == [HeartRate(AT, 72.0, (833.0,), True), SkinConductance(AT, 4.2)]
        assert not ben.readings


async def test_the_newest_session_of_a_patient_is_the_one_that_is_meant(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        old, new = house.open("anna"), house.open("anna")
        await watcher.say(f"{P}/command", "play")
        await until(lambda: new.events)
        assert not old.events


@pytest.mark.parametrize(
    ("leaf", "payload", "event"),
    [
        ("report", '{"valence": -0.6, "arousal": 0.6}', Report(Emotion(-0.6, 0.6))),
        ("report", '{"arousal": 0.6}', Report(Emotion(0.0, 0.6))),
        ("goal", "calm", Goal(WORDS["calm"][0])),
        ("goal", '{"valence": 0.1, "arousal": -0.2}', Goal(Emotion(0.1, -0.2))),
        ("command", "play", Play()),
        ("command", "pause", Pause()),
        ("command", " too_much\n", TooMuch()),
        ("command", "stop", Stop()),
    ],
)
async def test_a_word_is_an_event(broker: Broker, leaf: str, payload: str, event: object) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        anna = house.open("anna")
        await watcher.say(f"{P}/{leaf}", payload)
        await until(lambda: anna.events)
        assert anna.events == [event]


async def test_a_report_of_one_axis_leaves_the_other_as_it_is_estimated(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        anna = house.open("anna")
        anna.show(estimate={"valence": -0.4, "arousal": 0.5, "valence_sd": 0.1, "arousal_sd": 0.1})
        await watcher.say(f"{P}/report", '{"valence": 0.2}')
        await until(lambda: anna.events)
        assert anna.events == [Report(Emotion(0.2, 0.5))]


# What goes out


async def test_a_state_is_retained_and_has_neither_path_nor_secrets(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        house.open("anna")
        await watcher.until(lambda: state(watcher))
        async with watching(broker.port, f"{P}/state") as late:
            await late.until(lambda: state(late))
            assert f"{P}/state" in late.retained
            assert state(late)["phase"] == "ready"
            assert state(late)["goal_word"] == "calm"
            assert not {"path", "id", "session", "tokens", "token"} & state(late).keys()


async def test_a_change_is_told(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        house.open("anna")
        await watcher.until(lambda: state(watcher))
        await watcher.say(f"{P}/command", "play")
        await watcher.until(lambda: state(watcher)["phase"] == "matching")


async def test_changes_are_told_at_most_once_in_a_while(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "STATE_SECONDS", 3600.0)
    async with bridging(broker.port) as (house, _, watcher):
        anna = house.open("anna")
        await watcher.until(lambda: state(watcher))
        for i in range(100):
            anna.show(position=i)
            await asyncio.sleep(0)
        await watcher.say(f"{P}/goal", "bliss")
        await watcher.until(lambda: error(watcher))  # by the same connection, so a state would have been ahead of it
        assert sum(topic == f"{P}/state" for topic, _ in watcher.seen) == 1


async def test_of_many_changes_the_last_one_is_told(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        anna = house.open("anna")
        await watcher.until(lambda: state(watcher))
        for i in range(100):
            anna.show(position=i)
        await watcher.until(lambda: state(watcher).get("position") == 99)


async def test_nothing_is_left_at_the_broker_when_the_session_has_ended(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        anna = house.open("anna")
        await watcher.until(lambda: state(watcher))
        house.close(anna)
        await watcher.until(lambda: watcher.latest.get(f"{P}/availability") == b"")
        assert (f"{P}/availability", b"offline") in watcher.seen
        assert watcher.latest[f"{P}/state"] == watcher.latest["homeassistant/device/musicmed_anna/config"] == b""


async def test_an_older_session_is_told_of_again_when_the_newer_one_has_ended(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        house.open("anna").show(why="the older")
        newer = house.open("anna")
        newer.show(why="the newer")
        await watcher.until(lambda: state(watcher).get("why") == "the newer")
        house.close(newer)
        await watcher.until(lambda: state(watcher).get("why") == "the older")
        assert watcher.latest[f"{P}/availability"] == b"online"


async def test_a_session_can_follow_another_one_of_the_same_patient(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        for _ in range(3):
            house.close(house.open("anna"))
        house.open("anna").show(why="the last")
        await watcher.until(lambda: state(watcher).get("why") == "the last")
        await watcher.until(lambda: watcher.latest[f"{P}/availability"] == b"online")


async def test_the_server_says_goodbye(broker: Broker) -> None:
    async with watching(broker.port, "#") as other:
        async with bridging(broker.port) as (house, _, watcher):
            house.open("anna")
            await watcher.until(lambda: state(watcher))
        await other.until(lambda: other.latest.get("musicmed/status") == b"offline")
        await other.until(lambda: other.latest.get(f"{P}/availability") == b"")


# Bad input


@pytest.mark.parametrize(
    ("leaf", "payload", "code", "field"),
    [
        ("reading/heart_rate", "{", "not_json", ""),
        ("reading/heart_rate", "\x00\xff", "not_json", ""),
        ("reading/heart_rate", "[" * 4000, "not_json", ""),
        ("reading/heart_rate", '{"at": NaN, "bpm": 70}', "invalid", "at"),
        ("reading/heart_rate", json.dumps({**BEAT, "bpm": 900}), "invalid", "bpm"),
        ("reading/heart_rate", json.dumps({"at": AT, "bpm": 200, "rr_ms": [1500] * 6}), "invalid", "rr_ms"),
        ("reading/heart_rate", json.dumps({**BEAT, "patient": "ben"}), "invalid", "patient"),
        ("reading/heart_rate", "x" * 5000, "too_long", ""),
        ("reading/aura", "{}", "unknown_kind", "kind"),
        ("report", "{}", "invalid", "valence"),
        ("report", '{"valence": 2}', "invalid", "valence"),
        ("goal", "bliss", "unknown_word", "goal"),
        ("goal", '{"valence": 0.1}', "invalid", "goal"),
        ("command", "explode", "unknown_command", "command"),
    ],
)
async def test_what_cannot_be_used_is_counted_and_answered(
    broker: Broker, leaf: str, payload: str, code: str, field: str
) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        anna = house.open("anna")
        await watcher.say(f"{P}/{leaf}", payload)
        await watcher.until(lambda: error(watcher))
        assert error(watcher)["code"] == code
        assert error(watcher)["field"] == field
        assert error(watcher)["topic"] == f"{P}/{leaf}"
        assert len(watcher.latest[f"{P}/error"]) < 1000
        assert house.dropped(code) == 1
        assert not anna.events
        assert not anna.readings


async def test_an_answer_is_not_retained(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        house.open("anna")
        await watcher.say(f"{P}/goal", "bliss")
        await watcher.until(lambda: error(watcher))
        async with watching(broker.port, f"{P}/#") as late:
            await late.until(lambda: late.latest.get(f"{P}/state"))
            assert f"{P}/error" not in late.latest


async def test_messages_for_nobody_are_counted_and_not_answered(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        house.open("anna")
        await watcher.say("musicmed/zoe/reading/heart_rate", json.dumps(BEAT))
        await watcher.say("musicmed/zoe/command", "stop")
        await watcher.say("musicmed/no such name/command", "stop")
        await until(lambda: house.dropped("unknown_patient") == 2 and house.dropped("bad_topic") == 1)
        assert not any(topic.endswith("/error") for topic, _ in watcher.seen)


async def test_retained_messages_are_dropped(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    async with watching(broker.port, "#") as before:
        await before.say(f"{P}/report", '{"valence": 1, "arousal": 1}', retain=True)
        await before.say(f"{P}/reading/heart_rate", json.dumps(BEAT), retain=True)
        async with bridging(broker.port) as (house, _, watcher):
            anna = house.open("anna")
            await until(lambda: house.dropped("retained") == 2)
            await watcher.say(f"{P}/command", "play")
            await until(lambda: anna.events)
            assert anna.events == [Play()]
            assert not anna.readings
            assert sum("retained" in record.message for record in caplog.records) == 1
        for leaf in ("report", "reading/heart_rate"):
            await before.say(f"{P}/{leaf}", "", retain=True)


@pytest.mark.parametrize(
    ("leaf", "payload"), [("reading/heart_rate", json.dumps(BEAT)), ("report", '{"valence": 0.2}'), ("goal", "calm")]
)
async def test_a_flood_of_one_device_holds_nobody_up(broker: Broker, leaf: str, payload: str) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        anna, ben = house.open("anna"), house.open("ben")
        async with watching(broker.port, "nothing") as flooder:
            for _ in range(300):
                await asyncio.gather(*(flooder.flood(f"{P}/{leaf}", payload) for _ in range(10)))
            await watcher.say("musicmed/ben/reading/heart_rate", json.dumps(BEAT))
            await watcher.say("musicmed/ben/command", "too_much")
            await watcher.say(f"{P}/command", "too_much")
        await until(lambda: ben.readings and ben.events)
        await until(lambda: house.dropped("too_often") + house.count("musicmed_mqtt_taken") == 3003)
        assert house.dropped("too_often") > 2000
        assert ben.events == [TooMuch()]
        assert TooMuch() in anna.events


async def test_commands_after_the_end_are_answered(broker: Broker) -> None:
    async with bridging(broker.port) as (house, _, watcher):
        house.open("anna")
        await watcher.say(f"{P}/command", "stop")
        await watcher.say(f"{P}/command", "play")
        await watcher.until(lambda: error(watcher).get("code") == "session_ended")


# The broker comes and goes


async def test_a_broker_that_restarts_is_told_everything_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mosquitto(tmp_path) as broker:
        async with bridging(broker.port) as (house, bridge, watcher):
            anna, ben = house.open("anna"), house.open("ben")
            await watcher.until(lambda: state(watcher) and state(watcher, "ben"))
            broker.stop()
            await until(lambda: not bridge.health()["connected"])
            reason = bridge.health()["reason"]
            house.close(ben)
            anna.show(phase="leading")
            broker.start()
            async with watching(broker.port, "#") as after:
                await after.until(lambda: state(after).get("phase") == "leading")
                await after.until(lambda: "homeassistant/device/musicmed_anna/config" in after.latest)
                assert after.latest["musicmed/status"] == after.latest[f"{P}/availability"] == b"online"
                assert "musicmed/ben/state" not in after.latest
                assert bridge.health() == {"connected": True, "reason": None}
                await after.say(f"{P}/command", "play")
                await until(lambda: anna.events)
    assert str(broker.port) in reason
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) == 1


async def test_a_connection_that_only_the_broker_still_has_is_given_up(broker: Broker) -> None:
    async with half_open(broker.port) as relay, bridging(broker.port, through=relay.port) as (house, bridge, watcher):
        anna = house.open("anna")
        await watcher.until(lambda: state(watcher))
        assert relay.held == 3
        relay.lose()
        await until(lambda: not bridge.health()["connected"])
        await until(lambda: bridge.health()["connected"])
        await until(lambda: relay.held == 3)
        await watcher.until(lambda: watcher.seen.count((STATUS, b"online")) == 2)
        told = [payload for topic, payload in watcher.seen if topic == STATUS]
        assert told[told.index(b"online") :] == [b"online", b"offline", b"online"]  # the will came before the new word
        await watcher.say(f"{P}/command", "play")
        await until(lambda: anna.events)


async def test_a_last_will_that_comes_late_is_denied(broker: Broker) -> None:
    async with bridging(broker.port) as (_, _, watcher):
        await watcher.say(STATUS, "offline", retain=True)
        await watcher.until(lambda: (STATUS, b"offline") in watcher.seen and watcher.latest[STATUS] == b"online")
        async with watching(broker.port, STATUS) as late:
            await late.until(lambda: late.latest.get(STATUS) == b"online")
            assert STATUS in late.retained


async def test_a_fault_of_ours_is_tried_again_later_and_later(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    faults: set[type] = set()

    def no_pause(fault: MqttError, number: int) -> float:
        faults.add(type(fault))
        tries.append(number)
        return 0.0

    def fail(*_: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(mqtt, "pause_seconds", no_pause)
    house = House()
    house.open("anna")
    house.of_patient = fail  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(Bridge(parse_address(f"mqtt://127.0.0.1:{broker.port}"), cast(Hub, house)).run())
    await until(lambda: len(tries) >= 3)
    running.cancel()
    await asyncio.wait({running})
    assert tries[:3] == [1, 2, 3]
    assert faults == {OurFault}


@pytest.mark.parametrize("codes", [(128,), [ReasonCode(PacketTypes.SUBACK, "Not authorized")]])
async def test_a_topic_that_may_not_be_read_is_told(codes: Any) -> None:
    client = Mock(subscribe=AsyncMock(return_value=codes))
    with pytest.raises(NotSubscribed) as refused:
        await subscribe(client, "musicmed/+/command", qos=1)
    address = parse_address("mqtt://127.0.0.1")
    assert sentence(address, refused.value).endswith("does not let us read musicmed/+/command")
    assert pause_seconds(refused.value, 1) > 20


async def test_a_connection_that_has_lasted_counts_as_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mqtt, "STEADY_SECONDS", 0.0)
    with mosquitto(tmp_path) as broker:
        async with bridging(broker.port) as (_, bridge, _):
            for _ in range(2):
                broker.stop()
                await until(lambda: not bridge.health()["connected"])
                broker.start()
                await until(lambda: bridge.health()["connected"])
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) == 2


@pytest.mark.parametrize(
    ("fault", "shortest", "longest"),
    [
        (MqttError("[Errno 111] Connection refused"), 2, 4),
        (MqttConnectError(ReasonCode(PacketTypes.CONNACK, "Server busy")), 2, 4),
        (MqttConnectError(ReasonCode(PacketTypes.CONNACK, "Not authorized")), 30, 60),
        (MqttConnectError(ReasonCode(PacketTypes.CONNACK, "Bad user name or password")), 30, 60),
        (MqttError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), 30, 60),
        (OurFault("not foreseen"), 30, 60),
    ],
)
def test_a_pause_is_as_long_as_it_takes_until_something_may_have_changed(
    fault: MqttError, shortest: float, longest: float
) -> None:
    pauses = [pause_seconds(fault, 10) for _ in range(100)]
    assert shortest <= min(pauses) < max(pauses) <= longest


async def test_a_broker_that_is_not_there_yet_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mosquitto(tmp_path) as broker:
        broker.stop()
        house = House()
        bridge = Bridge(parse_address(f"mqtt://127.0.0.1:{broker.port}"), cast(Hub, house))
        running = asyncio.create_task(bridge.run())
        await until(lambda: "refused" in (bridge.health()["reason"] or ""))
        broker.start()
        await until(lambda: bridge.health()["connected"])
        running.cancel()
        await asyncio.wait({running})
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) == 1


async def test_what_a_killed_server_left_behind_is_cleared(broker: Broker) -> None:
    async with watching(broker.port, "#") as other:
        for topic in ("musicmed/zoe/availability", "homeassistant/device/musicmed_zoe/config", "musicmed/zoe/state"):
            await other.say(topic, "online", retain=True)
        async with bridging(broker.port):
            await other.until(lambda: other.latest["musicmed/zoe/availability"] == b"")
            assert other.latest["musicmed/zoe/state"] == other.latest["homeassistant/device/musicmed_zoe/config"] == b""


@pytest.mark.parametrize("option", ["", "?version=3.1.1"])
async def test_a_wrong_password_is_one_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str) -> None:
    with mosquitto(tmp_path, users={"music": "right-4711"}) as broker:
        address = parse_address(f"mqtt://music:wrong-4711@127.0.0.1:{broker.port}{option}")
        reason = await _reason(address)
        assert "refuses us: not authori" in reason
        assert "4711" not in caplog.text + reason
        assert await _reason(parse_address(f"mqtt://music@127.0.0.1:{broker.port}{option}", {})) == reason
        known = parse_address(f"mqtt://music@127.0.0.1:{broker.port}{option}", {"MUSICMED_MQTT_PASSWORD": "right-4711"})
        assert await _reason(known) == ""


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_the_brokers_certificate_is_checked(tmp_path: Path) -> None:
    with mosquitto(tmp_path, tls=True) as broker:
        where = f"127.0.0.1:{broker.port}"
        assert await _reason(parse_address(f"mqtts://{where}?ca={tmp_path / 'certificate.pem'}")) == ""
        assert "no TLS" in await _reason(parse_address(f"mqtts://{where}"))
    gc.collect()


async def _reason(address: Address) -> str:
    """Why a bridge does not get in; "" where it does."""
    bridge = Bridge(address, cast(Hub, House()))
    running = asyncio.create_task(bridge.run())
    await until(lambda: bridge.health()["reason"] != "not connected yet")
    reason: str | None = bridge.health()["reason"]
    running.cancel()
    await asyncio.wait({running})
    return reason or ""


# The address


def test_an_address_is_a_url() -> None:
    address = parse_address("mqtt://music:s%40fe@broker.example")
    assert (address.host, address.port, address.user, address.password) == ("broker.example", 1883, "music", "s@fe")
    assert parse_address("mqtts://[::1]").port == 8883
    assert str(parse_address("mqtts://music@[::1]:99", {})) == "mqtts://[::1]:99"


@pytest.mark.parametrize(
    "text",
    [
        "broker.example",
        "http://music:secret@broker.example",
        "mqtt://",
        "mqtt://music:secret@",
        "mqtt://music:secret",
        "mqtt://music:se/cr:et@broker.example:99999",
        "mqtt://music:se?cret@broker.example?ca=x",
        "mqtt://music:secret@broker..example",
        "mqtt://music:secret@broker.example/path",
        "mqtt://music:secret@broker.example?version=4",
        "mqtt://music:secret@broker.example?password=secret",
        "mqtts://music:secret@broker.example?ca=/does/not/exist",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_address(text)
    assert "secret" not in str(refusal.value)
    assert "mqtt://user@host:1883" in str(refusal.value)
