"""A real server that is killed, and started again by the same command: it takes its sessions up."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from benchmarks.listener import Listener, Message, join, open_session
from benchmarks.recovery import House, house, kept_reports, likeness
from musicmed_live.core.generator import SAMPLE_RATE, frames_of
from musicmed_live.core.snapshot import BUFFERED_SECONDS
from musicmed_live.journal.entries import Kind
from musicmed_live.journal.store import Journal

REPORTS = 20


@pytest.fixture(scope="module")
def served() -> Any:
    """A server that runs."""
    with house() as found:
        found.start()
        found.wait_until_warm()
        yield found


@asynccontextmanager
async def listening(served: House, session: Message) -> AsyncIterator[Listener]:
    """Connect as soon as there is somebody, and listen."""
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        while True:
            try:
                listener = await stack.enter_async_context(join(served.url, session))
                break
            except (OSError, InvalidStatus):
                await asyncio.sleep(0.05)
        await listener.send("listen", codec="pcm_s16le", lead_ms=8000)
        yield listener


async def tell(listener: Listener, number: int) -> None:
    """Report, and wait until that is kept."""
    await listener.send("report", id=str(number), valence=number / 100, arousal=0.5)
    await listener.until(lambda: any(m["id"] == str(number) for m in listener.of_type("done")))
    assert listener.of_type("done")[-1] == {"type": "done", "id": str(number), "kept": True}


def entries(served: House, session: Message, kind: Kind) -> list[dict[str, Any]]:
    with closing(Journal(served.journal)) as journal:
        return [dict(entry.body) for entry in journal.entries(session["id"]) if entry.kind is kind]


async def test_killed_sessions_go_on_where_they_were_and_nothing_that_was_acknowledged_is_lost(served: House) -> None:
    playing, paused = [await open_session(served.url, start="sad", goal="calm", seed=seed) for seed in (1, 2)]
    async with listening(served, playing) as before, listening(served, paused) as other:
        await before.send("play")
        await other.send("play")
        await before.until(lambda: before.state.get("playing") and before.held.sum() > 6 * SAMPLE_RATE)
        for number in range(REPORTS):
            await tell(other, number)
        await other.send("pause")
        await other.until(lambda: other.state["phase"] == "paused" and not other.state["playing"])
        stood = other.state["position"]
        await other.send("too_much", id="calm")
        await other.until(lambda: other.of_type("done")[-1]["id"] == "calm")
        heard = before.head
        served.kill()
    served.start()
    async with listening(served, playing) as after, listening(served, paused) as other:
        await after.until(lambda: after.state.get("playing") and after.held.sum() > 3 * SAMPLE_RATE)
        assert -1.5 < (after.held.argmax() - heard) / SAMPLE_RATE < BUFFERED_SECONDS + 0.5
        assert likeness(before, after) > 30.0
        await other.until(lambda: other.state)
        assert other.state["phase"] == "paused"
        assert 0 <= stood - other.state["position"] < frames_of(0.1)
        assert other.state["report"]["valence"] == (REPORTS - 1) / 100
        told = {(paused["id"], number / 100) for number in range(REPORTS)}
        assert not told - await asyncio.to_thread(kept_reports, served.journal)
        await after.send("stop")
    resumed = await asyncio.to_thread(entries, served, playing, Kind.RESUMED)
    assert len(resumed) == 1
    assert 0 < resumed[0]["seconds"] < 30


async def test_one_that_cannot_be_taken_up_is_ended_and_the_others_go_on(served: House) -> None:
    damaged, strange, stopped, sound = [await open_session(served.url, goal="calm") for _ in range(4)]
    async with listening(served, stopped) as listener, listening(served, sound) as last:
        await listener.send("stop", id="stop")
        await last.send("report", id="last", valence=0, arousal=0)  # so all four are in the journal
        await last.until(lambda: last.of_type("done"))
        served.kill()
    with closing(sqlite3.connect(served.journal.removeprefix("sqlite:///"))) as journal:
        journal.execute("UPDATE checkpoints SET body = substr(body, 1, 99) WHERE session = ?", (damaged["id"],))
        journal.execute(
            "UPDATE checkpoints SET body = json_set(body, '$.level', 3) WHERE session = ?", (strange["id"],)
        )
        journal.commit()
    served.start()
    async with listening(served, sound) as listener:
        await listener.until(lambda: listener.state)
        for session, status in ((damaged, 404), (strange, 404), (stopped, 404), (sound, 200)):
            assert await asyncio.to_thread(asked, served, session) == status
        await listener.send("report", id="again", valence=0, arousal=0)
        await listener.until(lambda: listener.of_type("done"))
        for session in (damaged, strange):
            assert [body["reason"] for body in entries(served, session, Kind.ENDED)] == ["cannot_resume"]
        assert [body["reason"] for body in entries(served, stopped, Kind.ENDED)] == ["ended"]
        await listener.send("stop")


async def test_what_is_asked_under_an_id_is_answered_under_it(served: House) -> None:
    session = await open_session(served.url, goal="calm")
    async with listening(served, session) as listener:
        await listener.send("listen", id="l", lead_ms=200)
        await listener.send("report", id="r", valence=2, arousal=0)
        await listener.send("report", id=7, valence=0, arousal=0)
        await listener.send("dance", id="d")
        await listener.send("stop", id="s")
        await listener.until(lambda: len(listener.of_type("done")) == 2 and len(listener.of_type("error")) == 3)
        done = {message["id"]: message["kept"] for message in listener.of_type("done")}
        assert done == {"l": False, "s": True}
        assert [message.get("id") for message in listener.of_type("error")] == ["r", None, "d"]


async def test_a_journal_that_is_locked_keeps_nobody_from_playing_and_is_asked_again(served: House) -> None:
    session = await open_session(served.url, goal="calm")
    async with listening(served, session) as listener:
        await listener.send("report", id="r", valence=0, arousal=0)
        await listener.until(lambda: listener.of_type("done"))
    served.kill()
    with closing(sqlite3.connect(served.journal.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        served.start()
        deadline = time.monotonic() + 30
        while await asyncio.to_thread(ask, served) is None:
            assert time.monotonic() < deadline
        assert await asyncio.to_thread(asked, served, session) == 404
        fresh = await open_session(served.url, goal="calm")
        other.rollback()
    async with listening(served, fresh) as listener, listening(served, session) as resumed:
        await resumed.until(lambda: resumed.state)
        await listener.send("report", id="r", valence=0, arousal=0)
        await listener.until(lambda: listener.of_type("done"))
        assert await asyncio.to_thread(entries, served, fresh, Kind.RESUMED) == []
        for each in (listener, resumed):
            await each.send("stop")


def asked(served: House, session: Message) -> int:
    """The status with which the server answers for a session."""
    return httpx.get(f"{served.url}api/sessions/{session['id']}").status_code


def ask(served: House) -> Message | None:
    """How it is; None where it does not answer yet."""
    try:
        found: Message = httpx.get(f"{served.url}healthz", timeout=5).json()
    except httpx.TransportError:
        return None
    return found
