"""One connection to the broker: how it is opened, where its messages wait, and what its faults are called."""

import asyncio
import logging
import random
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from musicmed_live.service.mqtt_address import Address

KEEPALIVE_SECONDS = 3  # a broker that has fallen silent is given up after two of these and a little more
ANSWER_SECONDS = 5.0  # within which it confirms
PACKET_LIMIT = 64 * 1024  # bytes; a broker that speaks MQTT 5 keeps longer ones to itself
INBOX = 1000  # messages
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 4.0
NOT_LET_IN = (134, 135)  # bad user name or password; not authorised (MQTT 5, section 3.2.2.2)
FIRST_FAILURE = 0x80  # of the codes with which a subscription is answered
REFUSED_PAUSE_SECONDS = 60.0  # somebody has to change something first
OUR_PAUSE_SECONDS = 60.0  # at most, where it is we who fail again and again

# What the library has to say of a lost connection is said by `sentence`, once.
_quiet = logging.getLogger(f"{__name__}.library")
_quiet.setLevel(logging.CRITICAL)


class NotSubscribed(MqttError):
    """The broker does not let us read a topic, which is the argument."""


class OurFault(MqttError):
    """It is no matter of the broker's, and the log has it."""


class Inbox(asyncio.Queue[Message]):
    """What has come over a connection and was not looked at yet.

    In a full one a newer message takes the place of the oldest that is not `urgent`; of the oldest, where all are.
    """

    def __init__(self, urgent: Callable[[Message], bool] = lambda _: False) -> None:
        super().__init__()
        self.lost = 0
        self._urgent = urgent

    def _init(self, maxsize: int) -> None:
        self._queue: deque[Message] = deque()  # by the name that the other methods of a queue know

    def put_nowait(self, message: Message) -> None:
        """Add one."""
        if self.qsize() >= INBOX:
            del self._queue[next((i for i, other in enumerate(self._queue) if not self._urgent(other)), 0)]
            self.lost += 1
        super().put_nowait(message)


@asynccontextmanager
async def connected(address: Address, name: str, inbox: Inbox, will: Will | None = None) -> AsyncIterator[Client]:
    """A client whose messages fill `inbox`. Raises `MqttError` where it cannot connect.

    A broker that still holds an older connection of that `name` gives it up for this one.
    """
    client = _client(address, name, inbox, will)
    await client.__aenter__()
    try:
        yield client
    finally:
        with suppress(MqttError):  # that saying goodbye failed is no news, and must not hide why it was said
            await client.__aexit__(None, None, None)
        if client._disconnected.done():
            client._disconnected.exception()  # else asyncio says that a fault, though told by another task, was missed


async def subscribe(client: Client, *topics: str, qos: int) -> None:
    """Ask for the messages of `topics`. Raises `NotSubscribed` where the broker refuses one, by the code it answers."""
    codes = await client.subscribe([(topic, qos) for topic in topics])
    for topic, code in zip(topics, cast(Sequence[int | ReasonCode], codes), strict=True):
        if (code.value if isinstance(code, ReasonCode) else code) >= FIRST_FAILURE:
            raise NotSubscribed(topic)


def heed_cancellation() -> None:
    """Raise `CancelledError` where this task was cancelled.

    The `wait_for` of Python 3.11, with which aiomqtt waits for confirmations, may swallow that (python/cpython#86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _client(address: Address, name: str, inbox: Inbox, will: Will | None) -> Client:
    properties = None
    if address.version is ProtocolVersion.V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # as paho has it
        properties.MaximumPacketSize = PACKET_LIMIT
    return Client(
        address.host,
        address.port,
        username=address.user,
        password=address.password,
        identifier=f"musicmed-live-{name}",
        logger=_quiet,
        queue_type=cast(type[asyncio.Queue[Message]], lambda maxsize: inbox),  # called with a size, and no more
        protocol=address.version,
        will=will,
        timeout=ANSWER_SECONDS,
        keepalive=KEEPALIVE_SECONDS,
        properties=properties,
        tls_context=address.tls,
    )


def sentence(address: Address, fault: MqttError) -> str:
    """What keeps us from the broker, in words that name neither user nor password."""
    if isinstance(fault, MqttConnectError):
        return f"the broker {address} refuses us: {str(fault.rc).lower()}"
    if isinstance(fault, NotSubscribed):
        return f"the broker {address} does not let us read {fault}"
    if _is_tls(fault):
        return f"no TLS with the broker {address}: {fault}"
    if fault.__cause__ is not None or "Disconnected" in str(fault):
        return f"the connection to the broker {address} is lost"
    return f"no connection to the broker {address}: {re.sub(r'^.Errno -?[0-9]+. ', '', str(fault))}"


def pause_seconds(fault: MqttError, tries: int) -> float:
    """How long to wait after `tries` attempts that failed one after the other: longer each time, and never in step."""
    limit = OUR_PAUSE_SECONDS if isinstance(fault, OurFault) else LONGEST_PAUSE_SECONDS
    longest = min(limit, FIRST_PAUSE_SECONDS * 2.0 ** min(tries, 10))
    if _is_refused(fault) or _is_tls(fault) or isinstance(fault, NotSubscribed):
        longest = REFUSED_PAUSE_SECONDS
    return longest * random.uniform(0.5, 1.0)


def _is_refused(fault: MqttError) -> bool:
    """Whether user or password will not do. paho turns the codes of MQTT 3.1.1 into these."""
    return isinstance(fault, MqttConnectError) and isinstance(fault.rc, ReasonCode) and fault.rc.value in NOT_LET_IN


def _is_tls(fault: MqttError) -> bool:
    return str(fault).startswith("[SSL")  # an `ssl.SSLError` reaches us as text
