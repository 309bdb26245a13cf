"""The one writer: entries are on the disk soon, and whatever is wrong with that is nobody else's affair."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from musicmed_live.errors import CannotServe
from musicmed_live.journal import writer
from musicmed_live.journal.entries import Checkpoint, Entry, Kind
from musicmed_live.journal.store import Journal
from musicmed_live.journal.writer import ROOM, ROOM_FOR_SUMMARIES, Writer
from tests.journal.postgresql import connect
from tests.journal.stories import ANNA, NOON, done, entry, opened, reading, story

FOR_EVER = 36_500
REPORT = done(1, "report", valence=0.1, arousal=0.2)
SUMMARY = entry(1, Kind.READING, reading(70.0, 1.0))


class Ailing(Journal):
    """A journal that cannot be written while it is `ill`."""

    ill = False
    tries = 0
    tried = threading.Event()

    def tried_since(self, before: int) -> bool:
        return self.tries > before

    def write(self, entries: Sequence[Entry], checkpoints: Sequence[Checkpoint] = ()) -> set[str]:
        self.tries += 1
        self.tried.set()
        if self.ill:
            raise CannotServe("the journal is on a disk that is full; make room there")
        return super().write(entries, checkpoints)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ailing]:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    with closing(Ailing(f"sqlite:///{tmp_path}/journal.sqlite")) as found:
        found.prepare()
        yield found


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.005)


def test_what_is_put_is_written_while_the_session_goes_on(journal: Ailing) -> None:
    with Writer(journal, FOR_EVER) as writes:
        writes.put(entry(0, Kind.OPENED, opened()))
        writes.put(REPORT)
        until(lambda: len(journal.entries(ANNA)) == 2)
        assert writes.health() == {"writing": True, "reason": None, "waiting": 0, "lost": 0}


def test_everything_is_written_before_it_ends_and_in_order(journal: Ailing) -> None:
    with Writer(journal, FOR_EVER) as writes:
        for line in story():
            writes.put(line)
    assert journal.entries(ANNA) == story()
    assert journal.tries < len(story()) / 2, "several go into one transaction"


def test_what_cannot_be_written_waits_and_is_told_once(journal: Ailing, caplog: pytest.LogCaptureFixture) -> None:
    journal.ill = True
    with Writer(journal, FOR_EVER) as writes:
        for line in story(minutes=1):
            writes.put(line)
        until(lambda: journal.tries > 3)
        health = writes.health()
        assert not health["writing"]
        assert health["reason"] == "the journal is on a disk that is full; make room there"
        journal.ill = False
        until(lambda: writes.health()["writing"])
        until(lambda: len(journal.entries(ANNA)) == len(story(minutes=1)))
        assert writes.health()["lost"] == 0
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2
    assert told[0].endswith("the music plays on, and it is tried again")
    assert told[1].endswith("is written again")


def test_a_lock_of_another_program_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr("musicmed_live.journal.database.LOCK_SECONDS", 0.01)
    path = tmp_path / "journal.sqlite"
    with closing(Journal(f"sqlite:///{path}")) as journal:
        journal.prepare()
        with closing(sqlite3.connect(path, isolation_level=None)) as other, Writer(journal, FOR_EVER) as writes:
            other.execute("BEGIN IMMEDIATE")
            writes.put(entry(0, Kind.OPENED, opened()))
            until(lambda: "is locked by another program" in (writes.health()["reason"] or ""))
            other.execute("ROLLBACK")
            until(lambda: writes.health()["writing"] and journal.sessions())


def test_without_room_summaries_go_first_and_reports_last(journal: Ailing, caplog: pytest.LogCaptureFixture) -> None:
    writes = Writer(journal, FOR_EVER)  # whose thread has not begun: nothing is taken away
    for _ in range(ROOM_FOR_SUMMARIES + 5):
        writes.put(SUMMARY)
    assert writes.health() == {"writing": False, "reason": None, "waiting": ROOM_FOR_SUMMARIES, "lost": 5}
    for _ in range(ROOM - ROOM_FOR_SUMMARIES):
        writes.put(REPORT)
    assert writes.health()["lost"] == 5
    assert writes.health()["waiting"] == ROOM
    writes.put(REPORT)
    assert writes.health()["lost"] == 6
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_the_end_does_not_wait_for_a_database_for_ever(journal: Ailing, caplog: pytest.LogCaptureFixture) -> None:
    journal.ill = True
    with Writer(journal, FOR_EVER) as writes:
        for line in story(minutes=1):
            writes.put(line)
    assert writes.health()["lost"] == len(story(minutes=1))
    assert "cannot keep everything any more" in caplog.text


def test_what_is_too_old_is_forgotten_at_the_start(journal: Ailing) -> None:
    now = time.time()
    day = 86_400.0
    for session, days in (("old", 31), ("young", 29)):
        journal.write([entry(now - NOON - days * day, Kind.OPENED, opened(), session)])
    with Writer(journal, 30):
        until(lambda: len(journal.sessions()) == 1)
    assert [sitting.id for sitting in journal.sessions()] == ["young"]


def test_entries_of_a_patient_who_was_forgotten_stop_nobody(journal: Ailing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Writer(journal, FOR_EVER) as writes:
        writes.put(entry(0, Kind.OPENED, opened()))
        writes.put(entry(0, Kind.OPENED, opened("bert"), "b"))
        until(lambda: len(journal.sessions()) == 2)
        journal.forget("anna")
        for event in ("play", "pause"):
            before = journal.tries
            writes.put(REPORT)
            writes.put(entry(1, Kind.EVENT, {"event": event, "by": "patient"}, "b"))
            until(partial(journal.tried_since, before))
        until(lambda: len(journal.entries("b")) == 3)
        assert writes.health() == {"writing": True, "reason": None, "waiting": 0, "lost": 0}
    assert journal.entries(ANNA) == []
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"session {ANNA[:8]} was forgotten: what else happens in it is not kept"], "once, and no whole id"


def test_a_database_server_that_drops_its_clients_is_connected_to_again(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    with connect(server.format("postgres")) as chief:
        chief.execute("CREATE DATABASE dropped")
        with closing(Journal(server.format("dropped"))) as journal, Writer(journal, FOR_EVER) as writes:
            writes.put(entry(0, Kind.OPENED, opened()))
            until(journal.sessions)
            chief.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'dropped'")
            writes.put(REPORT)
            until(lambda: writes.health()["waiting"] == 0 and writes.health()["writing"])
            with closing(Journal(server.format("dropped"))) as other:
                until(lambda: len(other.entries(ANNA)) == 2)
            assert writes.health()["lost"] == 0


def test_who_asks_is_told_when_all_before_is_on_the_disk(journal: Ailing, tmp_path: Path) -> None:
    written = threading.Event()
    found: list[int] = []

    def look() -> None:
        with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as other:
            found.append(other.execute("SELECT count(*) FROM entries").fetchone()[0])
        written.set()

    with Writer(journal, FOR_EVER) as writes:
        writes.put(entry(0, Kind.OPENED, opened()))
        for _ in range(20):
            writes.put(REPORT)
        writes.when_written(look)
        assert written.wait(20)
    assert found == [21]


def test_nobody_is_told_before_the_database_is_well_again(journal: Ailing) -> None:
    written = threading.Event()
    with Writer(journal, FOR_EVER) as writes:
        writes.put(entry(0, Kind.OPENED, opened()))
        until(lambda: journal.tries)
        journal.ill = True
        writes.put(REPORT)
        writes.when_written(written.set)
        until(lambda: writes.health()["reason"])
        assert not written.is_set()
        journal.ill = False
        assert written.wait(20)
    assert len(journal.entries(ANNA)) == 2


def test_a_checkpoint_is_on_the_disk_with_the_event_that_came_after_it(journal: Ailing) -> None:
    with Writer(journal, FOR_EVER) as writes:
        writes.put(entry(0, Kind.OPENED, opened()))
        written = threading.Event()
        for seconds in range(50):
            writes.keep(Checkpoint(ANNA, "here", NOON + seconds, seconds, "so far"))
        writes.put(REPORT)
        writes.when_written(written.set)
        assert written.wait(20)
        assert [found.position for found in journal.take_up("here", NOON + 60)] == [49]
        writes.keep(Checkpoint(ANNA, "here", NOON + 50, 50, "so far"))
        until(lambda: journal.take_up("here", NOON + 60)[0].position == 50)


def test_what_there_is_no_room_for_is_told(journal: Ailing) -> None:
    writes = Writer(journal, FOR_EVER)
    assert all(writes.put(REPORT) for _ in range(ROOM))
    assert not writes.put(REPORT)
