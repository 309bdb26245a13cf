"""Who is let in: what a call shows, and what that allows it to do."""

import hmac

from starlette.requests import HTTPConnection

from musicmed_live.core.messages import Role
from musicmed_live.errors import InvalidInput
from musicmed_live.service.access import Access, Grant, StaffRole


class Entrance:
    """Knows the staff by their tokens and the administrator by the key.

    Where it is `open`, as on loopback without a key, everybody may do what the staff may.
    """

    def __init__(self, access: Access, key: str | None, *, is_open: bool) -> None:
        self.access = access
        self.is_open = is_open
        self._key = key

    def admit(self, token: str) -> Grant:
        """Who shows `token`. Raises `InvalidInput` `bad_token`, `token_expired`."""
        if self._key is not None and hmac.compare_digest(self._key.encode(), token.encode(errors="replace")):
            return Grant(StaffRole.ADMIN, None, "administrator", None)
        return self.access.check(token)


def entrance_of(connection: HTTPConnection) -> Entrance:
    """The entrance of the server that was called."""
    entrance: Entrance = connection.app.state.entrance
    return entrance


def token_of(connection: HTTPConnection) -> str:
    """What a call shows: `Authorization: Bearer TOKEN`, or `?token=` where a browser sets no headers; "" if neither."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return connection.query_params.get("token", "")


def caller(connection: HTTPConnection) -> Grant:
    """Who calls. Raises `InvalidInput` `bad_token`, `token_expired`, but not where the entrance is open."""
    entrance = entrance_of(connection)
    try:
        return entrance.admit(token_of(connection))
    except InvalidInput:
        if entrance.is_open:
            return Grant(StaffRole.ADMIN, None, "", None)
        raise


def session_role(connection: HTTPConnection, session: str) -> Role:
    """What a client of `session` may say. Raises `InvalidInput` `bad_token` for the token of anything else."""
    grant = entrance_of(connection).admit(token_of(connection))
    if grant.session != session or not isinstance(grant.role, Role):
        raise InvalidInput("token: not one of this session's", "token", "bad_token")
    return grant.role


def staff(connection: HTTPConnection, *roles: StaffRole) -> Grant:
    """The one of the staff who calls: of one of `roles`, of any where there are none, or an administrator.

    Raises `InvalidInput` `bad_token`, `token_expired`, or `forbidden` for somebody else. Where the entrance is open,
    everybody is an administrator.
    """
    grant = caller(connection)
    if isinstance(grant.role, StaffRole) and (not roles or grant.role in (*roles, StaffRole.ADMIN)):
        return grant
    if entrance_of(connection).is_open:
        return Grant(StaffRole.ADMIN, None, grant.name, None)
    wanted = " or a ".join(roles or StaffRole)
    raise InvalidInput(f"token: a {grant.role} may not do that; it takes the token of a {wanted}", "token", "forbidden")
