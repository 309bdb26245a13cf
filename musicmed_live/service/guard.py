"""What every call meets first: the wrong name, pages of other origins and forms are refused; answers are confined."""

from ipaddress import ip_address

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from musicmed_live.core import messages
from musicmed_live.errors import InvalidInput, TooManyCalls, shown

BODY_LIMIT = 16 * 1024
STATUS = {
    "bad_token": 401,
    "token_expired": 401,
    "forbidden": 403,
    "bad_pin": 403,
    "no_pin": 409,
    "not_kept": 507,
    "bad_origin": 403,
    "bad_host": 403,
    "session_ended": 410,
    "unknown_session": 404,
    "not_found": 404,
    "no_journal": 404,
    "too_long": 413,
    "bad_content_type": 415,
    "too_many_calls": 429,
    "too_many_sessions": 503,
    "journal_away": 503,
    "too_many_sockets": 503,
}
WITH_BODY = ("POST", "PUT", "PATCH")
# What an answer says unless it says otherwise.
CONFINED = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=(), payment=(), usb=(), "
    "serial=(), bluetooth=(), midi=(), hid=(), browsing-topics=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
# A year, as is usual: a browser that has come by TLS once never comes without it again (RFC 6797).
TLS_ONLY = "max-age=31536000"


class Guard:
    """Refuses calls by other names than `names` and loopback's, from pages of other origins, and from forms."""

    def __init__(self, app: ASGIApp, names: tuple[str, ...] = ()) -> None:
        self._app = app
        self._public = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        name = name_of(connection.headers.get("host", ""))
        is_own = _is_loopback(name)
        is_public = name in self._public and not is_own

        async def send_confined(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                _confine(MutableHeaders(scope=message), scope["scheme"] in ("https", "wss") and is_public)
            await send(message)

        fault = None if is_public or is_own else _bad_host(connection)
        fault = fault or _foreign(connection) or _not_json(scope, connection)
        if fault is None:
            await self._app(scope, receive, send_confined)
        else:
            await _refuse(scope, receive, send_confined, fault)


def error_response(fault: InvalidInput) -> JSONResponse:
    """The answer to a call that is refused."""
    headers = {}
    if isinstance(fault, TooManyCalls):
        headers["Retry-After"] = str(fault.wait_seconds)
    if STATUS.get(fault.code) == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(messages.error(fault), STATUS.get(fault.code, 400), headers)


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


def name_of(host: str) -> str:
    """The name in a `Host` header, in lower case, without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and (port.isdigit() or not port) else host).lower()


def _is_loopback(name: str) -> bool:
    """Whether that is this machine by one of its own names, none of which anybody else can be given."""
    try:
        return name == "localhost" or ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def origin_of(connection: HTTPConnection) -> str:
    """The origin (RFC 6454) of this server's own pages, as whoever calls sees it."""
    scheme = "https" if connection.scope["scheme"] in ("https", "wss") else "http"
    return f"{scheme}://{connection.headers.get('host', '').lower()}"


def page_policy(connection: HTTPConnection) -> str:
    """What one of this server's own pages may do (Content Security Policy Level 3): to talk to nobody else.

    Sockets are named, too: Safari before 15.4 does not take them for those of 'self'.
    """
    origin = origin_of(connection)
    return (
        f"default-src 'self'; connect-src 'self' {origin.replace('http', 'ws', 1)}; img-src 'self' data:; "
        "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def _bad_host(connection: HTTPConnection) -> InvalidInput:
    """A name of somebody else's may lead here, too, and so may pages that are served under it."""
    host = shown(connection.headers.get("host", ""))
    return InvalidInput(
        f"host: {host} is not a name of this server; one beside loopback's is given to it with --public-name",
        "host",
        "bad_host",
    )


def _foreign(connection: HTTPConnection) -> InvalidInput | None:
    """What is wrong with a call that a page of somebody else's makes."""
    origin = connection.headers.get("origin")
    if origin is not None and origin.lower() != origin_of(connection):
        return InvalidInput(f"origin: {shown(origin)} is not this server's", "origin", "bad_origin")
    return None


def _not_json(scope: Scope, connection: HTTPConnection) -> InvalidInput | None:
    """What is wrong with a body that a form on any page could send without being asked (Fetch: CORS-safelisted)."""
    headers = connection.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if scope["type"] != "http" or scope["method"] not in WITH_BODY or not has_body:
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return None
    return InvalidInput(f"content-type: {shown(kind)} is not application/json", "content-type", "bad_content_type")


def _confine(headers: MutableHeaders, by_tls: bool) -> None:
    for name, value in CONFINED.items():
        headers.setdefault(name, value)
    if by_tls:
        headers["Strict-Transport-Security"] = TLS_ONLY


async def _refuse(scope: Scope, receive: Receive, send: Send, fault: InvalidInput) -> None:
    response = error_response(fault)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
