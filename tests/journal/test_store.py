"""A journal in SQLite and in PostgreSQL: what is written comes back, and what is forgotten is gone."""

import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.journal import database, schema
from musicmed_live.journal.entries import RESUMABLE_SECONDS, Checkpoint, Entry, Kind, Sitting
from musicmed_live.journal.store import Journal
from tests.journal.postgresql import connect
from tests.journal.stories import ANNA, NOON, done, entry, opened, story

BERT = "fedcba9876543210fedcba9876543210"


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(f"sqlite:///{file_of(tmp_path)}")) as found:
        yield found


def test_a_session_comes_back_as_it_was_written(journal: Journal, address: str) -> None:
    told = story()
    assert journal.write(told[:40]) == set()
    assert journal.write(told[40:]) == set()
    with closing(Journal(address)) as again:
        assert again.entries(ANNA) == told
        assert again.sessions() == [Sitting(ANNA, "anna", NOON, told[-1].at)]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    position=st.integers(0, 2**62),
    at=st.floats(0, 1e11),
    words=st.dictionaries(st.text(), st.text() | st.integers() | st.floats(allow_nan=False) | st.none(), max_size=3),
)
def test_whatever_an_entry_holds_comes_back(
    journal: Journal, position: int, at: float, words: dict[str, object]
) -> None:
    journal.forget("anna")
    line = Entry(ANNA, at, position, Kind.EVENT, words)
    journal.write([entry(0, Kind.OPENED, opened()), line])
    assert journal.entries(ANNA)[1] == line


def test_sessions_are_listed_the_newest_first_and_of_one_patient_alone(journal: Journal) -> None:
    for seconds, (session, patient) in enumerate([("a", "anna"), ("b", "bert"), ("c", "anna")]):
        journal.write([entry(seconds, Kind.OPENED, opened(patient), session)])
    assert [(sitting.id, sitting.patient) for sitting in journal.sessions()] == [
        ("c", "anna"),
        ("b", "bert"),
        ("a", "anna"),
    ]
    assert [sitting.id for sitting in journal.sessions("anna")] == ["c", "a"]
    assert journal.sessions("Anna") == []
    assert all(sitting.ended_at is None for sitting in journal.sessions())


def test_a_session_is_found_by_the_beginning_of_its_id(journal: Journal) -> None:
    journal.write([entry(0, Kind.OPENED, opened(), session) for session in ("abc1", "abc2", "b%_1")])
    assert journal.find("abc1").id == "abc1"
    assert journal.find("b").id == "b%_1"
    with pytest.raises(InvalidInput, match="several"):
        journal.find("abc")
    for stranger in ("", "x", "%", "_bc1", "ABC1", "abc11", "'; DROP TABLE sessions; --"):
        with pytest.raises(InvalidInput, match="none whose id begins"):
            journal.find(stranger)


def test_a_batch_is_written_whole_or_not_at_all(journal: Journal) -> None:
    journal.write([entry(0, Kind.OPENED, opened())])
    unwritable = Entry(ANNA, NOON, 2**70, Kind.EVENT, {})
    with pytest.raises((CannotServe, OverflowError)):
        journal.write([done(1, "play"), unwritable])
    assert len(journal.entries(ANNA)) == 1


def test_who_is_forgotten_is_gone_and_nobody_else(journal: Journal) -> None:
    journal.write(story())
    journal.write(story(minutes=1, session=BERT, patient="bert"))
    assert journal.forget("anna") == 1
    assert journal.sessions() == [Sitting(BERT, "bert", NOON, NOON + 60)]
    assert journal.entries(ANNA) == []
    assert len(journal.entries(BERT)) == len(story(minutes=1))
    assert journal.forget("anna") == 0


def test_what_still_comes_of_a_session_that_was_forgotten_is_not_kept(journal: Journal) -> None:
    journal.write([entry(0, Kind.OPENED, opened())])
    journal.forget("anna")
    journal.write([entry(0, Kind.OPENED, opened("bert"), BERT)])
    assert journal.write([done(1, "play"), entry(1, Kind.EVENT, {}, BERT)]) == {ANNA}
    assert len(journal.entries(BERT)) == 2
    assert journal.entries(ANNA) == []


def test_what_is_too_old_is_forgotten(journal: Journal) -> None:
    journal.write([entry(0, Kind.OPENED, opened()), entry(100, Kind.OPENED, opened(), BERT), done(1000, "play")])
    assert journal.forget_before(NOON + 100) == 1
    assert [sitting.id for sitting in journal.sessions()] == [BERT]


def test_nothing_that_was_forgotten_is_left_in_the_file(sqlite: Journal, tmp_path: Path) -> None:
    sqlite.write(story(patient="anna-sophie-k"))
    sqlite.write(story(minutes=1, session=BERT, patient="bert"))
    sqlite.forget("anna-sophie-k")
    sqlite.close()
    left = b"".join(path.read_bytes() for path in file_of(tmp_path).parent.iterdir())
    assert b"bert" in left
    assert b"anna-sophie-k" not in left
    assert ANNA.encode() not in left


def test_only_its_owner_may_read_it(sqlite: Journal, tmp_path: Path) -> None:
    sqlite.write(story(minutes=1))
    folder = file_of(tmp_path).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_while_a_session_is_written_others_can_read_and_nobody_else_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.01)
    with closing(Journal(f"sqlite:///{file_of(tmp_path)}")) as journal:
        journal.write([entry(0, Kind.OPENED, opened())])
        with database.transaction(journal._engine, writes=True):
            assert [sitting.id for sitting in journal.sessions()] == [ANNA]
            with pytest.raises(CannotServe, match="locked"):
                journal.write([done(1, "play")])


def test_two_servers_write_the_same_journal(journal: Journal, address: str) -> None:
    with closing(Journal(address)) as other:
        journal.write([entry(0, Kind.OPENED, opened())])
        other.write([entry(0, Kind.OPENED, opened("bert"), BERT)])
        journal.write([done(1, "play")])
        assert [len(other.entries(session)) for session in (ANNA, BERT)] == [2, 1]


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(
    journal: Journal, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write(story(minutes=1))
    with monkeypatch.context() as older:
        older.setattr(schema, "STEPS", ())
        with closing(Journal(address)) as old, pytest.raises(InvalidInput, match=r"version 2.*up to 0; update"):
            old.prepare()
    assert len(journal.entries(ANNA)) == len(story(minutes=1))


def test_an_older_journal_is_brought_up_to_date_once(
    journal: Journal, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write(story(minutes=1))
    step = "ALTER TABLE sessions ADD COLUMN ward TEXT"
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, lambda connection: connection.exec_driver_sql(step)))
    for _ in range(2):
        with closing(Journal(address)) as newer:
            assert newer.entries(ANNA) == story(minutes=1)


def test_a_step_that_fails_leaves_the_journal_as_it_was(
    journal: Journal, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write(story(minutes=1))
    added, broken = "ALTER TABLE sessions ADD COLUMN ward TEXT", "no SQL"
    with monkeypatch.context() as newer:
        steps = (lambda c: c.exec_driver_sql(added), lambda c: c.exec_driver_sql(broken))
        newer.setattr(schema, "STEPS", (*schema.STEPS, *steps))
        with closing(Journal(address)) as broken_off, pytest.raises(CannotServe, match="syntax error"):
            broken_off.prepare()
    with closing(Journal(address)) as again:
        assert again.entries(ANNA) == story(minutes=1)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "none",
            "journal.sqlite",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:///a?mode=memory",
            "sqlite://host/a",
        ),
        *("postgresql://", "postgresql://host", "mysql://host/a", "postgresql+psycopg2://host/a", "http://host/a"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match=r"--journal: .* is not sqlite:///FILE or postgresql://USER@HOST/NAME"):
        Journal(address)


def test_no_password_is_ever_told() -> None:
    with pytest.raises(InvalidInput) as refused:
        Journal("mysql://anna:geheim@host/a")
    journal = Journal("postgresql://anna:geheim@127.0.0.1:1/a")
    with pytest.raises(CannotServe) as gone:
        journal.prepare()
    for words in (str(refused.value), str(gone.value), journal.address):
        assert "geheim" not in words
        assert "***" in words
    assert str(gone.value).startswith("the journal postgresql://anna:***@127.0.0.1:1/a ")
    assert "geheim" not in Journal("postgresql://127.0.0.1:1/a?password=geheim").address
    with pytest.raises(InvalidInput) as unreadable:
        Journal("postgresql://anna:geheim@host:port/a")
    assert "geheim" not in str(unreadable.value)


def test_what_is_no_journal_is_refused_and_left_alone(sqlite: Journal, tmp_path: Path) -> None:
    file_of(tmp_path).parent.mkdir()
    file_of(tmp_path).write_text("a letter to somebody\n" * 50)
    with pytest.raises(InvalidInput, match="damaged or no journal; move it away"):
        sqlite.prepare()
    assert file_of(tmp_path).read_text() == "a letter to somebody\n" * 50


def test_a_locked_journal_is_told_of_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.01)
    with closing(Journal(f"sqlite:///{file_of(tmp_path)}")) as impatient:
        impatient.prepare()
        with locked(file_of(tmp_path)), pytest.raises(CannotServe) as fault:
            impatient.write(story(minutes=1))
        impatient.write(story(minutes=1))
        assert impatient.entries(ANNA) == story(minutes=1)
    assert re.fullmatch(
        r"the journal sqlite:///[^\n]* is locked by another program; end that program", str(fault.value)
    )


def test_a_locked_table_is_not_waited_for(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.01)
    with connect(server.format("postgres")) as connection:
        connection.execute("CREATE DATABASE locked")
    with closing(Journal(server.format("locked"))) as impatient, connect(server.format("locked")) as other:
        impatient.write(story(minutes=1))
        other.execute("BEGIN; LOCK TABLE sessions, entries")
        with pytest.raises(CannotServe, match="is locked by another program; end that program"):
            impatient.entries(ANNA)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While another program writes and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_full_disk_is_told_of_in_one_sentence(sqlite: Journal) -> None:
    sqlite.write([entry(0, Kind.OPENED, opened())])
    with sqlite._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")  # of this connection, which the pool keeps
    with pytest.raises(CannotServe, match="is on a disk that is full; make room there"):
        sqlite.write(story()[1:])
    assert len(sqlite.entries(ANNA)) == 1


def test_a_folder_that_cannot_be_made_is_told_of_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotServe, match="the journal sqlite:///"):
        Journal(f"sqlite:///{tmp_path}/file/journal.sqlite").prepare()


def test_a_server_that_is_not_there_is_told_of_in_one_sentence() -> None:
    with pytest.raises(CannotServe) as fault:
        Journal("postgresql://anna@127.0.0.1:1/a").prepare()
    assert "\n" not in str(fault.value)
    assert "onnection" in str(fault.value)


HERE, THERE = "ward7:8765", "ward8:8765"


def checkpoint(seconds: float, session: str = ANNA, owner: str = HERE, body: str = "where it is") -> Checkpoint:
    return Checkpoint(session, owner, NOON + seconds, round(48_000 * seconds), body)


def begun(session: str = ANNA, patient: str = "anna", seconds: float = 0.0) -> Entry:
    return entry(seconds, Kind.OPENED, opened(patient), session)


def test_of_each_session_there_is_the_last_checkpoint(journal: Journal) -> None:
    journal.write([begun(), begun(BERT, "bert")], [checkpoint(1), checkpoint(1, BERT)])
    journal.write([], [checkpoint(2)])
    assert journal.take_up(HERE, NOON + 3) == [checkpoint(2), checkpoint(1, BERT)]
    assert journal.take_up(HERE, NOON + 3) == [checkpoint(2), checkpoint(1, BERT)], "who was killed again comes again"


def test_nobody_takes_up_what_another_server_plays(journal: Journal, address: str) -> None:
    journal.write([begun(), begun(BERT, "bert")], [checkpoint(1), checkpoint(1, BERT, THERE)])
    with closing(Journal(address)) as other:
        assert other.take_up(THERE, NOON + 2) == [checkpoint(1, BERT, THERE)]
    assert journal.take_up(HERE, NOON + 2) == [checkpoint(1)]
    assert all(sitting.ended_at is None for sitting in journal.sessions())


def test_what_nobody_has_played_for_long_is_lost_whoever_had_played_it(journal: Journal) -> None:
    journal.write([begun(), begun(BERT, "bert"), begun("c", "carl")], [checkpoint(60), checkpoint(90, BERT, THERE)])
    assert journal.take_up(HERE, NOON + RESUMABLE_SECONDS + 91) == []
    ends = {sitting.id: sitting.ended_at for sitting in journal.sessions()}
    assert ends == {ANNA: NOON + 60, BERT: NOON + 90, "c": NOON}, "when it was seen last"
    last = journal.entries(ANNA)[-1]
    assert (last.kind, last.body, last.position) == (Kind.ENDED, {"reason": "lost"}, 60 * 48_000)


def test_one_that_has_just_begun_is_left_alone(journal: Journal) -> None:
    journal.write([begun()])  # its first checkpoint is on its way
    assert journal.take_up(THERE, NOON + 5) == []
    assert journal.find(ANNA).ended_at is None


def test_one_that_was_fading_out_has_ended(journal: Journal) -> None:
    journal.write([begun()], [checkpoint(30, body="")])
    assert journal.take_up(HERE, NOON + 31) == []
    assert journal.entries(ANNA)[-1].body == {"reason": "ended"}
    assert journal.find(ANNA).ended_at == NOON + 30


@pytest.mark.parametrize(("reason", "goes_on"), [("ended", False), ("deleted", False), ("server_closed", True)])
def test_only_what_a_closing_server_cut_off_goes_on_after_its_end(journal: Journal, reason: str, goes_on: bool) -> None:
    journal.write([begun()], [checkpoint(5)])
    journal.write([entry(6, Kind.ENDED, {"reason": reason})])
    assert journal.find(ANNA).ended_at == NOON + 6
    assert journal.take_up(HERE, NOON + 8) == ([checkpoint(5)] if goes_on else [])
    if goes_on:
        journal.write([entry(8, Kind.RESUMED, {"seconds": 2.0})])
        assert journal.find(ANNA).ended_at is None


def test_what_a_closing_server_cut_off_long_ago_has_ended_then(journal: Journal) -> None:
    journal.write([begun()], [checkpoint(5)])
    journal.write([entry(6, Kind.ENDED, {"reason": "server_closed"})])
    assert journal.take_up(HERE, NOON + RESUMABLE_SECONDS + 7) == []
    assert journal.find(ANNA).ended_at == NOON + 6
    assert len(journal.entries(ANNA)) == 2


def test_the_checkpoint_of_a_session_that_was_forgotten_is_gone_and_stays_away(journal: Journal) -> None:
    journal.write([begun()], [checkpoint(5)])
    journal.forget("anna")
    journal.write([], [checkpoint(6)])
    assert journal.take_up(HERE, NOON + 7) == []
