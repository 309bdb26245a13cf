"""A real broker and a real session's socket, on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
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
from musicmed_live.service.broker import Broker
from tests.mosquitto import mosquitto

BODY: Body = {"at": 1763800000.5, "bpm": 72, "rr_ms": [833.0], "contact": True}


def at_once() -> Iterator[float]:
    """Back-off for tests."""
    return repeat(0.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with mosquitto(tmp_path) as running:
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
