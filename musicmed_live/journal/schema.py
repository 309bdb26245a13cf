"""The journal's tables, and the steps by which a database of an older version becomes one of this."""

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    column,
    insert,
    inspect,
    select,
    table,
    text,
    update,
)

from musicmed_live.errors import InvalidInput

SCHEMA = table("schema", column("version", Integer))
SESSIONS = table(
    "sessions",
    column("id", String),
    column("patient", String),
    column("opened_at", Float(53)),  # seconds since 1970, UTC, as all times are
    column("ended_at", Float(53)),
)
ENTRIES = table(
    "entries",
    column("number", BigInteger),  # in the order in which they were written
    column("session", String),
    column("at", Float(53)),
    column("position", BigInteger),
    column("kind", String),
    column("body", Text),  # JSON
)

CHECKPOINTS = table(
    "checkpoints",
    column("session", String),
    column("owner", String),
    column("at", Float(53)),
    column("position", BigInteger),
    column("body", Text),
)

_LOCK = 0x6D75736A  # of PostgreSQL, for as long as tables are made or changed; any number that nobody else uses


def _begin(connection: Connection) -> None:
    """Version 1: sessions, and what happened in them."""
    tables = MetaData()
    Table("schema", tables, Column("version", Integer, nullable=False))
    sessions = Table(
        "sessions",
        tables,
        Column("id", String(64), primary_key=True),
        Column("patient", String(64), nullable=False, index=True),
        Column("opened_at", Float(53), nullable=False, index=True),
        Column("ended_at", Float(53)),
    )
    entries = Table(
        "entries",
        tables,
        Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("session", ForeignKey(sessions.c.id, ondelete="CASCADE"), nullable=False),
        Column("at", Float(53), nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("kind", String(16), nullable=False),
        Column("body", Text, nullable=False),
    )
    Index("entries_of_session", entries.c.session, entries.c.number)
    tables.create_all(connection)
    connection.execute(insert(SCHEMA).values(version=0))


def _keep_checkpoints(connection: Connection) -> None:
    """Version 2: where each open session is, so that another process can go on from there."""
    tables = MetaData()
    sessions = Table("sessions", tables, Column("id", String(64), primary_key=True))
    Table(
        "checkpoints",
        tables,
        Column("session", ForeignKey(sessions.c.id, ondelete="CASCADE"), primary_key=True),
        Column("owner", String(255), nullable=False),
        Column("at", Float(53), nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("body", Text, nullable=False),
    ).create(connection)


# A step is never changed once it was released: what comes later is another step. The version is their number.
STEPS: tuple[Callable[[Connection], None], ...] = (_begin, _keep_checkpoints)


def version(connection: Connection) -> int:
    """How many steps the database has gone; 0 for an empty one. Raises `InvalidInput` if it is of a newer version."""
    if not inspect(connection).has_table("schema"):
        return 0
    found = connection.execute(select(SCHEMA.c.version)).scalar_one()
    if found > len(STEPS):
        raise InvalidInput(
            f"--journal: it is of version {found}, and this musicmed-live knows those up to {len(STEPS)}; update "
            "musicmed-live, or name another journal",
            "journal",
        )
    return int(found)


def bring_up_to_date(connection: Connection) -> None:
    """Take the steps that are left, within the transaction that `connection` is in, which writes."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    for step in STEPS[version(connection) :]:
        step(connection)
    connection.execute(update(SCHEMA).values(version=len(STEPS)))
