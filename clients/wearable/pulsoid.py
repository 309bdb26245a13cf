"""A phone or a watch by way of Pulsoid, or of whatever speaks as it does.

Source: docs.pulsoid.net, "Read Heart Rate via WebSocket": messages `{"measured_at": ms, "data": {"heart_rate": 72}}`;
the token in a header, where no log of addresses has it. `measured_at` is the phone's clock, which may be off by half a
minute and more, and is not used.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection

from clients.wearable.answers import parse_object
from clients.wearable.errors import Malformed, shown
from clients.wearable.reading import HeartRate, heart_rate
from clients.wearable.relay import Packet
from clients.wearable.sockets import faults, host_of, open_socket

URL = "wss://dev.pulsoid.net/api/v1/data/real_time"
TOKEN = "PULSOID_TOKEN"


def decode(text: str | bytes) -> HeartRate:
    """The rate in one message; raises `Malformed` where it is none."""
    message = parse_object(text) or {}
    measured = message.get("data")
    bpm = measured.get("heart_rate") if isinstance(measured, dict) else None
    if isinstance(bpm, bool) or not isinstance(bpm, int | float):
        raise Malformed(f"not a heart rate: {shown(text, 60)}")
    return heart_rate(bpm, ())


class Pulsoid:
    """The account that `token` belongs to; `url` is where the service is."""

    def __init__(self, url: str, token: str) -> None:
        """Raises `Refused` where `url` is no WebSocket's address."""
        self.name = host_of(url, "--url")
        self._url = url
        self._token = token

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Packet]]:
        """Connect to the service; that it is there does not mean that a heart is."""
        async with open_socket(self._url, headers={"Authorization": f"Bearer {self._token}"}) as socket:
            yield _packets(socket)


async def _packets(socket: ClientConnection) -> AsyncIterator[Packet]:
    while True:
        with faults():
            text = await socket.recv()
        try:
            yield decode(text)
        except Malformed as fault:
            yield fault
