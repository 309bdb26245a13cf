"""One client's socket, with a session and a journal that do what a test wants."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from musicmed_live.core.messages import Role
from musicmed_live.service.attendance import Attendance
from musicmed_live.service.connection import Connection
from musicmed_live.service.live import ENDED, LiveSession


class Socket:
    """Says what it is told to, and keeps what it hears."""

    def __init__(self, *said: dict[str, Any]) -> None:
        self._said = [{"type": "websocket.receive", "text": json.dumps(message)} for message in said]
        self.heard: list[dict[str, Any]] = []
        self.closed: int | None = None

    async def receive(self) -> dict[str, Any]:
        if not self._said:
            await asyncio.Event().wait()
        return self._said.pop(0)

    async def send_text(self, text: str) -> None:
        self.heard.append(json.loads(text))

    async def close(self, code: int, _reason: str) -> None:
        self.closed = code


class Sitting:
    """A session that ends with whatever is said first."""

    name, heard, playing, started, close_code = "s", 0, False, False, ENDED

    def __init__(self) -> None:
        self.on_cut, self.on_change, self.on_event = set[Any](), set[Any](), set[Any]()
        self.over, self.attendance = asyncio.Event(), Attendance()

    def state(self) -> dict[str, Any]:
        return {"type": "state", "listening": self.attendance.listening}

    def handle(self, *_: Any) -> None:
        self.over.set()


async def test_what_ended_the_session_is_acknowledged_before_the_socket_closes() -> None:
    kept: list[Callable[[bool], None]] = []
    socket = Socket({"type": "stop", "id": "7"})
    connection = Connection(
        cast(WebSocket, socket),
        cast(LiveSession, Sitting()),
        Role.PATIENT,
        when_kept=lambda _live, then: kept.append(then),
    )
    serving = asyncio.create_task(connection.serve())
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(kept) == 1
    assert socket.closed is None
    kept[0](True)
    await serving
    assert socket.closed == ENDED
    assert {"type": "done", "id": "7", "kept": True} in socket.heard


@pytest.mark.parametrize(("role", "listening"), [(Role.PATIENT, 1), (Role.LISTENER, 1), (Role.THERAPIST, 0)])
async def test_who_plays_it_to_the_patient_is_counted_while_they_are_connected(role: Role, listening: int) -> None:
    listen = {"type": "listen", "codec": "pcm_s16le", "lead_ms": 1500}
    sitting = Sitting()
    connection = Connection(cast(WebSocket, Socket(listen, listen)), cast(LiveSession, sitting), role)
    serving = asyncio.create_task(connection.serve())
    assert sitting.state()["listening"] == 0
    for _ in range(20):
        await asyncio.sleep(0)
    assert sitting.state()["listening"] == listening
    sitting.over.set()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert sitting.state()["listening"] == 0


async def test_what_is_sent_again_is_acknowledged_and_not_done_again() -> None:
    class Steered(Sitting):
        def __init__(self) -> None:
            super().__init__()
            self.done = ["a-1"]

        def handle(self, _event: Any, _by: str, _name: str, said_as: str | None = None) -> None:
            self.done.append(str(said_as))

    live = Steered()
    report = {"type": "report", "valence": 0.5, "arousal": 0.0, "id": "a-1"}
    answers = []
    for again in ({"again": True}, {}, {"again": True, "id": "a-2"}, {"again": 1, "id": "a-3"}):
        socket = Socket({**report, **again})
        connection = Connection(cast(WebSocket, socket), cast(LiveSession, live), Role.PATIENT)
        serving = asyncio.create_task(connection.serve())
        for _ in range(20):
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        answers += [(told["type"], told["id"]) for told in socket.heard if "id" in told]
    assert live.done == ["a-1", "a-1", "a-2"]
    assert answers == [("done", "a-1"), ("done", "a-1"), ("done", "a-2"), ("error", "a-3")]
