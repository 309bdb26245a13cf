"""The journal of a real server: what clients do is in it, what they know is not, and a killed server had written it."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.listener import join, open_session, serving
from musicmed_live.journal.entries import Entry, Kind
from musicmed_live.journal.store import Journal
from musicmed_live.service.reports import default_address
from tests.service.conftest import Playing

REPORTS = 20


def entries(session: str, address: str = "") -> list[Entry]:
    with closing(Journal(address or default_address())) as journal:
        return journal.entries(session)


async def written(session: str, condition: Callable[[list[Entry]], Any]) -> list[Entry]:
    """The entries, as soon as they satisfy that."""
    async with asyncio.timeout(20):
        while not condition(found := await asyncio.to_thread(entries, session)):  # noqa: ASYNC110  # another process writes
            await asyncio.sleep(0.05)
    return found


def obeyed_and_heard(found: list[Entry]) -> bool:
    obeyed = any(entry.body.get("event") == "rules" for entry in found)
    return obeyed and any(entry.kind is Kind.CLIP for entry in found)


async def test_what_clients_do_is_written_with_their_roles(url: str, playing: Playing) -> None:
    async with playing(patient="anna-journal") as listener:
        session = listener.session["id"]
        async with join(url, listener.session, "therapist") as therapist:
            await listener.send("report", valence=0.2, arousal=0.3)
            await therapist.send("rules", step=0.1)
            await therapist.until(lambda: therapist.messages)
            found = await written(session, obeyed_and_heard)
    events = [(entry.body["event"], entry.body["by"]) for entry in found if entry.kind is Kind.EVENT]
    assert sorted(events) == [("play", "patient"), ("report", "patient"), ("rules", "therapist")]
    assert found[0].body["patient"] == "anna-journal"
    ended = await written(session, lambda found: found[-1].kind is Kind.ENDED)
    assert ended[-1].body["reason"] == "ended"


async def test_a_session_that_is_deleted_says_by_whom(url: str) -> None:
    session = await open_session(url, goal="calm")
    async with httpx.AsyncClient() as client:
        await client.delete(f"{url}api/sessions/{session['id']}")
    found = await written(session["id"], lambda found: found and found[-1].kind is Kind.ENDED)
    assert found[-1].body["reason"] == "deleted"
    assert {"event": "stop", "by": "api"} in [dict(entry.body) for entry in found]
    assert not any(entry.kind is Kind.CLIP for entry in found), "it was never heard"


async def test_no_token_is_ever_written(url: str) -> None:
    session = await open_session(url, goal="calm")
    await written(session["id"], lambda found: found)
    folder = Path(default_address().removeprefix("sqlite:///")).parent
    kept = b"".join(path.read_bytes() for path in folder.glob("journal.sqlite*"))
    assert session["id"].encode() in kept
    assert not [token for token in session["tokens"].values() if token.encode() in kept]


def test_healthz_tells_of_the_journal(url: str) -> None:
    told = httpx.get(f"{url}healthz").json()["journal"]
    assert (told["writing"], told["reason"], told["lost"]) == (True, None, 0)


async def test_a_server_that_is_killed_had_written_what_it_was_told(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/journal.sqlite"
    with serving("--journal", address) as (url, process):
        children = psutil.Process(process).children(recursive=True)
        session = await open_session(url, goal="calm", patient="anna")
        async with join(url, session) as listener:
            for number in range(REPORTS):
                await listener.send("report", valence=number / 100, arousal=0.5)
            await listener.until(lambda: (listener.state.get("report") or {}).get("valence") == (REPORTS - 1) / 100)
            await asyncio.sleep(0.1)
            os.kill(process, signal.SIGKILL)
    for child in children:
        child.terminate()  # those that do not see it
    reported = [e.body["valence"] for e in entries(session["id"], address) if e.body.get("event") == "report"]
    assert reported == [number / 100 for number in range(REPORTS)]
    with closing(Journal(address)) as journal:
        assert journal.find(session["id"]).ended_at is None
