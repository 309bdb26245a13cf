"""A journal in either kind of database."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from musicmed_live.journal.store import Journal
from tests.journal.postgresql import connect, postgresql

_NUMBERS = count()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server's address, with a gap for a database."""
    with postgresql() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that nobody has used."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state' / 'journal.sqlite'}"
    server: str = request.getfixturevalue("server")
    name = f"journal{next(_NUMBERS)}"
    with connect(server.format("postgres")) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.format(name)


@pytest.fixture
def journal(address: str) -> Iterator[Journal]:
    """A journal there."""
    with closing(Journal(address)) as found:
        yield found
