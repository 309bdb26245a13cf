"""A journal in a database: entries in, sessions out. The calls block: not for an event loop."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from musicmed_live.errors import InvalidInput, shown
from musicmed_live.journal import schema
from musicmed_live.journal.database import empty_log, no_journal, open_engine, parse_address, shown_address, transaction
from musicmed_live.journal.entries import RESUMABLE_SECONDS, Checkpoint, Entry, Kind, Sitting
from musicmed_live.journal.schema import CHECKPOINTS, ENTRIES, SESSIONS

LOST, ENDED, SERVER_CLOSED = "lost", "ended", "server_closed"  # how a session came to its end


class Journal:
    """The journal at an address.

    Every call but the constructor raises `CannotServe` where the database cannot be had for now (locked, full, gone),
    and `InvalidInput` where it is no journal's, or one of a newer version.
    """

    def __init__(self, address: str, makes: bool = True) -> None:
        """`address` is a SQLAlchemy URL of SQLite or PostgreSQL. Raises `InvalidInput` for anything else.

        Unless it `makes` one, there has to be a journal there: every call raises `InvalidInput` where there is none.
        """
        self._engine = open_engine(parse_address(address), makes)
        self._makes = makes
        self._current = False  # it is known to be of this version

    @property
    def address(self) -> str:
        """Where it is, without a password."""
        return shown_address(self._engine.url)

    def close(self) -> None:
        """Let go of its connections."""
        self._engine.dispose()

    def prepare(self) -> None:
        """Make the tables, or bring those of an older version up to date."""
        if self._current:
            return
        with transaction(self._engine, writes=False) as connection:
            found = schema.version(connection)
        if not found and not self._makes:
            raise no_journal(self._engine.url)
        self._current = found == len(schema.STEPS)
        if not self._current:
            with transaction(self._engine, writes=True) as connection:
                schema.bring_up_to_date(connection)
            self._current = True

    def write(self, entries: Sequence[Entry], checkpoints: Sequence[Checkpoint] = ()) -> set[str]:
        """Write all of them, or none; the sessions that were forgotten, of which no entry is kept."""
        with self._transaction(writes=True) as connection:
            known = _known(connection, {entry.session for entry in entries})
            known |= _open(connection, [e for e in entries if e.kind is Kind.OPENED and e.session not in known])
            kept = [entry for entry in entries if entry.session in known]
            if kept:
                connection.execute(insert(ENTRIES), [_row(entry) for entry in kept])
            _keep(connection, checkpoints)
            for entry in kept:
                _begin_or_end(connection, entry)
        return {entry.session for entry in entries} - known

    def take_up(self, owner: str, now: float) -> list[Checkpoint]:
        """Where the sessions are that `owner` has played within `RESUMABLE_SECONDS` before `now`, and that may go on.

        Those of other servers stay theirs. What nobody has played for longer, or was fading out, is ended.
        """
        open_ones = select(SESSIONS.c.id, SESSIONS.c.opened_at, SESSIONS.c.ended_at, CHECKPOINTS)
        open_ones = open_ones.join_from(SESSIONS, CHECKPOINTS, SESSIONS.c.id == CHECKPOINTS.c.session, isouter=True)
        wanted = open_ones.where(SESSIONS.c.ended_at.is_(None) | CHECKPOINTS.c.session.is_not(None))
        found = []
        with self._transaction(writes=True) as connection:
            for row in connection.execute(wanted.order_by(SESSIONS.c.opened_at)).all():
                seen_at = row.opened_at if row.session is None else row.at
                if seen_at < now - RESUMABLE_SECONDS:
                    _close(connection, row, LOST)
                elif row.owner == owner and not row.body:
                    _close(connection, row, ENDED)
                elif row.owner == owner:
                    found.append(Checkpoint(row.session, row.owner, row.at, row.position, row.body))
        return found

    def sessions(self, patient: str | None = None) -> list[Sitting]:
        """The sessions, of one patient or of all, the newest first."""
        wanted = select(SESSIONS).order_by(SESSIONS.c.opened_at.desc())
        if patient is not None:
            wanted = wanted.where(SESSIONS.c.patient == patient)
        with self._transaction() as connection:
            return [_sitting(row) for row in connection.execute(wanted)]

    def find(self, beginning: str) -> Sitting:
        """The session whose id begins so. Raises `InvalidInput` where none does, or several do."""
        # LIKE would not tell capitals apart in SQLite.
        wanted = select(SESSIONS).where(func.substr(SESSIONS.c.id, 1, len(beginning)) == beginning).limit(2)
        with self._transaction() as connection:
            found = [_sitting(row) for row in connection.execute(wanted)]
        if not beginning or not found:
            raise InvalidInput(
                f"session: the journal has none whose id begins with {shown(beginning)}; `musicmed-live journal list` "
                "shows those that it has",
                "id",
                "unknown_session",
            )
        if len(found) > 1:
            raise InvalidInput(f"session: several ids begin with {shown(beginning)}; give more of it", "id")
        return found[0]

    def opening(self, session: str) -> Mapping[str, Any]:
        """What was asked of the session of that id: the body of its first entry; empty where it is not there."""
        wanted = select(ENTRIES.c.body).where(ENTRIES.c.session == session).order_by(ENTRIES.c.number).limit(1)
        with self._transaction() as connection:
            body = connection.scalar(wanted)
        return {} if body is None else cast(dict[str, Any], json.loads(body))

    def entries(self, session: str) -> list[Entry]:
        """What happened in the session of that id, in order."""
        wanted = select(ENTRIES).where(ENTRIES.c.session == session).order_by(ENTRIES.c.number)
        with self._transaction() as connection:
            return [
                Entry(row.session, row.at, row.position, Kind(row.kind), json.loads(row.body))
                for row in connection.execute(wanted)
            ]

    def forget(self, patient: str) -> int:
        """Delete all sessions of a patient; how many those were."""
        with self._transaction(writes=True) as connection:
            found = connection.execute(delete(SESSIONS).where(SESSIONS.c.patient == patient)).rowcount
        empty_log(self._engine)
        return found

    def forget_before(self, when: float) -> int:
        """Delete the sessions that were opened before `when`, in seconds since 1970; how many those were."""
        with self._transaction(writes=True) as connection:
            found = connection.execute(delete(SESSIONS).where(SESSIONS.c.opened_at < when)).rowcount
        if found:
            empty_log(self._engine)
        return found

    @contextmanager
    def _transaction(self, writes: bool = False) -> Iterator[Connection]:
        self.prepare()
        with transaction(self._engine, writes) as connection:
            yield connection


def _known(connection: Connection, sessions: set[str]) -> set[str]:
    return set(connection.scalars(select(SESSIONS.c.id).where(SESSIONS.c.id.in_(sessions))))


def _open(connection: Connection, entries: Sequence[Entry]) -> set[str]:
    rows = [{"id": e.session, "patient": e.body["patient"], "opened_at": e.at, "ended_at": None} for e in entries]
    if rows:
        connection.execute(insert(SESSIONS), rows)
    return {entry.session for entry in entries}


def _keep(connection: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    """In place of the one before, of those sessions that are known."""
    known = _known(connection, {checkpoint.session for checkpoint in checkpoints})
    rows = [asdict(checkpoint) for checkpoint in checkpoints if checkpoint.session in known]
    if rows:
        sessions = [row["session"] for row in rows]
        connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.session.in_(sessions)))
        connection.execute(insert(CHECKPOINTS), rows)


def _begin_or_end(connection: Connection, entry: Entry) -> None:
    """What an entry says of its session's end. One that a closing server has cut off may still go on."""
    session = update(SESSIONS).where(SESSIONS.c.id == entry.session)
    match entry.kind:
        case Kind.ENDED:
            connection.execute(session.values(ended_at=entry.at))
            if entry.body["reason"] != SERVER_CLOSED:
                connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.session == entry.session))
        case Kind.RESUMED:
            connection.execute(session.values(ended_at=None))


def _close(connection: Connection, row: Row[tuple[object, ...]], reason: str) -> None:
    """End a session that will not go on, when it was played last, unless it has ended already."""
    if row.ended_at is None:
        at, position = (row.opened_at, 0) if row.session is None else (row.at, row.position)
        entry = Entry(row.id, at, position, Kind.ENDED, {"reason": reason})
        connection.execute(insert(ENTRIES), [_row(entry)])
        _begin_or_end(connection, entry)
    connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.session == row.id))


def _row(entry: Entry) -> dict[str, str | float | int]:
    return {
        "session": entry.session,
        "at": entry.at,
        "position": entry.position,
        "kind": entry.kind.value,
        "body": json.dumps(entry.body, separators=(",", ":")),
    }


def _sitting(row: Row[tuple[object, ...]]) -> Sitting:
    return Sitting(row.id, row.patient, row.opened_at, row.ended_at)
