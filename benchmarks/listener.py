"""A client of the wire protocol for tests and benchmarks: it holds what it was sent by position, like a player does."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.messages import SUBPROTOCOL, unpack_block

Message = dict[str, Any]


class Listener:
    """One connected client. `audio` and `held` are addressed by position."""

    def __init__(self, socket: ClientConnection, session: Message) -> None:
        self.session = session
        self.audio: NDArray[np.int16] = np.zeros((0, 2), np.int16)
        self.held: NDArray[np.bool_] = np.zeros(0, bool)
        self.arrivals: list[tuple[int, float]] = []  # position after each block, and when it came
        self.packets: list[tuple[int, bytes]] = []  # of codecs other than PCM
        self.messages: list[Message] = []
        self.state: Message = {}
        self.first_changed: int | None = None  # since `mark`
        self.close_code: int | None = None  # once the server has closed the socket
        self._codec = "pcm_s16le"
        self.state_at = 0.0  # when that came, by `time.monotonic`
        self._socket = socket
        self._news = asyncio.Event()

    @property
    def head(self) -> int:
        """The position being heard, by the server's clock."""
        passed = (time.monotonic() - self.state_at) * SAMPLE_RATE if self.state.get("playing") else 0.0
        return int(self.state["position"] + passed)

    def of_type(self, kind: str) -> list[Message]:
        """All messages of that type so far."""
        return [message for message in self.messages if message["type"] == kind]

    async def send(self, kind: str, /, **fields: Any) -> None:
        """Send a message."""
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def send_raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        await self._socket.send(frame)

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until something that arrives makes `condition` true. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def mark(self) -> int:
        """Forget `first_changed`; returns the position being heard."""
        self.first_changed = None
        return self.head

    async def run(self) -> None:
        """Take in what comes until the socket closes."""
        with suppress(ConnectionClosed):
            async for frame in self._socket:
                if isinstance(frame, bytes):
                    self._take_block(*unpack_block(frame))
                else:
                    self._take_message(json.loads(frame))
                self._news.set()
        self.close_code = self._socket.close_code
        self._news.set()

    def _take_message(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "hello":
            self._codec = message["audio"]["codec"]
        if message["type"] == "state":
            self.state, self.state_at = message, time.monotonic()

    def _take_block(self, position: int, payload: bytes) -> None:
        if self._codec != "pcm_s16le":
            self.packets.append((position, payload))
            return
        block = np.frombuffer(payload, "<i2").reshape(-1, 2)
        end = position + len(block)
        if end > len(self.held):
            self.audio = np.concatenate((self.audio, np.zeros((end - len(self.held) + 30 * SAMPLE_RATE, 2), np.int16)))
            self.held = np.concatenate((self.held, np.zeros(len(self.audio) - len(self.held), bool)))
        changed = self.held[position:end] & (self.audio[position:end] != block).any(axis=1)
        if self.first_changed is None and changed.any():
            self.first_changed = position + int(changed.argmax())
        self.audio[position:end] = block
        self.held[position:end] = True
        self.arrivals.append((end, time.monotonic()))


async def open_session(url: str, **wish: Any) -> Message:
    """`POST` a session to the server at `url` (with its closing slash)."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}api/sessions", json=wish)
    answer.raise_for_status()
    session: Message = answer.json()
    return session


@asynccontextmanager
async def join(url: str, session: Message, role: str = "patient") -> AsyncIterator[Listener]:
    """Connect to a session's socket."""
    address = f"{url.replace('http', 'ws', 1)}api/sessions/{session['id']}/live?token={session['tokens'][role]}"
    async with connect(address, subprotocols=[SUBPROTOCOL], max_queue=256) as socket:  # type: ignore[list-item]
        listener = Listener(socket, session)
        reading = asyncio.create_task(listener.run())
        try:
            yield listener
        finally:
            reading.cancel()


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, int]]:
    """A server of our own on a free port, warm; gives its URL and its process id."""

    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "musicmed_live", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[1]
            deadline = time.monotonic() + 60
            while not _is_warm(url):
                assert server.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not get warm"
                time.sleep(0.1)
            yield url, server.pid
        finally:
            server.terminate()
            server.wait(15)


def _is_warm(url: str) -> bool:
    try:
        return bool(httpx.get(f"{url}healthz", timeout=5).json()["warm"])
    except httpx.TransportError:
        return False
