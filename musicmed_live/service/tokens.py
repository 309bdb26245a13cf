"""Whose token it is, and new ones for the staff, over HTTP."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from musicmed_live.core import messages
from musicmed_live.core.checks import check_keys, is_number
from musicmed_live.errors import InvalidInput, shown
from musicmed_live.service.access import MOST_DAYS, Grant, StaffRole, check_person, parse_staff_role
from musicmed_live.service.entrance import caller, entrance_of, staff
from musicmed_live.service.guard import body_of

SHIFT_HOURS = 12.0
MOST_HOURS = MOST_DAYS * 24.0


async def _me(request: Request) -> Response:
    me = _told(caller(request))
    return JSONResponse({**me, "open": entrance_of(request).is_open})


async def _make(request: Request) -> Response:
    staff(request, StaffRole.ADMIN)
    entrance = entrance_of(request)
    if entrance.is_open:
        raise InvalidInput(
            "this server needs no tokens, and gives out none; `musicmed-live access grant` does", code="forbidden"
        )
    role, name, hours = _wish(messages.parse_object(await body_of(request)))
    token = entrance.access.grant(role, name=name, seconds=hours * 3600)
    return JSONResponse({"token": token, **_told(entrance.access.check(token))}, 201)


ROUTES: list[BaseRoute] = [Route("/api/me", _me), Route("/api/tokens", _make, methods=["POST"])]


def _wish(body: dict[str, Any]) -> tuple[StaffRole, str, float]:
    check_keys(body, ("role", "name", "hours"))
    hours = body.get("hours", SHIFT_HOURS)
    if not is_number(hours) or not 0 < hours <= MOST_HOURS:
        raise InvalidInput(f"hours: {shown(hours)} is not a number above 0, up to {MOST_HOURS:g}", "hours")
    return parse_staff_role(body.get("role")), check_person(body.get("name")), float(hours)


def _told(grant: Grant) -> dict[str, Any]:
    return {"role": grant.role.value, "session": grant.session, "name": grant.name, "expires": grant.expires}
