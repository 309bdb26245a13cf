"""A session that is opened beside its server: what keeps it from that is said, and ends the server."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from musicmed_live.core.messages import Role
from musicmed_live.core.plan import Plan
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.service.inviting import serve_and_invite
from musicmed_live.service.server import Server
from tests.service.stage import CALM

PLAN = Plan(None, CALM, None, 1)


class House:
    """A server that answers until it is told to leave."""

    url = "https://music.example/"

    def __init__(self, opened: Callable[[], Any], fault: Exception | None = None) -> None:
        self.hub = SimpleNamespace(open=self._open)
        self.started_up, self._left = asyncio.Event(), asyncio.Event()
        self._opened, self._fault = opened, fault

    async def serve_here(self) -> None:
        if self._fault is not None:
            raise self._fault
        self.started_up.set()
        await self._left.wait()

    def leave(self) -> None:
        self._left.set()

    async def _open(self, _wish: Plan, _patient: str | None) -> Any:
        return self._opened()


async def invite(house: House) -> list[str]:
    """What is said until the server has left."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        house.leave()

    async with asyncio.timeout(5):
        await serve_and_invite(PLAN, "anna", cast(Server, house), say)
    return said


async def test_the_address_of_the_session_is_said() -> None:
    entry = SimpleNamespace(live=SimpleNamespace(name="s"), tokens={Role.PATIENT: "t"})
    assert await invite(House(lambda: entry)) == ["Open https://music.example/#session=s&token=t - Ctrl-C ends it."]


async def test_a_session_that_cannot_be_opened_ends_the_server_and_says_why() -> None:
    def refuse() -> None:
        raise InvalidInput("64 sessions are open already")

    with pytest.raises(InvalidInput, match="open already"):
        await invite(House(refuse))


async def test_a_server_that_cannot_serve_says_why() -> None:
    with pytest.raises(CannotServe, match="no port"):
        await invite(House(lambda: None, CannotServe("no port")))
