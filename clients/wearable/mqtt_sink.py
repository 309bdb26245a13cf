"""To an MQTT broker: `docs/mqtt.md`, topic `musicmed/<patient>/reading/heart_rate`."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import cast

from aiomqtt import Client, Message, MqttCodeError, MqttError, ProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from clients.wearable.answers import parse_object, refusal
from clients.wearable.broker import Broker
from clients.wearable.errors import Lost, Refused, sentence, shown
from clients.wearable.relay import Body

PATIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")
PROTOCOLS = {"5": ProtocolVersion.V5, "3.1.1": ProtocolVersion.V311}
KEEPALIVE_SECONDS = 5
ANSWER_SECONDS = 5.0
BACKLOG = 16  # messages of the server that wait to be shown; more than that and new ones are dropped
SERVER = "musicmed/status"
GRACE_SECONDS = 2.0  # what is retained comes at once
# Bad user name or password; not authorised (MQTT 5, section 3.2.2.2). paho turns the codes of 3.1.1 into these.
NOT_LET_IN = (134, 135)
FIRST_FAILURE = 0x80  # of the codes with which a subscription is answered


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
        """Connect, and subscribe to what the server says of the patient."""
        with _faults():
            async with self._client() as client:
                link = MqttLink(client, self._patient)
                await link.listen()
                yield link

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

    def __init__(self, client: Client, patient: str) -> None:
        self._client = client
        self._patient = patient
        self._reading = f"musicmed/{patient}/reading/heart_rate"
        self._availability = f"musicmed/{patient}/availability"
        self._topics = (f"musicmed/{patient}/error", self._availability, SERVER)
        self._unheard: list[str] = []  # topics that the broker does not let us read

    async def listen(self) -> None:
        """Subscribe to what the server says of the patient. Where that is refused, readings are sent all the same."""
        codes = await self._client.subscribe([(topic, 1) for topic in self._topics])
        for topic, code in zip(self._topics, cast(Sequence[int | ReasonCode], codes), strict=True):
            if (code.value if isinstance(code, ReasonCode) else code) >= FIRST_FAILURE:
                self._unheard.append(topic)

    async def send(self, body: Body) -> None:
        """Once and not retained: a reading is of use now or not at all."""
        with _faults():
            await self._client.publish(self._reading, json.dumps(body), qos=0, retain=False)

    async def news(self) -> AsyncGenerator[str, None]:
        """Refusals, and whether there is a session at all; raises `Lost` when the broker is gone.

        Of a patient without a session the server says nothing, so that is told where nothing is heard for a while.
        """
        if self._unheard:
            topics = ", ".join(self._unheard)
            yield f"the broker does not let this user read {topics}; what is said there is not told"
        told = self._availability in self._unheard
        coming = asyncio.ensure_future(anext(self._client.messages))
        try:
            while True:
                await asyncio.wait({coming}, timeout=None if told else GRACE_SECONDS)
                if not coming.done():
                    told = True
                    yield f"{self._patient} has no session yet; readings go nowhere until one is opened"
                    continue
                message = coming.result()
                coming = asyncio.ensure_future(anext(self._client.messages))
                told = told or message.topic.matches(self._availability)
                if (said := self._sentence(message)) is not None:
                    yield said
        except MqttError:  # which says no more than that it was iterating
            raise Lost("the connection broke") from None
        finally:
            coming.cancel()

    def _sentence(self, message: Message) -> str | None:
        """What a message says, where it says anything about readings."""
        name, payload = message.topic.value, message.payload
        if name == self._availability:
            return {
                b"online": f"{self._patient} has a session",
                b"offline": f"{self._patient} has no session any more; readings go nowhere",
            }.get(payload)
        if name == SERVER:
            return "musicmed_live has left the broker; readings go nowhere" if payload == b"offline" else None
        return self._refusal(payload)

    def _refusal(self, payload: bytes) -> str | None:
        error = parse_object(payload)
        if error is None or error.get("topic", self._reading) != self._reading:
            return None
        return refusal(error)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except MqttError as fault:
        code = fault.rc if isinstance(fault, MqttCodeError) else None
        if isinstance(code, ReasonCode) and code.value in NOT_LET_IN:
            raise Refused(f"the broker refuses user and password: {shown(code)}") from None
        raise Lost(sentence(fault)) from None
