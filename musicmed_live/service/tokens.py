"""Whose token it is, and new ones for the staff, over HTTP."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from musicmed_live.core import messages
from musicmed_live.core.checks import check_keys, is_number
from musicmed_live.errors import InvalidInput, shown
from musicmed_live.service.access import Grant, StaffRole, check_name
from musicmed_live.service.entrance import caller, entrance_of, staff
from musicmed_live.service.guard import body_of

SHIFT_HOURS = 12.0
MOST_HOURS = 24.0 * 3660


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


def parse_role(value: Any) -> StaffRole:
    """Who of the staff it is. Raises `InvalidInput`."""
    if not isinstance(value, str) or value not in list(StaffRole):
        raise InvalidInput(f"role: {shown(value)} is none of {', '.join(StaffRole)}", "role")
    return StaffRole(value)


def _wish(body: dict[str, Any]) -> tuple[StaffRole, str, float]:
    check_keys(body, ("role", "name", "hours"))
    name, hours = body.get("name"), body.get("hours", SHIFT_HOURS)
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"name: {shown(name)} is not the name of a person", "name")
    if not is_number(hours) or not 0 < hours <= MOST_HOURS:
        raise InvalidInput(f"hours: {shown(hours)} is not a number above 0, up to {MOST_HOURS:g}", "hours")
    return parse_role(body.get("role")), check_name(name.strip()), float(hours)


def _told(grant: Grant) -> dict[str, Any]:
    return {"role": grant.role.value, "session": grant.session, "name": grant.name, "expires": grant.expires}
