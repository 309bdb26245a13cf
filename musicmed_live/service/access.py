"""Who may do what: signed words that expire, the secret that signs them, and the administrator's key.

A token is base64url (RFC 4648, without padding) of a version byte, when it expires, whom it is for, and HMAC-SHA256
(RFC 2104) of all that. Nothing of it is kept here: whoever shows one is who it says.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import os
import re
import secrets
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from musicmed_live.core.messages import Role
from musicmed_live.errors import CannotServe, InvalidInput, shown
from musicmed_live.service.profiles import default_folder, replace_file

log = logging.getLogger(__name__)

TOKEN_LIMIT = 512  # characters
NAME_LIMIT, SESSION_LIMIT = 64, 64  # characters
KEY_LIMITS = 16, 256  # characters of an administrator's key
SECRET_BYTES = 32
MOST_DAYS = 3660  # that a token of the staff is good
OPEN_ENDED_DAYS = 7
FOLLOW_SECONDS = 5.0

_VERSION = 1
_HEADER = struct.Struct(">BQBB")  # version, expires, and how many bytes the role and the session have; then the name
_SIGNATURE_BYTES = 32
_SECRET = re.compile(rb"[0-9a-f]{64}\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class StaffRole(StrEnum):
    """Who somebody of the staff is. What they may do does not depend on a session."""

    ADMIN = "admin"
    THERAPIST = "therapist"
    NURSE = "nurse"
    KIOSK = "kiosk"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says: a client of one `session`, or, where that is None, one of the staff."""

    role: Role | StaffRole
    session: str | None
    name: str  # of the person, as they are told to others; "" where nobody has said
    expires: int | None  # seconds since 1970; None: it does not


class Access:
    """Makes tokens and checks them with a secret that nobody else has. `now` gives seconds since 1970."""

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self.secret = secret
        self._now = now

    def grant(self, role: Role | StaffRole, session: str | None = None, name: str = "", *, seconds: float) -> str:
        """A token that is valid for `seconds` from now: for a `Role` in its session, or for one of the staff.

        Raises `InvalidInput` where `name` is longer than 64 characters, or more than one line.
        """
        assert isinstance(role, StaffRole) == (session is None)
        parts = [role.value.encode(), (session or "").encode(), check_name(name).encode()]
        header = _HEADER.pack(_VERSION, int(self._now() + seconds), len(parts[0]), len(parts[1]))
        return self._signed(header + b"".join(parts))

    def check(self, token: str) -> Grant:
        """What `token` says. Raises `InvalidInput`: `bad_token` for one that is not ours, else `token_expired`."""
        content = _content(token)
        if content is None or not hmac.compare_digest(self._signed(content).encode(), token.encode()):
            raise InvalidInput("token: missing, or not one of this server's", "token", "bad_token")
        grant = _parse(content)
        if grant.expires is not None and grant.expires <= self._now():
            raise InvalidInput("token: it has expired; ask for a new one", "token", "token_expired")
        return grant

    def _signed(self, content: bytes) -> str:
        signature = hmac.digest(self.secret, content, "sha256")
        return base64.urlsafe_b64encode(content + signature).rstrip(b"=").decode()


def session_tokens(access: Access, session: str, frames: int | None) -> dict[Role, str]:
    """The tokens of a session of that length, by role. They outlive it; once it has ended, they open nothing.

    A session may wait half a day for its patient, so even of a short one they are valid for a day.
    """
    days = OPEN_ENDED_DAYS if frames is None else 1
    return {role: access.grant(role, session, seconds=days * 86400) for role in Role}


def check_name(name: str) -> str:
    """`name`, as others are told it. Raises `InvalidInput`."""
    if len(name) > NAME_LIMIT or _CONTROL.search(name) or not _is_text(name):
        raise InvalidInput(f"name: {shown(name)} is not one line of at most {NAME_LIMIT} characters", "name")
    return name


def check_person(name: Any) -> str:
    """The name of one of the staff. Raises `InvalidInput`."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"name: {shown(name)} is not the name of a person", "name")
    return check_name(name.strip())


def parse_staff_role(value: Any) -> StaffRole:
    """Who of the staff it is. Raises `InvalidInput`."""
    if not isinstance(value, str) or value not in list(StaffRole):
        raise InvalidInput(f"role: {shown(value)} is none of {', '.join(StaffRole)}", "role")
    return StaffRole(value)


def check_key(key: str, where: str) -> str:
    """`key`, as found in `where`, if an administrator may have it. Raises `InvalidInput`, which does not tell it."""
    least, most = KEY_LIMITS
    if not least <= len(key) <= most or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput(
            f"{where}: an administrator's key is {least} to {most} letters, digits and signs without a space; "
            f"what is there has {len(key)}; `openssl rand -hex 24` makes a good one",
            "admin_key",
        )
    return key


def secret_path() -> Path:
    """Where the secret that signs is kept: beside the patients' profiles."""
    return default_folder().parent / "access-secret"


def kept_secret(path: Path) -> bytes:
    """The secret in `path`, which is made, for its owner alone, where there is none yet.

    Raises `InvalidInput` where it is damaged or open to others, `CannotServe` where it can be neither read nor written.
    """
    try:
        if not path.exists():
            _write_first(path, secrets.token_hex(SECRET_BYTES))
        return read_secret(path)
    except OSError as fault:
        raise CannotServe(f"{path}: the secret that signs tokens cannot be kept: {fault.strerror}") from None


def read_secret(path: Path) -> bytes:
    """The secret in `path`. Raises `OSError`, and `InvalidInput` where it is damaged or open to others."""
    text = path.read_bytes()
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise InvalidInput(
            f"{path}: others may read the secret that signs tokens; chmod 600 it, or make a new one "
            "with `musicmed-live access revoke --all`",
            "secret",
        )
    if not _SECRET.fullmatch(text):
        raise InvalidInput(
            f"{path}: damaged; restore it, or make a new one with `musicmed-live access revoke --all`, which takes "
            "back every token there is",
            "secret",
        )
    return bytes.fromhex(text.decode())


def renew_secret(path: Path) -> None:
    """Put a new secret in place of the one in `path`: no token made before is valid any more. Raises `CannotServe`."""
    try:
        _write(path, secrets.token_hex(SECRET_BYTES))
    except OSError as fault:
        raise CannotServe(f"{path}: the secret that signs tokens cannot be renewed: {fault.strerror}") from None


async def follow_secret(access: Access, path: Path) -> None:
    """Take over each new secret that is put into `path`, so that what is taken back is so without a restart."""
    told = ""
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            access.secret = await asyncio.to_thread(read_secret, path)
        except (OSError, InvalidInput) as fault:
            if str(fault) != told:
                log.warning("tokens are checked with the secret as it was: %s", fault)
            told = str(fault)


def _content(token: str) -> bytes | None:
    """What was signed; None where `token` is too long or too short, or not base64url."""
    if len(token) > TOKEN_LIMIT or not token.isascii():
        return None
    try:
        signed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    return signed[:-_SIGNATURE_BYTES] if len(signed) > _SIGNATURE_BYTES else None


def _parse(content: bytes) -> Grant:
    """What we have signed, so it is whole; but a later version of this program may have signed something else."""
    if content[0] != _VERSION:
        raise InvalidInput("token: of another version of this server; ask for a new one", "token", "bad_token")
    _, expires, role_bytes, session_bytes = _HEADER.unpack_from(content)
    rest = content[_HEADER.size :]
    ends = (0, role_bytes, role_bytes + session_bytes, len(rest))
    role, session, name = (rest[begin:end].decode() for begin, end in pairwise(ends))
    return Grant(Role(role) if session else StaffRole(role), session or None, name, expires)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON may name
        return False
    return True


def _write(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, f"{secret}\n")


def _write_first(path: Path, secret: str) -> None:
    """Of several that do this at once, the first one's stays."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    _write(beside, secret)
    try:
        with suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink()
