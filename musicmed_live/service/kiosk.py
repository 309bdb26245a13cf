"""What the kiosk's page asks for over HTTP. Only this machine may ask."""

from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from musicmed_live.core.checks import check_keys
from musicmed_live.core.messages import Role, parse_object
from musicmed_live.errors import InvalidInput, shown
from musicmed_live.service.access import StaffRole
from musicmed_live.service.bedside import Kiosk
from musicmed_live.service.entrance import address_of, entrance_of, shown_token
from musicmed_live.service.guard import body_of
from musicmed_live.service.hub import Entry
from musicmed_live.service.kiosk_settings import settings_object

NURSE_SECONDS = 300.0
LOOPBACK = ("127.0.0.1", "::1")


async def _show(request: Request) -> Response:
    """What everybody at the bed may see."""
    kiosk = _kiosk(request)
    settings = settings_object(kiosk.settings)
    entry = kiosk.entry
    told = {
        **{key: settings[key] for key in ("night", "brightness", "language")},
        "control": settings["session"].get("control", "faces"),
        "minutes": settings["session"].get("minutes", 15),
        "headphones": kiosk.plug.value,
        "pulled": kiosk.pulled,
        "pin": kiosk.has_pin,
        "restarts": kiosk.restart is not None,
        "session": None if entry is None else _invitation(entry),
    }
    return JSONResponse(told)


async def _answer(request: Request) -> Response:
    """For the picture that waits for this server: as a file it is of another origin, and sees nothing but an answer."""
    _kiosk(request)
    return Response(status_code=204, headers={"Cross-Origin-Resource-Policy": "cross-origin"})


async def _start(request: Request) -> Response:
    return JSONResponse(_invitation(await _kiosk(request).start()), 201)


async def _unlock(request: Request) -> Response:
    kiosk = _kiosk(request)
    await kiosk.unlock(await _pin_of(request))
    return JSONResponse(_nurse_token(request))


async def _set_pin(request: Request) -> Response:
    """The first one is set by whoever sets the kiosk up; after that it is a nurse's."""
    kiosk = _kiosk(request)
    if kiosk.has_pin:
        _check_nurse(request)
    await kiosk.set_pin(await _pin_of(request))
    return JSONResponse(_nurse_token(request))


async def _settings(request: Request) -> Response:
    kiosk = _kiosk(request)
    _check_nurse(request)
    if request.method == "PUT":
        await kiosk.set(parse_object(await body_of(request)))
    return JSONResponse(settings_object(kiosk.settings))


async def _restart(request: Request) -> Response:
    """What plays goes on afterwards."""
    restart = _kiosk(request).restart
    _check_nurse(request)
    if restart is None:
        raise InvalidInput("nobody would start this kiosk again; end it and start it by hand", code="forbidden")
    restart()
    return JSONResponse({}, 202)


def _kiosk(connection: HTTPConnection) -> Kiosk:
    """Raises `InvalidInput` where there is none, or another machine asks."""
    kiosk: Kiosk | None = getattr(connection.app.state, "kiosk", None)
    if kiosk is None:
        raise InvalidInput("this server is no kiosk; `musicmed-live kiosk` is one", code="not_found")
    here = (*LOOPBACK, *(connection.scope.get("server") or ())[:1])  # a machine calls its own address from that
    if connection.client is None or connection.client.host not in here:
        raise InvalidInput("only the kiosk's own screen may ask that", code="forbidden")
    return kiosk


def _check_nurse(connection: HTTPConnection) -> None:
    """Also where the entrance is open: whoever touches the screen is not the staff. Raises `InvalidInput`."""
    grant = entrance_of(connection).admit(shown_token(connection), address_of(connection))
    if grant.role not in (StaffRole.NURSE, StaffRole.ADMIN):
        raise InvalidInput("token: a nurse's is needed", "token", "forbidden")


def _nurse_token(connection: HTTPConnection) -> dict[str, Any]:
    token = entrance_of(connection).access.grant(StaffRole.NURSE, name="bedside", seconds=NURSE_SECONDS)
    return {"token": token, "seconds": NURSE_SECONDS}


async def _pin_of(request: Request) -> str:
    body = parse_object(await body_of(request))
    check_keys(body, ("pin",))
    pin = body.get("pin")
    if not isinstance(pin, str):
        raise InvalidInput(f"pin: {shown(type(pin).__name__)} is not a text of digits", "pin")
    return pin


def _invitation(entry: Entry) -> dict[str, str]:
    return {"id": entry.live.name, "token": entry.tokens[Role.PATIENT]}


ROUTES: list[BaseRoute] = [
    Route("/api/kiosk", _show),
    Route("/api/kiosk/answer", _answer),
    Route("/api/kiosk/start", _start, methods=["POST"]),
    Route("/api/kiosk/unlock", _unlock, methods=["POST"]),
    Route("/api/kiosk/pin", _set_pin, methods=["PUT"]),
    Route("/api/kiosk/restart", _restart, methods=["POST"]),
    Route("/api/kiosk/settings", _settings, methods=["GET", "PUT"]),
]
