"""One server for all tests of the service: the real command, on a real port of loopback."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest

from benchmarks.listener import Listener, join, open_session, serving


class Playing(Protocol):
    """Opens a session, listens to it and starts it."""

    def __call__(self, **wish: Any) -> AbstractAsyncContextManager[Listener]: ...


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, int]]:
    """URL and process id of a warm server."""
    with serving() as found:
        yield found


@pytest.fixture(scope="session")
def url(server: tuple[str, int]) -> str:
    """Where it answers, with the closing slash."""
    return server[0]


@pytest.fixture
def playing(url: str) -> Playing:
    """Sessions that have begun to sound; they are ended afterwards."""

    @asynccontextmanager
    async def play(**wish: Any) -> AsyncIterator[Listener]:
        session = await open_session(url, **{"start": "sad", "goal": "calm", "seed": 1, **wish})
        async with join(url, session) as listener:
            await listener.send("listen", codec="pcm_s16le", lead_ms=4000)
            await listener.send("play")
            await listener.until(lambda: listener.state.get("clip") and listener.held.sum() > 96_000)
            yield listener
            if listener.close_code is None and listener.state["phase"] != "ended":
                await listener.send("stop")

    return play
