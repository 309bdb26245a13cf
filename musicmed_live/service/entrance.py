"""Who is let in: what a call shows, and what that allows it to do."""

import hmac
import time
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from musicmed_live.core.messages import Role
from musicmed_live.errors import InvalidInput
from musicmed_live.service.access import Access, Grant, StaffRole
from musicmed_live.service.limits import Call, Limits

# A kiosk is none of them: it stands among patients.
CARERS = (StaffRole.ADMIN, StaffRole.THERAPIST, StaffRole.NURSE)
ANYBODY = Grant(StaffRole.ADMIN, None, "", None)  # of a server that only this machine can reach


@dataclass(frozen=True, slots=True)
class Entrance:
    """Knows the clients and the staff by their tokens, and the administrator by `key`, too.

    Where it is open, as on loopback without a key, everybody may do what the staff may, as often as they like.
    """

    access: Access
    key: str | None = field(default=None, repr=False)
    is_open: bool = True
    limits: Limits = field(default_factory=lambda: Limits(time.monotonic))

    def admit(self, token: str, address: str) -> Grant:
        """Who shows `token`. Raises `InvalidInput`: `bad_token`, `token_expired`, `too_many_calls`.

        Tokens cannot be guessed, so a good one is good at any time: one who tries keys out, or whose token is no longer
        good, does not lock out the others who share the address.
        """
        try:
            return self.access.check(token)
        except InvalidInput as fault:
            if not token or fault.code == "token_expired" or self.is_open:
                raise
            self.limits.check(Call.GUESS, address)
            if self.key is not None and hmac.compare_digest(self.key.encode(), token.encode(errors="replace")):
                return Grant(StaffRole.ADMIN, None, "administrator", None)
            self.limits.spend(Call.GUESS, address)
            raise


def entrance_of(connection: HTTPConnection) -> Entrance:
    """The entrance of the server that was called."""
    entrance: Entrance = connection.app.state.entrance
    return entrance


def shown_token(connection: HTTPConnection) -> str:
    """What a call shows: `Authorization: Bearer TOKEN`, or `?token=` where a browser sets no headers; "" if neither."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return connection.query_params.get("token", "")


def count(connection: HTTPConnection, call: Call) -> None:
    """Count a call, unless the entrance is open. Raises `TooManyCalls`."""
    entrance = entrance_of(connection)
    if not entrance.is_open:
        entrance.limits.spend(call, address_of(connection))


def caller(connection: HTTPConnection) -> Grant:
    """Who calls. Raises `InvalidInput` as `Entrance.admit` does, but not where the entrance is open."""
    entrance = entrance_of(connection)
    try:
        return entrance.admit(shown_token(connection), address_of(connection))
    except InvalidInput:
        if entrance.is_open:
            return ANYBODY
        raise


def staff(connection: HTTPConnection, *roles: StaffRole) -> Grant:
    """The one of the staff who calls: of one of `roles`, of any where there are none, or an administrator.

    Raises `InvalidInput` as `caller` does, or `forbidden` for somebody else. Where the entrance is open, everybody is
    an administrator.
    """
    grant = caller(connection)
    if isinstance(grant.role, StaffRole) and (not roles or grant.role in (*roles, StaffRole.ADMIN)):
        return grant
    if entrance_of(connection).is_open:
        return ANYBODY
    raise _forbidden(grant, *(roles or StaffRole))


def is_staff(connection: HTTPConnection) -> bool:
    """Whether one of the staff calls. Raises `InvalidInput` where a token is shown that is no good."""
    if entrance_of(connection).is_open:
        return True
    return shown_token(connection) != "" and isinstance(caller(connection).role, StaffRole)


def client(connection: HTTPConnection, session: str) -> tuple[Role, str]:
    """The role and the name of the client of `session` who calls. Raises `InvalidInput` `bad_token` for others."""
    grant = entrance_of(connection).admit(shown_token(connection), address_of(connection))
    if grant.session != session or not isinstance(grant.role, Role):
        raise InvalidInput("token: not one of this session's", "token", "bad_token")
    return grant.role, grant.name


def client_or_staff(
    connection: HTTPConnection, session: str, *roles: Role, among: tuple[StaffRole, ...] = CARERS
) -> Grant:
    """The client of `session`, of one of `roles`, or the one of the staff, `among` those, who calls.

    Raises `InvalidInput` as `caller` does, or `forbidden` for somebody else. Where the entrance is open, everybody may.
    """
    grant = caller(connection)
    is_client = grant.session == session and grant.role in roles
    if entrance_of(connection).is_open or is_client or (grant.session is None and grant.role in among):
        return grant
    raise _forbidden(grant, *roles, *among)


def _forbidden(grant: Grant, *roles: Role | StaffRole) -> InvalidInput:
    who = "of the staff" if grant.session is None else "of a session"
    wanted = ", ".join(dict.fromkeys(role.value for role in roles))
    return InvalidInput(f"token: it is that of a {grant.role} {who}; this takes: {wanted}", "token", "forbidden")


def address_of(connection: HTTPConnection) -> str:
    return "" if connection.client is None else connection.client.host
