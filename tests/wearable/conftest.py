"""A real broker and a real session's socket, on loopback."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from clients.wearable.relay import Body
from clients.wearable.session_sink import SUBPROTOCOL

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
BODY: Body = {"at": 1763800000.5, "bpm": 72, "rr_ms": [833.0], "contact": True}


def at_once() -> Iterator[float]:
    """Back-off for tests."""
    return repeat(0.0)


class Broker:
    """mosquitto on a port of its own, which it keeps when it is started again."""

    def __init__(self, folder: Path, *, anonymous: bool = True) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous {str(anonymous).lower()}\n")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Returns when it listens: it says so."""
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-v", "-c", str(self._config), stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            if b"running" in line:
                return
        raise AssertionError("mosquitto has ended")

    async def stop(self) -> None:
        """Returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None


@asynccontextmanager
async def a_broker(folder: Path, *, anonymous: bool = True) -> AsyncIterator[Broker]:
    broker = Broker(folder, anonymous=anonymous)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with a_broker(tmp_path) as running:
        yield running


@dataclass
class SessionServer:
    """What a relay sees of the server: a socket that takes messages, and answers what `answer` says."""

    answer: Callable[[dict[str, Any]], str | None] = lambda _: None
    taken: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    sockets: asyncio.Queue[ServerConnection] = field(default_factory=asyncio.Queue)
    refuse: tuple[HTTPStatus, str] | None = None
    port: int = 0
    server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/sessions/a1/live?token=secret"

    async def start(self) -> None:
        """Listens; where it has listened before, if it has."""
        subprotocols = [Subprotocol(SUBPROTOCOL)]
        self.server = await serve(
            self._serve, "127.0.0.1", self.port, subprotocols=subprotocols, process_request=self._check
        )
        self.port = next(iter(self.server.sockets)).getsockname()[1]

    async def stop(self, code: int = 1012) -> None:
        """Closes every socket with `code`."""
        assert self.server is not None
        self.server.close(code=code)
        await self.server.wait_closed()

    def _check(self, connection: ServerConnection, _: Request) -> Response | None:
        if self.refuse is None:
            return None
        status, text = self.refuse
        return connection.respond(status, text)

    async def _serve(self, connection: ServerConnection) -> None:
        self.sockets.put_nowait(connection)
        await connection.send(json.dumps({"type": "hello", "protocol": 1}))
        async for text in connection:
            message = json.loads(text)
            self.taken.put_nowait(message)
            if (answer := self.answer(message)) is not None:
                await connection.send(answer)


@pytest.fixture
async def session() -> AsyncIterator[SessionServer]:
    server = SessionServer()
    await server.start()
    yield server
    await server.stop()
