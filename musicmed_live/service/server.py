"""The web server of this process: one port."""

import asyncio
import logging
import secrets

import uvicorn

from musicmed_live.errors import CannotServe
from musicmed_live.service.access import SECRET_BYTES, Access, kept_secret, secret_path
from musicmed_live.service.arrival import Arrival
from musicmed_live.service.entrance import Entrance
from musicmed_live.service.hub import Hub
from musicmed_live.service.journaling import Journaling
from musicmed_live.service.listening import Listening
from musicmed_live.service.mqtt_address import Address
from musicmed_live.service.sources import Sources
from musicmed_live.service.web import build_app

log = logging.getLogger(__name__)

# uvicorn says so of every handshake that is refused, which is an answer like any other.
REFUSED = "ASGI callable returned without completing handshake."
HEADER_LIMIT = 16 * 1024  # bytes of a request's line and headers
MOST_CONNECTIONS = 1024
FRAME_LIMIT = 1 << 20  # bytes of a client's WebSocket frame; a larger one closes the socket with 1009


class Server(uvicorn.Server):
    """Serves until interrupted. `hub` is there once `started_up` is set."""

    def __init__(
        self,
        listening: Listening,
        sources: Sources,
        mqtt: Address | None = None,
        journaling: Journaling | None = None,
    ) -> None:
        entrance = _entrance(listening)
        self._socket = listening.bind()
        self.url = listening.url(self._socket.getsockname()[1])
        self.is_open = listening.is_open
        tls = listening.tls
        self.fault: BaseException | None = None
        self.hub: Hub | None = None
        self.started_up = asyncio.Event()
        self.app = build_app(
            sources,
            entrance,
            listening.names,
            mqtt,
            journaling,
            self._started_with,
            self._fail,
        )
        logging.getLogger("uvicorn.error").addFilter(lambda record: record.getMessage() != REFUSED)
        super().__init__(
            uvicorn.Config(
                self.app,
                http=Arrival,
                h11_max_incomplete_event_size=HEADER_LIMIT,
                limit_concurrency=MOST_CONNECTIONS,
                server_header=False,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
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

    def leave(self) -> None:
        """End, as soon as what is being answered is answered."""
        self.should_exit = True

    def _started_with(self, hub: Hub) -> None:
        self.hub = hub
        self.started_up.set()

    def _fail(self, fault: BaseException) -> None:
        self.fault = fault
        self.should_exit = True


def _entrance(listening: Listening) -> Entrance:
    """Raises `InvalidInput` and `CannotServe` as `kept_secret` does; but nothing keeps a patient from music."""
    try:
        secret = kept_secret(secret_path())
    except CannotServe as fault:
        if not listening.is_open:
            raise
        log.warning("%s; tokens are good until this server ends", fault)
        secret = secrets.token_bytes(SECRET_BYTES)
    return Entrance(Access(secret), listening.key, listening.is_open)
