"""The web server of this process: one port on loopback."""

import asyncio
import logging
import socket

import uvicorn

from musicmed_live.errors import CannotServe
from musicmed_live.service.access import Access, kept_secret, secret_path
from musicmed_live.service.entrance import Entrance
from musicmed_live.service.generators import Choice
from musicmed_live.service.hub import Hub
from musicmed_live.service.journaling import Journaling
from musicmed_live.service.mqtt import Address
from musicmed_live.service.sources import open_sources
from musicmed_live.service.web import build_app

HOST = "127.0.0.1"
# uvicorn says so of every handshake that is refused, which is an answer like any other.
REFUSED = "ASGI callable returned without completing handshake."
FRAME_LIMIT = 1 << 20  # bytes of a client's WebSocket frame; a larger one closes the socket with 1009


class Server(uvicorn.Server):
    """Serves until interrupted. `hub` is there once `started_up` is set."""

    def __init__(
        self, port: int, choice: Choice, mqtt: Address | None = None, journaling: Journaling | None = None
    ) -> None:
        self._socket = _bind(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        self.fault: BaseException | None = None
        self.hub: Hub | None = None
        self.started_up = asyncio.Event()
        entrance = Entrance(Access(kept_secret(secret_path())), None, is_open=True)
        app = build_app(lambda: open_sources(choice), entrance, mqtt, journaling, self._started_with, self._fail)
        logging.getLogger("uvicorn.error").addFilter(lambda record: record.getMessage() != REFUSED)
        super().__init__(
            uvicorn.Config(
                app,
                ws="websockets-sansio",
                ws_max_size=FRAME_LIMIT,
                ws_per_message_deflate=False,
                access_log=False,  # its lines would carry tokens
                log_level="warning",
                timeout_graceful_shutdown=3,
                lifespan="on",
            )
        )

    async def serve_here(self) -> None:
        """Serve on the port that was bound. Raises what keeps it from that, such as a generator that cannot work."""
        await self.serve(sockets=[self._socket])
        if self.fault is not None:
            raise self.fault

    def _started_with(self, hub: Hub) -> None:
        self.hub = hub
        self.started_up.set()

    def _fail(self, fault: BaseException) -> None:
        self.fault = fault
        self.should_exit = True


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as fault:
        listener.close()
        raise CannotServe(f"port {port}: {fault.strerror}; choose another one with --port") from None
    return listener
