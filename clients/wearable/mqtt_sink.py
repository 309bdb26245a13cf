"""To an MQTT broker: `docs/mqtt.md`, topic `musicmed/<patient>/reading/heart_rate`."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiomqtt import Client, Message, MqttCodeError, MqttError, ProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from clients.wearable.broker import Broker
from clients.wearable.errors import Lost, Refused, sentence, shown
from clients.wearable.relay import Body
from clients.wearable.session_sink import refusal

PATIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")
PROTOCOLS = {"5": ProtocolVersion.V5, "3.1.1": ProtocolVersion.V311}
KEEPALIVE_SECONDS = 5
ANSWER_SECONDS = 5.0
BACKLOG = 16  # errors of the server that wait to be shown; more than that and new ones are dropped
NOT_LET_IN = (
    134,
    135,
)  # bad user name or password, not authorised (MQTT 5, section 3.2.2.2; paho turns 3.1.1's into them)


class MqttSink:
    """Readings of `patient`, a pseudonym, to `broker`."""

    def __init__(self, broker: Broker, patient: str) -> None:
        """Raises `Refused` where `patient` is no pseudonym."""
        if not PATIENT.fullmatch(patient):
            raise Refused(f"--patient: {shown(patient)!r} is not 1 to 64 letters, digits, - and _")
        self.name = broker.name
        self._broker = broker
        self._patient = patient

    @asynccontextmanager
    async def open(self) -> AsyncIterator["MqttLink"]:
        """Connect, and subscribe to what the server has against readings."""
        with _faults():
            async with self._client() as client:
                await client.subscribe(f"musicmed/{self._patient}/error")
                yield MqttLink(client, f"musicmed/{self._patient}/reading/heart_rate")

    def _client(self) -> Client:
        broker = self._broker
        return Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            protocol=PROTOCOLS[broker.version],
            tls_context=broker.tls,
            keepalive=KEEPALIVE_SECONDS,
            timeout=ANSWER_SECONDS,
            max_queued_incoming_messages=BACKLOG,
        )


class MqttLink:
    """A connection to the broker."""

    def __init__(self, client: Client, topic: str) -> None:
        self._client = client
        self._topic = topic

    async def send(self, body: Body) -> None:
        """Once and not retained: a reading is of use now or not at all."""
        with _faults():
            await self._client.publish(self._topic, json.dumps(body), qos=0, retain=False)

    async def refusals(self) -> AsyncIterator[str]:
        """What the server answers to readings of this kind; raises `Lost` when the broker is gone."""
        try:
            async for message in self._client.messages:
                refused = self._refusal(message)
                if refused is not None:
                    yield refused
        except MqttError:  # which says no more than that it was iterating
            raise Lost("the connection broke") from None

    def _refusal(self, message: Message) -> str | None:
        try:
            error: Any = json.loads(message.payload or b"")
        except (TypeError, ValueError):
            return None
        ours = isinstance(error, dict) and error.get("topic", self._topic) == self._topic
        return refusal(error) if ours else None


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except MqttError as fault:
        code = fault.rc if isinstance(fault, MqttCodeError) else None
        if isinstance(code, ReasonCode) and code.value in NOT_LET_IN:
            raise Refused(f"the broker refuses user and password: {shown(code)}") from None
        raise Lost(sentence(fault)) from None
