"""The MQTT topics (docs/mqtt.md): who and what a topic is about, and what a word sent to it means."""

import re
from dataclasses import dataclass
from typing import Any

from musicmed_live.core.checks import check_keys
from musicmed_live.core.emotion import NEUTRAL, Emotion, parse_emotion
from musicmed_live.core.events import Event, Goal, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.messages import parse_object
from musicmed_live.errors import InvalidInput, shown

STATUS = "musicmed/status"
ONLINE, OFFLINE = "online", "offline"
READINGS = "musicmed/+/reading/+"
WORDS = ("musicmed/+/report", "musicmed/+/goal", "musicmed/+/command")
AVAILABILITIES = "musicmed/+/availability"

COMMANDS: dict[str, Event] = {"play": Play(), "pause": Pause(), "too_much": TooMuch(), "stop": Stop()}

_TOPIC = re.compile(r"musicmed/([A-Za-z0-9_-]{1,64})/(?:reading/([^/]+)|(report|goal|command|availability))")


@dataclass(frozen=True, slots=True)
class Place:
    """What a topic says."""

    patient: str
    channel: str  # reading, report, goal, command, availability
    kind: str = ""  # of a reading


def topic(patient: str, leaf: str) -> str:
    """Such as `musicmed/<patient>/state`."""
    return f"musicmed/{patient}/{leaf}"


def parse_topic(text: str) -> Place:
    """Who and what it is about. Raises `InvalidInput` `bad_topic`."""
    found = _TOPIC.fullmatch(text)
    if found is None:
        raise InvalidInput(f"topic: {shown(text)} is none of docs/mqtt.md", "topic", "bad_topic")
    patient, kind, channel = found.groups()
    return Place(patient, channel or "reading", kind or "")


def parse_word(channel: str, payload: bytes, felt: dict[str, float] | None) -> Event:
    """The event that a `report`, `goal` or `command` asks for. Raises `InvalidInput`.

    `felt` is the estimate: what it says of an axis holds where a report leaves that axis out; None: 0 does.
    """
    match channel:
        case "report":
            return Report(_report(parse_object(payload), felt))
        case "goal":
            return Goal(_goal(payload))
        case _:
            return _command(_text(payload))


def _report(body: dict[str, Any], felt: dict[str, float] | None) -> Emotion:
    check_keys(body, ("valence", "arousal"))
    if not body:
        raise InvalidInput("report: neither valence nor arousal; one of them is needed", "valence")
    assumed = felt or {"valence": NEUTRAL.valence, "arousal": NEUTRAL.arousal}
    return Emotion(body.get("valence", assumed["valence"]), body.get("arousal", assumed["arousal"]))


def _goal(payload: bytes) -> Emotion:
    text = _text(payload)
    return parse_emotion(parse_object(payload) if text.startswith("{") else text, "goal")


def _command(text: str) -> Event:
    event = COMMANDS.get(text)
    if event is None:
        raise InvalidInput(f"command: {shown(text)} is none of {', '.join(COMMANDS)}", "command", "unknown_command")
    return event


def _text(payload: bytes) -> str:
    return payload.decode(errors="replace").strip()
