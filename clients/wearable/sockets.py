"""WebSockets as the relays need them: what goes wrong is `Lost`, `Refused` or `Over`, in a sentence without secrets."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from clients.wearable.answers import parse_object
from clients.wearable.errors import Lost, Refused, Unknown, sentence, shown

PING_SECONDS = 5.0  # a dead network is noticed within two of them
FINAL = (400, 401, 403, 410)  # answers to a handshake that no repeating changes
UNKNOWN = 404


def host_of(url: str, option: str) -> str:
    """The host and port of a WebSocket's address; raises `Refused` where it is none."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        (parts.hostname or "").encode("idna")
    except ValueError:  # UnicodeError, of a label that is empty or too long, is one
        raise Refused(f"{option}: the address has no valid host and port") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise Refused(f"{option}: the address does not begin with ws:// or wss:// and a host")
    return f"{parts.hostname}{port}"


@asynccontextmanager
async def open_socket(
    url: str, headers: dict[str, str] | None = None, subprotocol: str | None = None
) -> AsyncIterator[ClientConnection]:
    """A connected socket; what it does in the block goes into `faults` itself."""
    subprotocols = None if subprotocol is None else [Subprotocol(subprotocol)]
    connecting = connect(
        url,
        additional_headers=headers,
        subprotocols=subprotocols,
        ping_interval=PING_SECONDS,
        ping_timeout=PING_SECONDS,
        close_timeout=1.0,
    )
    with faults():
        socket = await connecting
    try:
        yield socket
    finally:
        await socket.close()


@contextmanager
def faults() -> Iterator[None]:
    """Tells what a socket raises apart."""
    try:
        yield
    except InvalidStatus as fault:
        raise _refusal(fault) from None  # the cause may name the address, and with it the token
    except ConnectionClosed as fault:
        raise Lost(closed(fault)) from None
    except InvalidURI:
        raise Refused("the address is not one of a WebSocket") from None
    except (InvalidHandshake, TimeoutError, OSError) as fault:
        raise Lost(sentence(fault)) from None


def closed(fault: ConnectionClosed) -> str:
    """Why a socket has been closed."""
    if fault.rcvd is None:
        return "the connection broke"
    reason = f", {shown(fault.rcvd.reason)}" if fault.rcvd.reason else ""
    return f"closed with code {fault.rcvd.code}{reason}"


def _refusal(fault: InvalidStatus) -> Lost | Refused:
    status = fault.response.status_code
    kind = Unknown if status == UNKNOWN else Refused if status in FINAL else Lost
    return kind(f"refused with status {status}{_reason(fault.response.body)}")


def _reason(body: bytes | bytearray | None) -> str:
    """What the answer's JSON says for people, if it says anything."""
    answer = parse_object(bytes(body or b"")) or {}
    message = answer.get("message")
    return f", {shown(message)}" if isinstance(message, str) else ""
