"""Readings to a session's socket."""

import json
from http import HTTPStatus

import pytest

from clients.wearable.errors import Lost, Over, Refused
from clients.wearable.session_sink import SUBPROTOCOL, SessionSink
from tests.wearable.conftest import BODY, SessionServer


async def test_a_reading_arrives_as_the_protocol_has_it(session: SessionServer) -> None:
    async with SessionSink(session.url).open() as link:
        await link.send(BODY)
        assert await session.taken.get() == {"type": "reading", "kind": "heart_rate", **BODY}
    connection = await session.sockets.get()
    assert connection.subprotocol == SUBPROTOCOL
    assert connection.request is not None
    assert connection.request.path == "/api/sessions/a1/live?token=secret"


async def test_errors_of_the_server_are_told_and_its_other_messages_are_not(session: SessionServer) -> None:
    answers = iter(
        [
            '{"type": "state", "phase": "leading"}',
            "not json",
            "[]",
            '{"type": "error", "code": "invalid", "message": "bpm: 900 is not \\u001b[2J a number", "field": "bpm"}',
        ]
    )
    session.answer = lambda _: next(answers)
    async with SessionSink(session.url).open() as link:
        for _ in range(4):
            await link.send(BODY)
        assert await anext(link.news()) == "refused, bpm: 900 is not ?[2J a number (invalid)"


@pytest.mark.parametrize(
    ("code", "kind"), [(1000, Over), (1008, Over), (1011, Refused), (1012, Lost), (1001, Lost), (1009, Lost)]
)
async def test_how_the_socket_is_closed_says_whether_to_come_back(
    session: SessionServer, code: int, kind: type[Exception]
) -> None:
    async with SessionSink(session.url).open() as link:
        await (await session.sockets.get()).close(code)
        with pytest.raises(kind):
            await anext(link.news())


async def test_a_broken_connection_is_lost(session: SessionServer) -> None:
    async with SessionSink(session.url).open() as link:
        (await session.sockets.get()).transport.abort()
        with pytest.raises(Lost, match="the connection broke"):
            await anext(link.news())
        with pytest.raises(Lost, match="the connection broke"):
            await link.send(BODY)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (HTTPStatus.UNAUTHORIZED, Refused),
        (HTTPStatus.NOT_FOUND, Refused),
        (HTTPStatus.GONE, Refused),
        (HTTPStatus.SERVICE_UNAVAILABLE, Lost),
    ],
)
async def test_a_refused_handshake_is_told_without_the_token(
    session: SessionServer, status: HTTPStatus, kind: type[Exception]
) -> None:
    session.refuse = (status, json.dumps({"code": "bad_token", "message": "the token fits no role"}))
    with pytest.raises(kind, match=f"refused with status {status}, the token fits no role") as refusal:
        async with SessionSink(session.url).open():
            pass
    assert "secret" not in str(refusal.value)


async def test_a_session_that_was_joined_may_still_be_taken_up(session: SessionServer) -> None:
    sink = SessionSink(session.url)
    async with sink.open():
        pass
    session.refuse = (HTTPStatus.NOT_FOUND, "{}")
    with pytest.raises(Lost, match="refused with status 404"):
        async with sink.open():
            pass


async def test_a_server_that_is_not_there_is_lost(session: SessionServer) -> None:
    await session.stop()
    with pytest.raises(Lost, match=r"(?i)connect"):
        async with SessionSink(session.url).open():
            pass


@pytest.mark.parametrize("url", ["http://host/api", "ws:///api", "ws://host:99999/api", "ws://a..b/api", "127.0.0.1:1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="--session: the address"):
        SessionSink(url)


def test_the_display_never_has_the_token() -> None:
    assert SessionSink("wss://ward.example:8765/api/sessions/a1/live?token=secret").name == "ward.example:8765"
