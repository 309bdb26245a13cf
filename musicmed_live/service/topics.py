"""The MQTT topics (docs/mqtt.md): who and what a topic is about, and what a word sent to it means."""

import re
from dataclasses import dataclass
from typing import Any

from musicmed_live.core.checks import check_keys
from musicmed_live.core.emotion import Emotion, parse_emotion
from musicmed_live.core.events import Event, Goal, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.messages import parse_object
from musicmed_live.errors import InvalidInput, shown

STATUS = "musicmed/status"
ONLINE, OFFLINE = "online", "offline"
READINGS = "musicmed/+/reading/+"
WORDS = ("musicmed/+/report", "musicmed/+/goal")
ORDERS = "musicmed/+/command"
AVAILABILITIES = "musicmed/+/availability"

COMMANDS: dict[str, Event] = {"play": Play(), "pause": Pause(), "too_much": TooMuch(), "stop": Stop()}

_TOPIC = re.compile(r"musicmed/([A-Za-z0-9_-]{1,64})/(?:reading/([^/]+)|(report|goal|command))")
_AVAILABILITY = re.compile(r"musicmed/([A-Za-z0-9_-]{1,64})/availability")


@dataclass(frozen=True, slots=True)
class Place:
    """What a topic says."""

    patient: str
    channel: str  # reading, report, goal, command
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


def available_patient(text: str) -> str | None:
    """The patient whose availability the topic tells of; None where it is another topic."""
    found = _AVAILABILITY.fullmatch(text)
    return None if found is None else found[1]


def parse_word(channel: str, payload: bytes, felt: Emotion) -> Event:
    """The event that a `report`, `goal` or `command` asks for. Raises `InvalidInput`.

    What `felt` says of an axis holds where a report leaves that axis out.
    """
    match channel:
        case "report":
            return Report(_report(parse_object(text_of(payload)), felt))
        case "goal":
            return Goal(_goal(text_of(payload)))
        case _:
            return _command(text_of(payload))


def text_of(payload: bytes) -> str:
    """What a payload says; what is not UTF-8 in it is marked, so that it is refused as a value that can be shown."""
    return payload.decode(errors="replace").strip()


def _report(body: dict[str, Any], felt: Emotion) -> Emotion:
    check_keys(body, ("valence", "arousal"))
    if not body:
        raise InvalidInput("report: neither valence nor arousal; one of them is needed", "valence")
    return Emotion(body.get("valence", felt.valence), body.get("arousal", felt.arousal))


def _goal(text: str) -> Emotion:
    return parse_emotion(parse_object(text) if text.startswith("{") else text, "goal")


def _command(text: str) -> Event:
    event = COMMANDS.get(text)
    if event is None:
        raise InvalidInput(f"command: {shown(text)} is none of {', '.join(COMMANDS)}", "command", "unknown_command")
    return event
