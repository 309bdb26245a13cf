"""To a session's own WebSocket: `docs/protocol.md`, message `reading`."""

import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clients.wearable.answers import parse_object, refusal
from clients.wearable.errors import Lost, Over, Refused, Unknown
from clients.wearable.relay import Body
from clients.wearable.sockets import closed, faults, host_of, open_socket

SUBPROTOCOL = "musicmed.v1"
ENDED = (1000, 1008)  # close codes of a session that has ended, by itself or by DELETE
FAILED = 1011  # of one that cannot go on
TAKE_UP_SECONDS = 600.0  # within which a server that was killed can go on with a session


class SessionSink:
    """`url` is the session's address with its token: `ws://HOST/api/sessions/ID/live?token=TOKEN`."""

    def __init__(self, url: str) -> None:
        """Raises `Refused` where it is no such address."""
        self.name = host_of(url, "--session")
        self._url = url
        self._taken_up_by = -math.inf  # in seconds of the monotonic clock

    @asynccontextmanager
    async def open(self) -> AsyncIterator["SessionLink"]:
        """Join the session. Raises `Lost` where a server that was started again has not taken it up yet."""
        try:
            async with open_socket(self._url, subprotocol=SUBPROTOCOL) as socket:
                try:
                    yield SessionLink(socket)
                finally:
                    self._taken_up_by = time.monotonic() + TAKE_UP_SECONDS
        except Unknown as fault:
            if time.monotonic() > self._taken_up_by:
                raise
            raise Lost(str(fault)) from None


class SessionLink:
    """A socket of the session."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, body: Body) -> None:
        """One `reading`."""
        with faults():
            await self._socket.send(json.dumps({"type": "reading", "kind": "heart_rate", **body}))

    async def news(self) -> AsyncGenerator[str, None]:
        """Of all that the session says, the errors; raises when it closes the socket."""
        while True:
            try:
                frame = await self._socket.recv()
            except ConnectionClosed as fault:
                raise _ending(fault) from None
            refused = _refusal(frame)
            if refused is not None:
                yield refused


def _ending(fault: ConnectionClosed) -> Lost | Over | Refused:
    code = None if fault.rcvd is None else fault.rcvd.code
    if code in ENDED:
        return Over("the session has ended")
    if code == FAILED:
        return Refused("the session has failed and cannot go on")
    return Lost(closed(fault))


def _refusal(frame: str | bytes) -> str | None:
    """What an `error` says; None of every other message."""
    message = parse_object(frame)
    return refusal(message) if message is not None and message.get("type") == "error" else None
