"""Whoever sends a request byte by byte, or not at all, is cut off; a socket that is open stays so."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.server import ServerState
from websockets.asyncio.client import connect

from musicmed_live.service import arrival
from musicmed_live.service.arrival import Arrival

SECONDS = 0.2
WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
WITH_BODY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"


async def answer(request: Request) -> Response:
    return Response(await request.body())


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    routes = [Route("/", answer, methods=["GET", "POST"]), WebSocketRoute("/live", echo)]
    config = uvicorn.Config(
        Starlette(routes=routes), http=Arrival, ws="websockets-sansio", lifespan="off", log_level="critical"
    )
    config.load()
    state = ServerState()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrival, "ARRIVAL_SECONDS", SECONDS)
        server = await asyncio.get_running_loop().create_server(lambda: Arrival(config, state, {}), "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection. Raises `TimeoutError`."""
    async with asyncio.timeout(2):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("parts", [(), (b"G",), (WHOLE[:-2],), (WITH_BODY,), (WITH_BODY, b"1234")])
async def test_a_request_that_does_not_arrive_is_given_up(port: int, parts: tuple[bytes, ...]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    assert await rest(reader) == b""
    writer.close()


async def test_so_is_the_next_one_of_the_same_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(WHOLE)
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.write(WHOLE[:-2])
    assert await rest(reader) == b""
    writer.close()


async def test_each_request_has_its_own_time(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(5):
        for _ in range(3):
            writer.write(WITH_BODY)
            await asyncio.sleep(SECONDS / 2)
            writer.write(b"12345")
            assert await reader.readuntil(b"12345")
    writer.close()


async def test_a_socket_stays_open(port: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/live") as socket:
        await asyncio.sleep(2 * SECONDS)
        await socket.send("still here")
        assert await socket.recv() == "still here"
