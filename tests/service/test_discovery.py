"""A session as a device of Home Assistant: what it announces, and what Home Assistant makes of its states.

The keys are those of Home Assistant's MQTT integration (homeassistant/components/mqtt: schemas.py for devices, and
number.py, select.py, button.py and sensor.py for their components); unknown ones would be refused there.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from jinja2 import Environment, StrictUndefined

from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.events import Goal, Pause, Play, Report, Stop, TooMuch
from musicmed_live.service import mqtt
from musicmed_live.service.broker import Broker
from musicmed_live.service.discovery import device, discovery_topic
from musicmed_live.service.hub import Hub
from musicmed_live.service.mqtt import Bridge
from musicmed_live.service.mqtt_address import parse_address
from musicmed_live.service.topics import parse_topic, parse_word
from tests.mosquitto import Watcher, mosquitto, watching
from tests.service.house import CALM, House, Sitting

COMMON = {"platform", "name", "icon", "unique_id"}
KEYS = {
    "number": COMMON | {"command_topic", "command_template", "value_template", "min", "max", "step", "mode"},
    "select": COMMON | {"command_topic", "options", "value_template"},
    "button": COMMON | {"command_topic", "payload_press"},
    "sensor": COMMON | {"value_template", "unit_of_measurement", "state_class", "suggested_display_precision"},
}
ROOT = {"device", "origin", "availability", "availability_mode", "components", "state_topic", "qos"}
DEVICE = {"identifiers", "name", "manufacturer", "model", "sw_version"}
FULL = {
    **Sitting("anna").state(),
    "phase": "leading",
    "why": "Leading on: you follow",
    "report": {"valence": -0.6, "arousal": 0.6, "seconds": 12.0},
    "estimate": {"valence": -0.4, "arousal": 0.5, "valence_sd": 0.1, "arousal_sd": 0.1},
    "goal_word": "calm",
    "vitals": {"heart_rate_bpm": 71.5, "rmssd_ms": None, "respiration_per_minute": None, "skin_conductance_us": None},
    "clip": {"key": "D dorian", "tempo_bpm": 104.0, "instruments": ["cello", "piano"]},
}
EMPTY = {**Sitting("anna").state(), "goal_word": None}
ANNA = cast(dict[str, Any], json.loads(json.dumps(device("anna"))))
PARTS = cast(dict[str, dict[str, Any]], ANNA["components"])

templates = Environment(undefined=StrictUndefined, autoescape=False)


def shown(name: str, state: dict[str, Any]) -> str:
    """What Home Assistant shows of a component; it takes `None` for unknown."""
    return templates.from_string(PARTS[name]["value_template"]).render(value_json=state)


def sent(name: str, value: object) -> object:
    """The event that comes of choosing `value`."""
    part = PARTS[name]
    place = parse_topic(part["command_topic"])
    payload = templates.from_string(part.get("command_template", "{{ value }}")).render(value=value)
    assert place.patient == "anna"
    return parse_word(place.channel, payload.encode(), Emotion(-0.4, 0.5))


def test_a_device_has_what_home_assistant_knows_and_no_more() -> None:
    assert ANNA.keys() == ROOT
    assert ANNA["device"].keys() == DEVICE
    assert ANNA["origin"].keys() == {"name", "sw_version"}
    for part in PARTS.values():
        assert part.keys() <= KEYS[part["platform"]], part
        assert part.keys() >= COMMON


def test_the_topic_is_one_that_home_assistant_looks_at() -> None:
    assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", discovery_topic("guest-3f9a2c"))


def test_every_part_of_every_patient_has_an_id_of_its_own() -> None:
    names = ("anna", "ben", "anna_estimated", "anna-estimated")
    ids = [part["unique_id"] for name in names for part in device(name)["components"].values()]
    assert len(set(ids)) == len(ids)
    assert all("anna" in part["unique_id"] for part in PARTS.values())


def test_it_is_there_while_both_the_server_and_the_session_are() -> None:
    assert ANNA["availability"] == [{"topic": "musicmed/status"}, {"topic": "musicmed/anna/availability"}]
    assert ANNA["availability_mode"] == "all"


def test_the_numbers_report() -> None:
    assert sent("valence", 0.35) == Report(Emotion(0.35, 0.5))
    assert sent("arousal", -1) == Report(Emotion(-0.4, -1))
    assert (PARTS["valence"]["min"], PARTS["valence"]["max"], PARTS["valence"]["step"]) == (-1, 1, 0.05)


def test_the_select_sets_the_goal() -> None:
    assert set(PARTS["goal"]["options"]) == set(WORDS)
    for word, (point, _) in WORDS.items():
        assert sent("goal", word) == Goal(point)


def test_the_buttons_command() -> None:
    events = {"play": Play(), "pause": Pause(), "too_much": TooMuch(), "stop": Stop()}
    assert {name: sent(name, PARTS[name]["payload_press"]) for name in events} == events


@pytest.mark.parametrize(
    ("name", "full", "empty"),
    [
        ("valence", "-0.6", "None"),
        ("arousal", "0.6", "None"),
        ("goal", "calm", "None"),
        ("phase", "leading", "ready"),
        ("why", "Leading on: you follow", "Waiting for you"),
        ("plays", "D dorian: cello, piano", "None"),
        ("estimated_valence", "-0.4", "None"),
        ("estimated_arousal", "0.5", "None"),
        ("heart_rate", "71.5", "None"),
    ],
)
def test_a_state_is_shown(name: str, full: str, empty: str) -> None:
    assert shown(name, FULL) == full
    assert shown(name, EMPTY) == empty


def test_music_without_a_key_is_shown_by_its_instruments() -> None:
    clip = {"key": None, "tempo_bpm": None, "instruments": ["musicgen"]}
    assert shown("plays", {**FULL, "clip": clip}) == "musicgen"


def test_no_state_is_longer_than_home_assistant_takes() -> None:
    assert len(shown("why", {**FULL, "why": "long " * 100})) <= 255


# With a broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
async def home(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[House, Watcher]]:
    """Sessions, and what Home Assistant sees of them."""
    monkeypatch.setattr(mqtt, "STATE_SECONDS", 0.02)
    house = House()
    async with watching(broker.port, "homeassistant/#", "musicmed/#") as watcher:
        running = asyncio.create_task(Bridge(parse_address(f"mqtt://127.0.0.1:{broker.port}"), cast(Hub, house)).run())
        await watcher.until(lambda: watcher.latest.get("musicmed/status") == b"online")
        yield house, watcher
        running.cancel()
        await asyncio.wait({running})


async def test_a_session_appears_and_disappears(home: tuple[House, Watcher]) -> None:
    house, watcher = home
    anna = house.open("anna")
    await watcher.until(lambda: watcher.latest.get("musicmed/anna/state"))
    assert json.loads(watcher.latest[discovery_topic("anna")]) == ANNA
    house.close(anna)
    await watcher.until(lambda: watcher.latest.get("musicmed/anna/availability") == b"")
    assert watcher.latest[discovery_topic("anna")] == b""


async def test_what_is_announced_is_there_for_whoever_comes_later(home: tuple[House, Watcher], broker: Broker) -> None:
    house, _ = home
    house.open("anna")
    async with watching(broker.port, "homeassistant/#", "musicmed/#") as late:
        await late.until(lambda: {"musicmed/anna/state", discovery_topic("anna")} <= late.latest.keys())
        assert late.latest["musicmed/anna/availability"] == late.latest["musicmed/status"] == b"online"


async def test_it_is_announced_again_when_home_assistant_restarts(home: tuple[House, Watcher]) -> None:
    house, watcher = home
    house.open("anna")
    await watcher.until(lambda: watcher.latest.get("musicmed/anna/state"))
    watcher.latest.clear()
    await watcher.say("homeassistant/status", "online")
    await watcher.until(lambda: {"musicmed/anna/state", discovery_topic("anna")} <= watcher.latest.keys())


async def test_a_number_that_is_moved_in_home_assistant_comes_back_as_the_report(home: tuple[House, Watcher]) -> None:
    house, watcher = home
    anna = house.open("anna")
    await watcher.say(PARTS["valence"]["command_topic"], '{"valence": 0.35}')
    await watcher.until(lambda: b'"report":{' in watcher.latest.get("musicmed/anna/state", b""))
    assert shown("valence", json.loads(watcher.latest["musicmed/anna/state"])) == "0.35"
    assert anna.events == [Report(Emotion(0.35, 0.0))]
    assert anna.state()["goal"] == CALM
