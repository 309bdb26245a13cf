"""A server with an administrator's key: who may do what, how often, and that none of it stands in its log."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.listener import join
from musicmed_live.core.messages import Role
from musicmed_live.service.access import Access, StaffRole, kept_secret, read_secret, renew_secret, secret_path
from musicmed_live.service.entrance import Entrance
from musicmed_live.service.generators import Choice
from musicmed_live.service.judging import Judge
from musicmed_live.service.listening import KEY_VARIABLE
from musicmed_live.service.sources import Source, Sources
from musicmed_live.service.web import build_app
from musicmed_live.service.workers import Workers

KEY = "an-administrators-key-that-nobody-may-see"
DAY = 86400
# As the command itself, but that everything which can be logged is.
VERBOSE = "import logging, sys; logging.basicConfig(level=1); from musicmed_live.cli import main; main(sys.argv[1:])"


@dataclass(frozen=True)
class Ward:
    """A server that asks for tokens."""

    url: str
    folder: Path
    log: Path
    access: Access

    def token(self, role: StaffRole, seconds: float = DAY) -> str:
        """Of one of the staff."""
        return self.access.grant(role, name="Ada", seconds=seconds)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", os.fspath(folder))
        access, environment = Access(kept_secret(secret_path())), {**os.environ, KEY_VARIABLE: KEY}
    log = folder / "log"
    with running(["-c", VERBOSE, "serve", "--port", "0"], environment, log) as said:
        yield Ward(said.split()[1], folder, log, access)


@contextmanager
def running(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[str]:
    """A server of our own; gives the first line that it says."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as server,
    ):
        try:
            assert server.stdout is not None
            yield server.stdout.readline()
        finally:
            server.terminate()
            server.wait(15)


@pytest.fixture
async def web(ward: Ward) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ward.url) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def opened(web: httpx.AsyncClient, ward: Ward, **wish: Any) -> dict[str, Any]:
    """A session, by a therapist."""
    headers = bearer(ward.token(StaffRole.THERAPIST))
    answer = await web.post("api/sessions", json={"goal": "calm", **wish}, headers=headers)
    assert answer.status_code == 201, answer.text
    session: dict[str, Any] = answer.json()
    return session


async def sessions(web: httpx.AsyncClient, ward: Ward) -> list[dict[str, Any]]:
    """Those that are open, as a therapist sees them."""
    listed: list[dict[str, Any]] = (
        await web.get("api/sessions", headers=bearer(ward.token(StaffRole.THERAPIST)))
    ).json()
    return listed


async def status_of_socket(ward: Ward, session: str, token: str) -> int:
    address = f"{ward.url.replace('http', 'ws')}api/sessions/{session}/live?token={token}"
    try:
        async with connect(address):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_strangers_get_nothing(web: httpx.AsyncClient, ward: Ward) -> None:
    session = (await opened(web, ward))["id"]
    for method, path, body in (
        ("POST", "api/sessions", {"goal": "calm"}),
        ("GET", "api/sessions", None),
        ("GET", f"api/sessions/{session}", None),
        ("GET", "api/sessions/none", None),
        ("DELETE", f"api/sessions/{session}", None),
        ("POST", "api/tokens", {"role": "admin", "name": "Eve"}),
        ("GET", "api/me", None),
        ("GET", "metrics", None),
    ):
        answer = await web.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_token"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert await status_of_socket(ward, session, "") == 401
    assert await status_of_socket(ward, "none", "") == 401


async def test_a_machine_among_patients_is_not_given_what_steers(ward: Ward, web: httpx.AsyncClient) -> None:
    given = {}
    for role in StaffRole:
        answer = await web.post("api/sessions", json={"goal": "calm"}, headers=bearer(ward.token(role)))
        given[role] = "therapist" in answer.json()["tokens"]
    steering = (StaffRole.THERAPIST, StaffRole.ADMIN)
    assert given == {role: role in steering for role in StaffRole}


# What anybody may call; what `/api/kiosk` answers depends on the machine that calls (test_kiosk.py).
FOR_ALL = ("/healthz", "/api/words", "/api/instruments", "/api/presets", "/api/noise.wav", "/api/kiosk")
IDLE = Source(Choice(), Workers(Choice(), 0))
NOBODY = build_app(Sources(IDLE, IDLE, Judge()), Entrance(Access(bytes(32))), (), None, None, print, print)
CALLS = [
    (method, route.path)
    for route in NOBODY.routes
    if isinstance(route, Route) and not route.path.startswith(FOR_ALL)
    for method in sorted((route.methods or set()) - {"HEAD"})
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_other_call_takes_a_token(web: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await web.request(method, re.sub("{[^}]+}", "x", path))
    assert answer.status_code == 401


async def test_strangers_may_know_that_it_runs_and_no_more(web: httpx.AsyncClient, ward: Ward) -> None:
    assert set((await web.get("healthz")).json()) == {"status", "warm"}
    assert (await web.get("api/words")).status_code == 200
    assert (await web.get("")).status_code == 200
    told = await web.get("healthz", headers=bearer(ward.token(StaffRole.NURSE)))
    assert {"generators", "journal", "version"} <= set(told.json())


@pytest.mark.parametrize("role", StaffRole)
async def test_the_staff_open_sessions(web: httpx.AsyncClient, ward: Ward, role: StaffRole) -> None:
    answer = await web.post("api/sessions", json={"goal": "calm"}, headers=bearer(ward.token(role)))
    assert answer.status_code == 201
    assert (await web.get("metrics", params={"token": ward.token(role)})).status_code == 200


async def test_a_session_is_its_own_clients_and_the_staffs(web: httpx.AsyncClient, ward: Ward) -> None:
    session, other = await opened(web, ward), await opened(web, ward)
    path, tokens = f"api/sessions/{session['id']}", session["tokens"]
    for role in Role:
        assert (await web.get(path, headers=bearer(tokens[role]))).status_code == 200
        refused = await web.get(path, headers=bearer(other["tokens"][role]))
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for role in (Role.LISTENER, Role.SENSOR):
        assert (await web.delete(path, headers=bearer(tokens[role]))).status_code == 403
    assert (await web.get(path, headers=bearer(ward.token(StaffRole.NURSE)))).status_code == 200
    assert (await web.delete(path, headers=bearer(ward.token(StaffRole.KIOSK)))).status_code == 403
    assert (await web.delete(path, headers=bearer(tokens[Role.PATIENT]))).status_code == 204
    assert (await web.get(path, headers=bearer(tokens[Role.PATIENT]))).status_code == 404


async def test_reports_are_the_therapists(web: httpx.AsyncClient, ward: Ward) -> None:
    session = await opened(web, ward)
    path, tokens = f"api/sessions/{session['id']}/report", session["tokens"]
    for token, allowed in (
        (tokens[Role.THERAPIST], True),
        (tokens[Role.PATIENT], False),
        (ward.token(StaffRole.THERAPIST), True),
        (ward.token(StaffRole.NURSE), False),
        (ward.token(StaffRole.KIOSK), False),
    ):
        assert ((await web.get(path, params={"token": token})).status_code != 403) is allowed


async def test_a_clients_token_is_nobody_of_the_staffs(web: httpx.AsyncClient, ward: Ward) -> None:
    tokens = (await opened(web, ward))["tokens"]
    for role in Role:
        for method, path in (("POST", "api/sessions"), ("GET", "api/sessions"), ("GET", "metrics")):
            answer = await web.request(method, path, json={"goal": "calm"}, headers=bearer(tokens[role]))
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (role, path)


async def test_a_socket_opens_for_its_own_session_alone(web: httpx.AsyncClient, ward: Ward) -> None:
    session, other = await opened(web, ward), await opened(web, ward)
    assert await status_of_socket(ward, session["id"], session["tokens"]["patient"]) == 101
    assert await status_of_socket(ward, session["id"], other["tokens"]["patient"]) == 401
    assert await status_of_socket(ward, session["id"], ward.token(StaffRole.THERAPIST)) == 401
    assert await status_of_socket(ward, session["id"], KEY) == 401
    old = ward.access.grant(Role.PATIENT, session["id"], seconds=-1)
    assert await status_of_socket(ward, session["id"], old) == 401


async def test_the_administrator_gives_out_tokens(web: httpx.AsyncClient, ward: Ward) -> None:
    wish = {"role": "therapist", "name": "Ada", "hours": 8}
    given = await web.post("api/tokens", json=wish, headers=bearer(KEY))
    assert given.status_code == 201
    me = (await web.get("api/me", headers=bearer(given.json()["token"]))).json()
    assert me == {
        "role": "therapist",
        "session": None,
        "name": "Ada",
        "expires": given.json()["expires"],
        "open": False,
    }
    for token, status in ((given.json()["token"], 403), (ward.token(StaffRole.ADMIN), 201)):
        assert (await web.post("api/tokens", json=wish, headers=bearer(token))).status_code == status


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "patient"}, "role"),
        ({"role": None}, "role"),
        ({"role": ["admin"]}, "role"),
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"hours": 0}, "hours"),
        ({"hours": True}, "hours"),
        ({"hours": 1e9}, "hours"),
        ({"days": 3}, "days"),
    ],
)
async def test_tokens_that_cannot_be_given(web: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    content = json.dumps({"role": "nurse", "name": "Ada", **change})
    headers = {"Content-Type": "application/json", **bearer(KEY)}
    answer = await web.post("api/tokens", content=content, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_session_has_32_sockets_at_most(web: httpx.AsyncClient, ward: Ward) -> None:
    session = await opened(web, ward)
    async with AsyncExitStack() as stack:
        for _ in range(32):
            await stack.enter_async_context(join(ward.url, session, "listener"))
        assert await status_of_socket(ward, session["id"], session["tokens"]["patient"]) == 503
    async with asyncio.timeout(10):
        while await status_of_socket(ward, session["id"], session["tokens"]["patient"]) != 101:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def test_who_guesses_is_told_to_wait_and_locks_nobody_out(web: httpx.AsyncClient, ward: Ward) -> None:
    codes = [(await web.get("api/me", headers=bearer(f"a-guess-{number}"))).status_code for number in range(40)]
    assert codes[0] == 401
    refused = await web.get("api/me", headers=bearer("one-more-guess"))
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_calls")
    assert 1 <= int(refused.headers["Retry-After"]) <= 6
    assert (await web.get("api/me", headers=bearer(KEY))).status_code == 429  # else a guess would be told from a hit
    assert (await web.get("api/me", headers=bearer(ward.token(StaffRole.NURSE)))).status_code == 200
    assert (await web.get("api/me")).status_code == 401


async def test_opening_sessions_has_its_limit(web: httpx.AsyncClient, ward: Ward) -> None:
    headers = bearer(ward.token(StaffRole.THERAPIST))
    for _ in range(80):
        answer = await web.post("api/sessions", json={"goal": "nowhere"}, headers=headers)
        if answer.status_code == 429:
            break
        assert answer.status_code == 400
    assert answer.json()["code"] == "too_many_calls"


async def test_what_is_taken_back_is_so_within_seconds_and_can_be_given_anew(
    web: httpx.AsyncClient, ward: Ward
) -> None:
    session = (await sessions(web, ward))[0]["id"]
    headers, secret = bearer(ward.token(StaffRole.THERAPIST)), ward.folder / "musicmed-live" / "access-secret"
    assert (await web.get("api/me", headers=headers)).status_code == 200
    renew_secret(secret)
    async with asyncio.timeout(10):
        while (await web.get("api/me", headers=headers)).status_code == 200:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
    renewed = replace(ward, access=Access(read_secret(secret)))
    token = (await sessions(web, renewed))[0]["tokens"]["patient"]
    assert (await web.get(f"api/sessions/{session}", headers=bearer(token))).status_code == 200


async def test_no_token_no_key_and_no_secret_stands_in_the_log(ward: Ward) -> None:
    """After all that was done above."""
    log = ward.log.read_text()
    assert "DEBUG" in log
    assert KEY not in log
    assert ward.access.secret.hex() not in log
    assert "token=" not in log
    assert "Bearer" not in log
    assert "AQAAAAB" not in log  # as every token begins


async def test_play_opens_its_session_itself_and_says_how_to_join_it(tmp_path: Path) -> None:
    command = ["-m", "musicmed_live", "play", "--port", "0", "--patient", "anna", "--journal", "none"]
    with running(command, {**os.environ, KEY_VARIABLE: KEY}, tmp_path / "log") as said:
        found = re.search(r"(http://\S+/)#session=(\w+)&token=([\w-]+)", said)
        assert found, said
        url, session, token = found.groups()
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get(f"api/sessions/{session}")).status_code == 401
            state = (await client.get(f"api/sessions/{session}", headers=bearer(token))).json()
    assert state["patient"] == "anna"
