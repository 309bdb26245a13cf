"""The relay between a wearable that a test plays and a real socket."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from itertools import islice
from typing import Any

import pytest

from clients.wearable.backlog import Backlog
from clients.wearable.broker import parse_broker
from clients.wearable.errors import Lost, Malformed, Over, Refused
from clients.wearable.mqtt_sink import MqttSink
from clients.wearable.reading import HeartRate
from clients.wearable.relay import BACKLOG, LONGEST_WAIT_SECONDS, Packet, Relay, Sink, back_off
from clients.wearable.session_sink import SessionSink
from clients.wearable.status import Status
from musicmed_live.service.broker import Broker
from tests.wearable.conftest import SessionServer, at_once
from tests.wearable.test_mqtt_sink import a_listener, url


class Wearable:
    """A source that says what the test has it say; a fault as a packet breaks the connection."""

    name = "strap"

    def __init__(self) -> None:
        self._packets: Backlog[Packet | Lost | Refused] = Backlog(99)
        self.opened = 0
        self.open_now = False

    def say(self, *packets: Packet | Lost | Refused) -> None:
        for packet in packets:
            self._packets.put(packet)

    def end(self) -> None:
        self._packets.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Packet]]:
        self.opened += 1
        self.open_now = True
        try:
            yield self._said()
        finally:
            self.open_now = False

    async def _said(self) -> AsyncIterator[Packet]:
        async for packet in self._packets:
            if isinstance(packet, Lost | Refused):
                raise packet
            yield packet


class Run:
    """A relay that runs."""

    def __init__(self, wearable: Wearable, sink: Sink) -> None:
        self.status = Status(wearable.name, sink.name)
        self.task = asyncio.create_task(Relay(wearable, sink, self.status, at_once).run())

    async def until(self, condition: Callable[[], object]) -> None:
        """It holds, while the relay runs."""
        async with asyncio.timeout(10):
            while not condition():
                assert not self.task.done()
                await asyncio.sleep(0)

    async def told(self, said: str) -> None:
        """The next notice that contains `said`."""
        await self.until(lambda: self.status.notices and said in self.status.notices.popleft())


@pytest.fixture
def wearable() -> Wearable:
    return Wearable()


@pytest.fixture
async def run(wearable: Wearable, session: SessionServer) -> AsyncIterator[Run]:
    running = Run(wearable, SessionSink(session.url))
    yield running
    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)


async def taken(session: SessionServer, count: int) -> list[float]:
    """The rates of the next readings that reach the server."""
    return [(await session.taken.get())["bpm"] for _ in range(count)]


async def test_a_recording_is_relayed_to_its_end(run: Run, wearable: Wearable, session: SessionServer) -> None:
    wearable.say(HeartRate(70, (857.0,)), HeartRate(71, (845.0, 840.0)))
    wearable.end()
    await run.task
    assert await taken(session, 2) == [70, 71]
    assert (run.status.sent, run.status.lost, run.status.beats) == (2, 0, 3)
    assert run.status.wearable_link == "is at its end"


async def test_a_reading_has_the_time_at_which_it_came(run: Run, wearable: Wearable, session: SessionServer) -> None:
    before = time.time()
    wearable.say(HeartRate(70))
    message = await session.taken.get()
    assert before - 0.001 <= message["at"] <= time.time() + 0.001


async def test_nothing_is_read_before_the_server_has_been_reached(wearable: Wearable, session: SessionServer) -> None:
    session.refuse = (HTTPStatus.SERVICE_UNAVAILABLE, "")
    run = Run(wearable, SessionSink(session.url))
    wearable.say(HeartRate(70))
    await run.told("lost, refused with status 503")
    assert not wearable.opened
    session.refuse = None
    assert await taken(session, 1) == [70]
    wearable.end()
    await run.task


async def test_a_lost_wearable_is_found_again(run: Run, wearable: Wearable, session: SessionServer) -> None:
    wearable.say(HeartRate(70), Lost("the connection broke"), HeartRate(71))
    await run.told("strap: lost, the connection broke; trying again")
    await run.told("strap: connected")
    assert await taken(session, 2) == [70, 71]
    assert wearable.opened == 2
    assert run.status.lost == 0


async def test_a_malformed_packet_is_told_and_left_out(run: Run, wearable: Wearable, session: SessionServer) -> None:
    wearable.say(Malformed("a heart rate packet of 1 bytes"), HeartRate(71))
    await run.told("strap: a heart rate packet of 1 bytes; left out")
    assert await taken(session, 1) == [71]


async def test_a_server_that_comes_back_gets_the_newest_readings(
    run: Run, wearable: Wearable, session: SessionServer
) -> None:
    wearable.say(HeartRate(60))
    assert await taken(session, 1) == [60]
    await session.stop()
    await run.told("lost, closed with code 1012")
    wearable.say(*(HeartRate(100 + number) for number in range(BACKLOG + 5)))
    await run.until(lambda: run.status.lost == 5)
    await session.start()
    assert await taken(session, BACKLOG) == [105 + number for number in range(BACKLOG)]
    assert run.status.lost == 5
    assert wearable.opened == 1


async def test_a_broker_that_comes_back_gets_readings_again(broker: Broker, wearable: Wearable) -> None:
    run = Run(wearable, MqttSink(parse_broker(url(broker), {}), "anna"))
    await run.told("connected")
    broker.stop()
    await run.told("lost")
    broker.start()
    await run.told("connected")
    async with a_listener(broker) as listener:
        wearable.say(HeartRate(70))
        assert str((await anext(listener.messages)).topic) == "musicmed/anna/reading/heart_rate"
    wearable.end()
    await run.task


async def test_refusals_are_told(run: Run, wearable: Wearable, session: SessionServer) -> None:
    session.answer = lambda _: '{"type": "error", "code": "forbidden", "message": "a listener may only listen"}'
    wearable.say(HeartRate(70))
    await run.told("refused, a listener may only listen (forbidden)")


async def test_a_session_that_has_ended_ends_the_relay(run: Run, wearable: Wearable, session: SessionServer) -> None:
    await (await session.sockets.get()).close(1000)
    with pytest.raises(Over, match="the session has ended"):
        await run.task
    assert not wearable.open_now


@pytest.mark.parametrize("whose", ["wearable", "server"])
async def test_what_cannot_work_ends_the_relay(whose: str, wearable: Wearable, session: SessionServer) -> None:
    if whose == "server":
        session.refuse = (HTTPStatus.UNAUTHORIZED, "")
    wearable.say(Refused("several straps are in reach"))
    with pytest.raises(Refused, match="several straps" if whose == "wearable" else "status 401"):
        await Run(wearable, SessionSink(session.url)).task


async def test_a_cancelled_relay_lets_go_of_both_sides(run: Run, wearable: Wearable, session: SessionServer) -> None:
    await run.told("strap: connected")
    run.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.task
    assert not wearable.open_now
    connection: Any = await session.sockets.get()
    await connection.wait_closed()


def test_waits_get_longer_up_to_a_bound_and_differ_by_chance() -> None:
    waits = list(islice(back_off(), 2000))
    assert 0.5 <= waits[0] <= 1.0
    assert 4.0 <= waits[3] <= 8.0
    assert all(LONGEST_WAIT_SECONDS / 2 <= wait <= LONGEST_WAIT_SECONDS for wait in waits[4:])
    assert len(set(waits)) > 1990
