"""Tokens and the secret that signs them: what is granted is what is checked, and nothing else is anything."""

import base64
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from musicmed_live.core.messages import Role
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.service.access import (
    TOKEN_LIMIT,
    Access,
    Grant,
    StaffRole,
    check_key,
    check_name,
    kept_secret,
    read_secret,
    renew_secret,
    session_tokens,
)

SECRET = bytes(range(32))
SESSION = "0123456789abcdef0123456789abcdef"
DAY = 86400
AT = 1_800_000_000.0

needs_posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


class Clock:
    """Seconds since 1970, as a test wants them."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(SECRET, clock)


def refusal(access: Access, token: str) -> str:
    """The code of the refusal."""
    with pytest.raises(InvalidInput) as refused:
        access.check(token)
    assert len(token) < 8 or token not in refused.value.message
    return refused.value.code


@given(st.sampled_from(Role), st.text("0123456789abcdef", min_size=1, max_size=64), st.integers(1, 10**9))
def test_a_sessions_token_says_what_was_granted(role: Role, session: str, seconds: int) -> None:
    access = Access(SECRET, lambda: AT)
    grant = access.check(access.grant(role, session, seconds=seconds))
    assert grant == Grant(role, session, "", int(AT) + seconds)
    assert isinstance(grant.role, Role)


@given(st.sampled_from(StaffRole), st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=64))
@example(StaffRole.THERAPIST, "Frau Dr. Öztürk-Łukasiewicz 🎻")
def test_a_token_of_the_staff_says_what_was_granted(role: StaffRole, name: str) -> None:
    access = Access(SECRET, lambda: AT)
    grant = access.check(access.grant(role, name=name, seconds=DAY))
    assert grant == Grant(role, None, name, int(AT) + DAY)
    assert isinstance(grant.role, StaffRole)


def test_a_token_goes_into_an_address_and_is_short_enough(access: Access) -> None:
    token = access.grant(StaffRole.THERAPIST, name="🎻" * 64, seconds=DAY)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert len(token) <= TOKEN_LIMIT


def test_a_token_is_good_until_it_expires(access: Access, clock: Clock) -> None:
    token = access.grant(StaffRole.NURSE, seconds=60)
    clock.now = AT + 59.9
    access.check(token)
    clock.now = AT + 60
    assert refusal(access, token) == "token_expired"


def test_the_tokens_of_a_session_outlive_a_night_of_waiting_and_the_session(access: Access, clock: Clock) -> None:
    four_hours = 4 * 3600 * 48_000
    tokens = session_tokens(access, SESSION, four_hours)
    endless = session_tokens(access, SESSION, None)
    assert set(tokens) == set(Role)
    clock.now = AT + (12 + 4 + 1) * 3600
    assert {access.check(token).role for token in tokens.values()} == set(Role)
    clock.now = AT + 6 * DAY
    assert {access.check(token).session for token in endless.values()} == {SESSION}


def test_another_secret_makes_other_tokens(access: Access, clock: Clock) -> None:
    other = Access(SECRET[::-1], clock)
    assert refusal(other, access.grant(StaffRole.ADMIN, seconds=DAY)) == "bad_token"


@given(st.data())
def test_a_token_that_was_changed_anywhere_is_none(data: st.DataObject) -> None:
    access = Access(SECRET, lambda: AT)
    token = access.grant(Role.PATIENT, SESSION, seconds=DAY)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda letter: letter != token[place]))
    assert refusal(access, token[:place] + letter + token[place + 1 :]) == "bad_token"


@given(st.integers(0, 10**6))
def test_a_token_that_is_cut_short_or_goes_on_is_none(length: int) -> None:
    access = Access(SECRET, lambda: AT)
    token = access.grant(Role.PATIENT, SESSION, seconds=DAY)
    assert refusal(access, token[: length % len(token)]) == "bad_token"
    assert refusal(access, token + "A" * (1 + length % 600)) == "bad_token"


@given(st.text() | st.text("AQaq_-=.", max_size=600))
@example("")
@example("=")
@example("A" * 513)
@example("A" * 10_000_000)
@example("\ud800")
@example("é" * 100)
@example("eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ.")  # a JSON Web Token without a signature
def test_whatever_else_is_shown_is_no_token(token: str) -> None:
    assert refusal(Access(SECRET, lambda: AT), token) == "bad_token"


@given(st.binary(max_size=380))
def test_bytes_that_nobody_signed_are_no_token(content: bytes) -> None:
    token = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    assert refusal(Access(SECRET, lambda: AT), token) == "bad_token"


def test_a_token_that_a_later_version_has_signed_is_none(access: Access) -> None:
    token = access.grant(Role.PATIENT, SESSION, seconds=DAY)
    content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:-32]
    assert refusal(access, access._signed(b"\x02" + content[1:])) == "bad_token"


@pytest.mark.parametrize("name", ["x" * 65, "two\nlines", "a\x00b", "a\u2028b", "\ud800"])
def test_a_name_is_one_line(name: str, access: Access) -> None:
    with pytest.raises(InvalidInput) as refused:
        access.grant(StaffRole.NURSE, name=name, seconds=DAY)
    assert refused.value.field == "name"
    with pytest.raises(InvalidInput):
        check_name(name)


@pytest.mark.parametrize("key", ["", "fifteen-letters", "with a space in between", "sixteen-letters-ü", "k" * 257])
def test_a_key_that_is_easily_guessed_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_key(key, "admin.key")
    assert not key or key not in refused.value.message
    assert "admin.key" in refused.value.message


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "access-secret"
    secret = kept_secret(path)
    assert len(secret) == 32
    assert kept_secret(path) == secret
    assert [each.name for each in path.parent.iterdir()] == ["access-secret"]


@needs_posix
def test_nobody_else_may_read_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "state" / "access-secret"
    kept_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(InvalidInput, match="chmod 600"):
        kept_secret(path)


def test_servers_that_start_at_once_agree_on_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "access-secret"
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(kept_secret, [path] * 32))) == 1


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"ab" * 32, b"AB" * 32 + b"\n", b"\xff" * 65])
def test_a_damaged_secret_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "access-secret"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="revoke --all"):
        kept_secret(path)
    assert path.read_bytes() == content


def test_a_new_secret_takes_every_token_back(tmp_path: Path) -> None:
    path = tmp_path / "access-secret"
    token = Access(kept_secret(path)).grant(StaffRole.ADMIN, seconds=DAY)
    renew_secret(path)
    assert refusal(Access(read_secret(path)), token) == "bad_token"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for act in (kept_secret, renew_secret):
        with pytest.raises(CannotServe, match="secret"):
            act(tmp_path / "file" / "access-secret")
