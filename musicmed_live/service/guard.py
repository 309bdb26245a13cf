"""What every call meets first: pages of other origins are refused, and so are bodies that are too long."""

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from musicmed_live.core import messages
from musicmed_live.errors import InvalidInput, shown

BODY_LIMIT = 16 * 1024
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
STATUS = {
    "bad_token": 401,
    "bad_origin": 403,
    "bad_host": 403,
    "session_ended": 410,
    "unknown_session": 404,
    "not_found": 404,
    "too_long": 413,
    "too_many_sessions": 503,
}


class Guard:
    """Refuses calls from pages of other origins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] in ("http", "websocket"):
            fault = _foreign(HTTPConnection(scope))
            if fault is not None:
                await _refuse(scope, receive, send, fault)
                return
        await self._app(scope, receive, send)


def error_response(fault: InvalidInput) -> JSONResponse:
    """The answer to a call that is refused."""
    return JSONResponse(messages.error(fault), STATUS.get(fault.code, 400))


async def body_of(request: Request) -> bytes:
    """A call's body. Raises `InvalidInput` where it is too long, or cut short."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > BODY_LIMIT:
                raise InvalidInput(f"a body of more than {BODY_LIMIT} bytes", code="too_long")
    except ClientDisconnect:
        raise InvalidInput("the body is cut short", code="not_json") from None
    return body


def _foreign(connection: HTTPConnection) -> InvalidInput | None:
    """What is wrong with a call that a page of somebody else's may have made; a name may lead here, too."""
    host, origin = connection.headers.get("host", ""), connection.headers.get("origin")
    if host.rsplit(":", 1)[0] not in LOOPBACK_NAMES:
        return InvalidInput(f"host: {shown(host)} is not a name of this machine's loopback", "host", "bad_host")
    if origin is not None and origin != f"http://{host}":
        return InvalidInput(f"origin: {shown(origin)} is not this server's", "origin", "bad_origin")
    return None


async def _refuse(scope: Scope, receive: Receive, send: Send, fault: InvalidInput) -> None:
    response = error_response(fault)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
