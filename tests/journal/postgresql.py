"""A PostgreSQL server for the tests: Debian's, in a folder of its own, on a socket in it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER = "musicmed"
INSTALLED = Path("/usr/lib/postgresql")
SETTINGS = ("-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=20")
START_SECONDS = 30.0


@contextmanager
def postgresql() -> Iterator[str]:
    """Its address, without a database."""
    programs = max(INSTALLED.glob("*/bin"), key=lambda found: int(found.parent.name))
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path has to be short
    if os.geteuid() == 0:  # as whom it refuses to run
        shutil.chown(folder, "nobody", "nogroup")
    _run(programs / "initdb", "--no-sync", "-A", "trust", "-U", USER, "-D", folder / "kept")
    command: list[str | Path] = [programs / "postgres", "-D", folder / "kept", "-k", folder, *SETTINGS]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log, user=_user()) as server:
        try:
            _wait(folder)
            yield f"postgresql://{USER}@/{{}}?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)  # at once, whoever is still connected
            server.wait(30)
            shutil.rmtree(folder)


def connect(address: str) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection of one's own to it."""
    return psycopg.connect(address, autocommit=True)


def _user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, user=_user(), cwd="/")
    assert done.returncode == 0, done.stderr


def _wait(folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connect(f"postgresql://{USER}@/postgres?host={folder}").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        else:
            return
