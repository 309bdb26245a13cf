"""What every call meets first, without a server behind it: names, origins, kinds of bodies, and confined answers."""

import re
from collections.abc import Mapping

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from musicmed_live.errors import InvalidInput
from musicmed_live.service.guard import CONFINED, Guard, body_of, error_response, name_of, page_policy

PUBLIC = "music.ward.example"


async def answer(request: Request) -> Response:
    return JSONResponse({"length": len(await body_of(request))})


async def page(request: Request) -> Response:
    return Response("", headers={"Content-Security-Policy": page_policy(request), "Cache-Control": "no-cache"})


async def refuse(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, InvalidInput)
    return error_response(fault)


ROUTES = [Route("/", answer, methods=["GET", "POST", "PUT", "DELETE"]), Route("/page", page)]
APP = Guard(Starlette(routes=ROUTES, exception_handlers={InvalidInput: refuse}), (PUBLIC, "10.0.0.5", "[2001:db8::5]"))


async def call(
    url: str = "http://127.0.0.1:8765/", method: str = "GET", content: bytes = b"", **headers: str
) -> httpx.Response:
    """Headers are named with underscores."""
    sent = {name.replace("_", "-").encode(): value.encode("latin1") for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP)) as client:
        return await client.request(method, url, content=content, headers=sent)


def code(answered: httpx.Response) -> tuple[int, str]:
    return answered.status_code, answered.json()["code"]


OWN = ("127.0.0.1", "127.0.0.1:8765", "127.0.0.2:8765", "localhost:1", "LocalHost", "[::1]", "[::1]:8765")
GIVEN = (PUBLIC, f"{PUBLIC}:443", f"{PUBLIC}:", PUBLIC.upper(), "10.0.0.5:8765", "[2001:db8::5]:8765")


@pytest.mark.parametrize("host", OWN + GIVEN)
async def test_a_server_answers_by_its_names(host: str) -> None:
    assert (await call(host=host)).status_code == 200


SIMILAR = (f"{PUBLIC}.evil.example", f"evil.{PUBLIC}", f"{PUBLIC}@evil.example", f"{PUBLIC}:80:80", f"{PUBLIC}é")
MALFORMED = ("", "[::1", "::1", "[::1]x", "localhost:x", "a" * 9000)


@pytest.mark.parametrize(
    "host", ("evil.example", "127.0.0.1.evil.example", "10.0.0.50", "0.0.0.0", *SIMILAR, *MALFORMED)
)
async def test_other_names_may_be_somebody_elses(host: str) -> None:
    answered = await call(host=host)
    assert code(answered) == (403, "bad_host")
    assert len(answered.json()["message"]) < 250


@given(st.text(st.characters(codec="latin-1", exclude_categories=["C"]), max_size=40))
def test_a_name_is_what_stands_before_the_port(host: str) -> None:
    assert re.fullmatch(re.escape(name_of(host)) + r"(:\d*)?", host.lower())


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8765/", "http://127.0.0.1:8765"),
        (f"https://{PUBLIC}/", f"https://{PUBLIC}"),
        (f"https://{PUBLIC}/", f"https://{PUBLIC}".upper()),
        (f"https://{PUBLIC}:8765/", f"https://{PUBLIC}:8765"),
    ],
)
async def test_its_own_pages_may_call(url: str, origin: str) -> None:
    assert (await call(url, origin=origin)).status_code == 200


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8765/", "http://127.0.0.1:8766"),
        ("http://127.0.0.1:8765/", "http://localhost:8765"),
        ("http://127.0.0.1:8765/", "https://127.0.0.1:8765"),
        ("http://127.0.0.1:8765/", "null"),
        ("http://127.0.0.1:8765/", ""),
        (f"https://{PUBLIC}/", f"http://{PUBLIC}"),
        (f"https://{PUBLIC}/", f"https://{PUBLIC}.evil.example"),
    ],
)
async def test_pages_of_other_origins_may_not(url: str, origin: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert code(await call(url, method, origin=origin)) == (403, "bad_origin")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
async def test_bodies_are_json(kind: str) -> None:
    assert (await call(method="POST", content=b"{}", content_type=kind)).json() == {"length": 2}


FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]


@pytest.mark.parametrize("headers", [{}, *({"content_type": kind} for kind in [*FORMS, "application/jsonx", "ü"])])
async def test_what_a_form_can_send_is_refused(headers: Mapping[str, str]) -> None:
    for method in ("POST", "PUT"):
        assert code(await call(method=method, content=b"{}", **headers)) == (415, "bad_content_type")


async def test_without_a_body_there_is_nothing_to_name() -> None:
    assert (await call(method="POST")).status_code == 200


async def test_a_long_body_is_refused() -> None:
    for length, status in ((16 * 1024, 200), (16 * 1024 + 1, 413)):
        answered = await call(method="POST", content=b" " * length, content_type="application/json")
        assert answered.status_code == status


async def test_every_answer_is_confined() -> None:
    for answered in (await call(), await call(host="evil.example"), await call(method="PATCH")):
        assert {name: answered.headers[name] for name in CONFINED} == CONFINED


async def test_a_page_may_talk_to_its_own_server_alone() -> None:
    answered = await call(f"https://{PUBLIC}:8765/page")
    policy = dict(rule.strip().split(" ", 1) for rule in answered.headers["Content-Security-Policy"].split(";"))
    assert policy["connect-src"] == f"'self' wss://{PUBLIC}:8765"
    assert policy["default-src"] == "'self'"
    assert not any(word in rule for rule in policy.values() for word in ("unsafe", "*", "http:", "ws: "))
    assert answered.headers["Cache-Control"] == "no-cache"


async def test_who_has_come_by_tls_once_does_not_come_without_it_again() -> None:
    assert "max-age=31536000" in (await call(f"https://{PUBLIC}/")).headers["Strict-Transport-Security"]


@pytest.mark.parametrize("url", [f"http://{PUBLIC}/", "https://localhost/", "https://127.0.0.1/"])
async def test_other_servers_of_this_machine_may_still_do_without_tls(url: str) -> None:
    assert "Strict-Transport-Security" not in (await call(url)).headers
