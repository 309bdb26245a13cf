"""What comes from the broker: checked once, brought to its session, or refused, counted and answered."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiomqtt import Message
from prometheus_client import Counter

from musicmed_live.core import messages
from musicmed_live.core.readings import Kind, parse_reading
from musicmed_live.errors import IllegalTransition, InvalidInput, shown
from musicmed_live.service.budget import Budget
from musicmed_live.service.hub import Hub
from musicmed_live.service.live import LiveSession
from musicmed_live.service.topics import Place, parse_topic, parse_word, text_of, topic

log = logging.getLogger(__name__)

PAYLOAD_LIMIT = 4096  # bytes
SHOWN_TOPIC = 120  # characters of a topic that an answer repeats
READINGS_PER_SECOND, READINGS_BURST = 50.0, 100.0  # of one patient and kind
WORDS_PER_SECOND, WORDS_BURST = 4.0, 8.0  # of one patient, for each of report, goal and command
ANSWERS_PER_SECOND = 1.0  # of one patient, for each kind and word
URGENT = (b"too_much", b"stop")  # there are never too many of these
KINDS = frozenset(Kind)

Answer = Callable[[str, str], None]  # topic and payload


@dataclass(slots=True)
class Account:
    """What one patient's devices may still say, and be told, by kind or word. Unknown kinds share one entry."""

    budgets: dict[str, Budget] = field(default_factory=dict)
    answers: dict[str, Budget] = field(default_factory=dict)


class Intake:
    """Takes in the messages of all patients.

    `answer` is given what is to be published, and must not wait. `clock` tells seconds, and never goes back.
    """

    def __init__(self, hub: Hub, answer: Answer, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._answer = answer
        self._clock = clock
        self._accounts: dict[str, Account] = {}  # of patients with an open session
        self._told_of_retained = False
        registry = hub.metrics.registry
        self._taken = Counter("musicmed_mqtt_taken", "MQTT messages that were used", registry=registry)
        self._dropped = Counter(
            "musicmed_mqtt_dropped", "MQTT messages that were not used", ["reason"], registry=registry
        )

    def take(self, message: Message) -> None:
        """Do what `message` asks for, or count and say why not. An empty one only clears what was retained."""
        if not message.payload:
            return
        try:
            place = parse_topic(message.topic.value)
        except InvalidInput as fault:
            self.drop(fault.code)
            return
        try:
            self._take(place, message)
        except InvalidInput as fault:
            self.drop(fault.code)
            self._refuse(place, message.topic.value, fault)
        else:
            self._taken.inc()

    def drop(self, reason: str) -> None:
        """Count a message that is not used."""
        self._dropped.labels(reason).inc()

    def forget(self, patient: str) -> None:
        """The patient has no open session any more."""
        self._accounts.pop(patient, None)

    def _take(self, place: Place, message: Message) -> None:
        payload = message.payload
        if message.retain:
            self._note_retained(message.topic.value)
            raise InvalidInput("retained: it may be of any age; publish it without the retain flag", code="retained")
        live = self._hub.of_patient(place.patient)
        if live is None:
            raise InvalidInput("patient: no session of that name is open", "patient", "unknown_patient")
        if len(payload) > PAYLOAD_LIMIT:
            raise InvalidInput(f"a payload of {len(payload)} bytes; at most {PAYLOAD_LIMIT}", code="too_long")
        urgent = place.channel == "command" and is_urgent(message)
        if not urgent and not self._budget(place).spend(self._clock()):
            raise InvalidInput("too many messages in a second; some were dropped", code="too_often")
        try:
            _deliver(live, place, payload)
        except IllegalTransition as fault:
            raise InvalidInput(str(fault), code="session_ended") from None

    def _budget(self, place: Place) -> Budget:
        budgets, name = self._account(place).budgets, _name(place)
        if name not in budgets:
            rate = (
                (READINGS_PER_SECOND, READINGS_BURST) if place.channel == "reading" else (WORDS_PER_SECOND, WORDS_BURST)
            )
            budgets[name] = Budget(*rate, self._clock())
        return budgets[name]

    def _refuse(self, place: Place, name: str, fault: InvalidInput) -> None:
        """Answer, where there is a session that the answer is about, and not too often."""
        if self._hub.of_patient(place.patient) is None:
            return
        now = self._clock()
        budget = self._account(place).answers.setdefault(_name(place), Budget(ANSWERS_PER_SECOND, 1.0, now))
        if budget.spend(now):
            answer = {**messages.error(fault), "topic": name[:SHOWN_TOPIC]}
            self._answer(topic(place.patient, "error"), json.dumps(answer))

    def _account(self, place: Place) -> Account:
        return self._accounts.setdefault(place.patient, Account())

    def _note_retained(self, name: str) -> None:
        if not self._told_of_retained:
            self._told_of_retained = True
            log.warning("MQTT: retained messages such as that on %s are not used", shown(name))


def is_urgent(message: Message) -> bool:
    """Of a command: whether it must be heeded, however many others there are."""
    return not message.retain and message.payload.strip() in URGENT


def _name(place: Place) -> str:
    if place.channel != "reading":
        return place.channel
    return place.kind if place.kind in KINDS else ""


def _deliver(live: LiveSession, place: Place, payload: bytes) -> None:
    if place.channel == "reading":
        live.sense(parse_reading(place.kind, messages.parse_object(text_of(payload))))
    else:
        live.handle(parse_word(place.channel, payload, live.felt), "mqtt")
