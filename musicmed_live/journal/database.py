"""The database that a journal is in: its address, its connections, and what is wrong with it in one sentence."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from musicmed_live.errors import CannotServe, InvalidInput, MusicmedError

SQLITE, POSTGRESQL = "sqlite", "postgresql+psycopg"
ACCEPTED = "sqlite:///FILE or postgresql://USER@HOST/NAME"
LOCK_SECONDS = 5.0  # another program's lock is waited for so long,
STATEMENT_SECONDS = 10.0  # for a server that is busy,
CONNECT_SECONDS = 5  # and so long a server that does not answer
DEAD_SECONDS = 10  # a connection on which nothing is acknowledged for so long is given up

# For the life of a connection. FULL: what was written survives a power cut. What is deleted is overwritten.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")

_SECRETS = ("password", "sslpassword")  # of libpq, in an address
_NOT_ONE = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
_WORDS = {
    "SQLITE_BUSY": "is locked by another program; end that program",
    "SQLITE_LOCKED": "is locked by another program; end that program",
    "SQLITE_FULL": "is on a disk that is full; make room there",
    "SQLITE_READONLY": "must not be written; change the permissions of its file and folder",
    "SQLITE_CANTOPEN": "cannot be opened; look at the permissions of its file and folder",
    "53100": "is on a disk that is full; make room there",  # SQLSTATE disk_full
    "55P03": "is locked by another program; end that program",  # lock_not_available
    "57014": "does not answer in time; look at its load",  # query_canceled
}


def parse_address(text: str) -> URL:
    """A journal's address. Raises `InvalidInput` where it is none, or of a kind of database that is not supported."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidInput(f"--journal: that is not {ACCEPTED}", "journal") from None  # it may hold a password
    if url.drivername == "postgresql":
        url = url.set(drivername=POSTGRESQL)
    whole = url.database and (url.drivername == POSTGRESQL or not (url.host or url.query or url.database == ":memory:"))
    if url.drivername not in (SQLITE, POSTGRESQL) or not whole:
        raise InvalidInput(f"--journal: {shown_address(url)} is not {ACCEPTED}", "journal")
    return url


def check_place(text: str) -> None:
    """Raises `InvalidInput` where `text` is no journal's address, or of a file that cannot be one."""
    url = parse_address(text)
    path = Path(url.database or "")
    if url.drivername != SQLITE:
        return
    with suppress(PermissionError):  # it is told of when the journal is opened
        if path.is_dir():
            way_out = f"name a file in it, as sqlite:///{path / 'journal.sqlite'}"
            raise InvalidInput(f"--journal: {path} is a folder; {way_out}", "journal")
        if not path.parent.is_dir():
            raise InvalidInput(f"--journal: there is no folder {path.parent}; make it, or name another file", "journal")


def shown_address(url: URL) -> str:
    """An address as people write it, without its password."""
    shown = url.set(drivername="postgresql") if url.drivername == POSTGRESQL else url
    hidden = {name: "***" for name in url.query if name in _SECRETS}
    return shown.update_query_dict(hidden).render_as_string(hide_password=True)


def open_engine(url: URL, makes: bool) -> Engine:
    """What connects to `url`, and `makes` a file that is not there; nothing is connected yet.

    Raises `InvalidInput` where its driver is not installed.
    """
    if url.drivername == SQLITE:
        return _open_sqlite(url, makes)
    limits = f"-c lock_timeout={1000 * LOCK_SECONDS:.0f} -c statement_timeout={1000 * STATEMENT_SECONDS:.0f}"
    timeouts = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": 1000 * DEAD_SECONDS, "options": limits}
    try:
        return create_engine(url, connect_args=timeouts, hide_parameters=True)
    except ModuleNotFoundError as fault:
        raise InvalidInput(
            f"--journal: PostgreSQL needs {fault.name}: pip install 'musicmed-live[postgresql]'", "journal"
        ) from None


def no_journal(url: URL) -> InvalidInput:
    """There is none at `url`."""
    way_out = "name another one, or let `musicmed-live play` or `serve` make it"
    return InvalidInput(f"--journal: there is no journal at {shown_address(url)}; {way_out}", "journal")


def _open_sqlite(url: URL, makes: bool) -> Engine:
    engine = create_engine(url, connect_args={"timeout": LOCK_SECONDS}, hide_parameters=True)
    path = Path(url.database or "")

    @event.listens_for(engine, "do_connect")
    def make_file(*_: Any) -> None:
        """For its owner alone; SQLite gives the files beside it the same permissions."""
        if not makes and not path.exists():
            raise no_journal(url)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        _refuse_foreign(connection, shown_address(url))
        connection.isolation_level = None  # transactions are begun below: the module would not begin one for DDL
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        """Who writes takes the lock at once: a transaction that is raised to one later may fail without waiting."""
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _refuse_foreign(connection: sqlite3.Connection, address: str) -> None:
    """Another program's database is left as it is."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    if tables and [column[1] for column in connection.execute("PRAGMA table_info(schema)")] != ["version"]:
        raise InvalidInput(f"--journal: {address} is another program's database; name another file", "journal")


@contextmanager
def transaction(engine: Engine, writes: bool) -> Iterator[Connection]:
    """A transaction, committed at the end.

    Raises `CannotServe` where the database cannot be had for now, and `InvalidInput` where it is no journal's.
    """
    try:
        with engine.connect() as connection:
            connection = connection.execution_options(writes=writes)
            with connection.begin():
                yield connection
    except (SQLAlchemyError, OSError) as fault:
        raise _in_words(fault, shown_address(engine.url)) from fault


def empty_log(engine: Engine) -> None:
    """Leave no copy of what was deleted in SQLite's log. Where somebody is reading, the next writer does it."""
    if engine.dialect.name == SQLITE:
        with suppress(SQLAlchemyError, sqlite3.Error), closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _in_words(fault: SQLAlchemyError | OSError, address: str) -> MusicmedError:
    cause = fault.orig if isinstance(fault, DBAPIError) else fault
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    if code in _NOT_ONE:
        return InvalidInput(
            f"--journal: {address} is damaged or no journal; move it away, or name another one", "journal"
        )
    words = _WORDS.get(code) or f"cannot be used: {' '.join(str(cause).split())}"
    return CannotServe(f"the journal {address} {words}")
