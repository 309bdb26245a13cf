"""Pulsoid, with a service on loopback that stands in."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from clients.wearable.errors import Lost, Malformed, Refused
from clients.wearable.pulsoid import Pulsoid, decode
from clients.wearable.reading import HeartRate

TOKEN = "8c4da3ce-secret"


@asynccontextmanager
async def a_service(*messages: str, code: int = 1001, refuse: HTTPStatus | None = None) -> AsyncIterator[str]:
    """Says `messages` to whoever has the token, then hangs up with `code`."""

    def check(connection: ServerConnection, request: Request) -> Response | None:
        if refuse is not None:
            return connection.respond(refuse, json.dumps({"message": "no such token"}))
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert TOKEN not in request.path
        return None

    async def serve_one(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)
        await connection.close(code)

    async with serve(serve_one, "127.0.0.1", 0, process_request=check) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/api/v1/data/real_time"


def test_the_documented_message_is_a_rate() -> None:
    assert decode('{"measured_at": 1625310655000, "data": {"heart_rate": 40}}') == HeartRate(40)


@pytest.mark.parametrize(
    "text",
    ["", "72", "[]", '{"data": 72}', '{"data": {"heart_rate": true}}', '{"data": {"heart_rate": "72"}}', "\x1b[2J"],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="not a heart rate") as refusal:
        decode(text)
    assert str(refusal.value).isprintable()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists) | st.text())
def test_any_message_is_a_rate_or_malformed(message: object) -> None:
    for text in (json.dumps(message), json.dumps({"data": {"heart_rate": message}}), str(message)):
        try:
            assert decode(text).bpm
        except Malformed:
            continue


async def test_rates_come_until_the_service_hangs_up() -> None:
    rates = ('{"data": {"heart_rate": 72}}', "hello", '{"data": {"heart_rate": 74}}')
    async with a_service(*rates) as url, Pulsoid(url, TOKEN).open() as packets:
        assert await anext(packets) == HeartRate(72)
        assert isinstance(await anext(packets), Malformed)
        assert await anext(packets) == HeartRate(74)
        with pytest.raises(Lost, match="closed with code 1001"):
            await anext(packets)


@pytest.mark.parametrize(
    ("status", "kind"), [(HTTPStatus.UNAUTHORIZED, Refused), (HTTPStatus.SERVICE_UNAVAILABLE, Lost)]
)
async def test_a_wrong_token_is_final_and_a_service_in_trouble_is_not(
    status: HTTPStatus, kind: type[Exception]
) -> None:
    async with a_service(refuse=status) as url:
        with pytest.raises(kind, match=f"refused with status {status}, no such token") as refusal:
            async with Pulsoid(url, TOKEN).open():
                pass
    assert TOKEN not in str(refusal.value)


async def test_a_service_that_is_not_there_is_lost() -> None:
    async with a_service() as url:
        pass
    with pytest.raises(Lost):
        async with Pulsoid(url, TOKEN).open():
            pass


@pytest.mark.parametrize("url", ["http://dev.pulsoid.net", "wss://", "wss://host:port", "pulsoid"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="--url: the address"):
        Pulsoid(url, TOKEN)
