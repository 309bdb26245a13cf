"""The relay: readings from a source to a sink for as long as there are any, whichever of the two goes away."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from typing import Any, Protocol

from clients.wearable.backlog import Backlog
from clients.wearable.errors import Lost, Malformed
from clients.wearable.reading import HeartRate
from clients.wearable.status import Status

BACKLOG = 8  # readings kept over a hiccup of the server: at one a second, none that it would find too old (10 s)
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 10.0

Packet = HeartRate | Malformed
Body = dict[str, Any]


class Source(Protocol):
    """Where readings come from."""

    name: str  # for the display; known better once it is open

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Packet]]:
        """Reach the wearable; it then gives packets, and ends where a recording does. Raises `Lost`, `Refused`."""
        ...


class Link(Protocol):
    """A way to the server that is open."""

    async def send(self, body: Body) -> None:
        """Hand over one reading. Raises `Lost`."""
        ...

    def news(self) -> AsyncGenerator[str, None]:
        """What becomes of readings there, in sentences: refusals above all. Raises `Lost`, `Over`, `Refused`."""
        ...


class Sink(Protocol):
    """Where readings go."""

    name: str  # for the display; without secrets

    def open(self) -> AbstractAsyncContextManager[Link]:
        """Reach the server. Raises `Lost`, `Over`, `Refused`."""
        ...


def back_off() -> Iterator[float]:
    """Seconds to wait before each further attempt: twice as long each time, by chance up to half of it shorter.

    Without chance, all relays of a ward would come back in the same moment.
    """
    longest = FIRST_WAIT_SECONDS
    while True:
        yield longest * random.uniform(0.5, 1.0)
        longest = min(2 * longest, LONGEST_WAIT_SECONDS)


class Relay:
    """Carries readings from `source` to `sink` and keeps `status` true."""

    def __init__(
        self, source: Source, sink: Sink, status: Status, waits: Callable[[], Iterator[float]] = back_off
    ) -> None:
        self._source = source
        self._sink = sink
        self._status = status
        self._waits = waits
        self._backlog: Backlog[Body] = Backlog(BACKLOG)
        self._reached = asyncio.Event()

    async def run(self) -> None:
        """Until a recording is sent. Raises `Over` where the session has ended, `Refused` where it cannot go on."""
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._deliver_all(), name="server")
                tasks.create_task(self._receive_all(), name="wearable")

    async def _receive_all(self) -> None:
        """Nothing is read before the server has been reached once: of a recording, the beginning would be lost."""
        await self._reached.wait()
        self._status.wearable_link = "searching"
        waits = self._waits()
        while True:
            try:
                async with self._source.open() as packets:
                    self._status.wearable = self._source.name
                    self._status.wearable_link = "ok"
                    self._status.note(f"{self._source.name}: connected")
                    async for packet in packets:
                        self._take(packet)
                        waits = self._waits()
                break
            except Lost as fault:
                self._status.wearable_link = "lost"
                await self._pause(self._status.wearable, fault, waits)
        self._status.wearable_link = "is at its end"
        self._backlog.close()

    def _take(self, packet: Packet) -> None:
        if isinstance(packet, Malformed):
            self._status.note(f"{self._status.wearable}: {packet}; left out")
            return
        self._status.take(packet, time.monotonic())
        self._status.lost += self._backlog.put(packet.body(time.time()))

    async def _deliver_all(self) -> None:
        waits = self._waits()
        while True:
            delivered = self._status.sent
            try:
                async with self._sink.open() as link:
                    await self._use(link)
                return
            except* Lost as group:
                fault = _first(group)
            if self._status.sent > delivered:
                waits = self._waits()
            self._status.server_link = "lost"
            await self._pause(self._status.server, fault, waits)

    async def _use(self, link: Link) -> None:
        """Send until there is nothing more to come."""
        self._status.server_link = "ok"
        self._status.note(f"{self._status.server}: connected")
        self._reached.set()
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._tell_news(link), name="news")
            async for body in self._backlog:
                await self._deliver(link, body)
            listening.cancel()

    async def _deliver(self, link: Link, body: Body) -> None:
        arrived = False
        try:
            await link.send(body)
            arrived = True
        finally:
            self._status.sent += arrived
            self._status.lost += not arrived

    async def _tell_news(self, link: Link) -> None:
        async with aclosing(link.news()) as news:
            async for sentence in news:
                self._status.note(f"{self._status.server}: {sentence}")

    async def _pause(self, who: str, fault: Exception, waits: Iterator[float]) -> None:
        seconds = next(waits)
        self._status.note(f"{who}: lost, {fault}; trying again")
        await asyncio.sleep(seconds)


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raises the first exception of a group, and of the groups within it, by itself."""
    try:
        yield
    except ExceptionGroup as group:
        raise _first(group) from group


def _first(fault: Exception) -> Exception:
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return fault
