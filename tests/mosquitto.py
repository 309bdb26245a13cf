"""A real mosquitto on a free port of loopback: open to all, with users, or with TLS; it can be restarted."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from aiomqtt import Client, ProtocolVersion

from musicmed_live.service.broker import OPEN, Broker
from tests.certificates import make_certificate

# A broker that root starts becomes another user, who may not read the tests' folders; elsewhere this says nothing.
AS_WE_ARE = "user root"


@contextmanager
def mosquitto(folder: Path, users: Mapping[str, str] | None = None, tls: bool = False) -> Iterator[Broker]:
    """One that runs. `users` are names and passwords; the certificate of a TLS one is `folder/certificate.pem`."""
    settings = [AS_WE_ARE, "max_queued_messages 0"]  # a test wants to see each message
    settings += _with_users(folder, users) if users else OPEN
    if tls:
        settings += _with_tls(folder)
    broker = Broker(folder, settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _with_users(folder: Path, users: Mapping[str, str]) -> list[str]:
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    for name, password in users.items():
        subprocess.run(["mosquitto_passwd", "-b", passwords, name, password], check=True)
    return ["allow_anonymous false", f"password_file {passwords}"]


def _with_tls(folder: Path) -> list[str]:
    certificate, key = make_certificate(folder, "IP:127.0.0.1")
    return [f"certfile {certificate}", f"keyfile {key}"]


class Watcher:
    """A client that keeps what it sees, and publishes."""

    def __init__(self, client: Client) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.latest: dict[str, bytes] = {}
        self.retained: set[str] = set()  # topics whose message was the broker's own copy
        self._client = client
        self._news = asyncio.Event()

    async def say(self, topic: str, payload: str | bytes, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        await self._client.publish(topic, payload, qos=1, retain=retain)

    async def flood(self, topic: str, payload: str) -> None:
        """Publish, and hope."""
        await self._client.publish(topic, payload)

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until something that arrives makes `condition` true. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def run(self) -> None:
        """Take in what comes."""
        async for message in self._client.messages:
            topic, payload = message.topic.value, message.payload
            self.seen.append((topic, payload))
            self.latest[topic] = payload
            if message.retain:
                self.retained.add(topic)
            self._news.set()


@asynccontextmanager
async def watching(port: int, *topics: str) -> AsyncIterator[Watcher]:
    """A watcher of `topics`, of a broker that is open to all."""
    async with Client("127.0.0.1", port, protocol=ProtocolVersion.V5) as client:
        watcher = Watcher(client)
        await client.subscribe([(topic, 1) for topic in topics])
        running = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            running.cancel()
            await asyncio.wait({running})


class Relay:
    """A network between clients and a broker, that can lose the clients and leave the broker in the dark."""

    def __init__(self, broker_port: int) -> None:
        self.port = 0
        self.held = 0  # connections that the broker believes in
        self._broker_port = broker_port
        self._clients: set[asyncio.StreamWriter] = set()

    def lose(self) -> None:
        """Cut off the clients there are."""
        for client in self._clients:
            client.close()

    async def carry(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Between a client and the broker, until the broker gives it up."""
        answers, broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
        self._clients.add(client)
        self.held += 1
        questions = asyncio.create_task(_pass_on(reader, broker))
        await _pass_on(answers, client)
        self.held -= 1
        self._clients.discard(client)
        questions.cancel()
        for end in (client, broker):
            end.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while block := await source.read(65536):
            if not sink.is_closing():
                sink.write(block)


@asynccontextmanager
async def half_open(broker_port: int) -> AsyncIterator[Relay]:
    """A relay to the broker of that port."""
    relay = Relay(broker_port)
    async with await asyncio.start_server(relay.carry, "127.0.0.1", 0) as server:
        relay.port = server.sockets[0].getsockname()[1]
        yield relay
