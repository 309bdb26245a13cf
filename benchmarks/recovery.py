"""What a killed server costs: how soon its sessions play on, whether reports are lost, whether the music is the same.

A real server plays 8 sessions to clients that connect again by themselves. It is killed (`kill -9`) and started again
by the same command, twice: while they listen, and as soon as 1,000 of their reports are acknowledged.

- `resume_s`: from the start of the new process until every session plays and every client is sent sound; the later.
- `lost_reports`: acknowledged ones that are not in the journal then.
- `same_music_db`: of what clients had been sent ahead before, and are sent anew: its power over that of the difference.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

import httpx
import numpy as np
import psutil
from websockets.exceptions import InvalidStatus

from benchmarks.listener import Listener, join, open_session
from benchmarks.report import print_figures, print_table
from musicmed_live.core.generator import SAMPLE_RATE, frames_of
from musicmed_live.journal.entries import Kind
from musicmed_live.journal.store import Journal

SESSIONS, REPORTS, RUNS = 8, 1000, 3
LEAD_MS = 8000
FADED_FRAMES = frames_of(0.6)  # a session that goes on fades in
RETRY_SECONDS = 0.25  # between attempts, as of the patient page: more would take the cores that the server needs
WARM_SECONDS, RESUME_SECONDS, REPORT_SECONDS = 90.0, 30.0, 120.0
MOODS = ("sad", "anxious", "happy", "tired")
BURST = 12  # reports of one client that are on their way at once

Report = tuple[str, float]  # the session's id, and the valence


class House:
    """A server that is started by the same command again and again, with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/"
        self.journal = f"sqlite:///{folder}/journal.sqlite"
        self._environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait."""
        options = ("--port", str(self._port), "--journal", self.journal)
        command = [sys.executable, "-m", "musicmed_live", "serve", *options]
        quiet = subprocess.DEVNULL
        self._server = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=self._environment)

    def kill(self) -> None:
        """End it at once, and see to it that nothing of it is left."""
        assert self._server is not None
        children = psutil.Process(self._server.pid).children(recursive=True)
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def wait_until_warm(self) -> None:
        """Return when nothing has to be loaded any more."""
        deadline = time.monotonic() + WARM_SECONDS
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}healthz", timeout=5).json()["warm"]:
                    return
            assert time.monotonic() < deadline, "the server does not get warm"
            time.sleep(0.1)


@contextmanager
def house() -> Iterator[House]:
    """A server that is not started yet; what is left of it in the end is killed."""
    with tempfile.TemporaryDirectory(prefix="recovery") as folder:
        served = House(Path(folder))
        try:
            yield served
        finally:
            served.kill()


@dataclass(frozen=True)
class Found:
    """What one run came to."""

    resume_s: float
    acknowledged: int
    lost_reports: int
    same_music_db: float  # the least of all sessions
    set_back_seconds: float  # from where the clients had heard it to where it went on, the most


@dataclass(frozen=True)
class Return:
    """A session that plays again, as its client sees it."""

    listener: Listener
    sounds_at: float  # by `time.monotonic`
    likeness_db: float
    set_back_seconds: float


async def rejoin(stack: AsyncExitStack, url: str, before: Listener, at: float) -> Return:
    """Connect as soon as there is somebody, and listen until there is enough to compare.

    `before` is the client whose server was gone from `at` on.
    """
    stopped = before.state["position"] / SAMPLE_RATE + at - before.state_at
    while True:
        try:
            listener = await stack.enter_async_context(join(url, before.session))
            break
        except (OSError, InvalidStatus):
            await asyncio.sleep(RETRY_SECONDS)
    await listener.send("listen", codec="pcm_s16le", lead_ms=LEAD_MS)
    await listener.until(lambda: listener.state.get("playing") and listener.arrivals, RESUME_SECONDS)
    sounds_at, position = time.monotonic(), listener.state["position"]
    await listener.until(lambda: listener.held.sum() > 5 * SAMPLE_RATE, RESUME_SECONDS)
    return Return(listener, sounds_at, likeness(before, listener), stopped - position / SAMPLE_RATE)


def likeness(before: Listener, after: Listener) -> float:
    """Power of what both were sent over that of the difference, in dB; NaN where there is nothing of the kind."""
    frames = min(len(before.held), len(after.held))
    both = before.held[:frames] & after.held[:frames]
    both[: int(after.held.argmax()) + FADED_FRAMES] = False
    if not both.any():
        return float("nan")
    old, new = (one.audio[:frames][both].astype(float) for one in (before, after))
    return float(10 * np.log10((old**2).mean() / max(((old - new) ** 2).mean(), 1e-3)))


async def begin(stack: AsyncExitStack, url: str, number: int) -> Listener:
    """A session that plays."""
    session = await open_session(url, start=MOODS[number % len(MOODS)], goal="calm", seed=number)
    listener = await stack.enter_async_context(join(url, session))
    await listener.send("listen", codec="pcm_s16le", lead_ms=LEAD_MS)
    await listener.send("play")
    await listener.until(lambda: listener.state.get("playing") and listener.held.sum() > 9 * SAMPLE_RATE)
    return listener


async def tell(listener: Listener, told: set[Report], enough: asyncio.Event) -> None:
    """Report again and again, each time something else; `told` gets what is acknowledged."""
    places = [round((i * 7919 % 20011 - 10005) / 10005, 6) for i in range(REPORTS)]  # as the journal writes them
    for number, valence in enumerate(places):
        await listener.send("report", id=str(number), valence=valence, arousal=0.3)
        if number % BURST == 0:
            await listener.until(lambda: len(listener.of_type("done")) >= number - BURST, RESUME_SECONDS)  # noqa: B023
        told |= {(listener.session["id"], places[int(m["id"])]) for m in listener.of_type("done") if m["kept"]}
        if len(told) >= REPORTS:
            enough.set()


async def tell_enough(listeners: Sequence[Listener]) -> set[Report]:
    """Let all of them report until enough is acknowledged; what that is."""
    told: set[Report] = set()
    enough = asyncio.Event()
    telling = [asyncio.create_task(tell(listener, told, enough)) for listener in listeners]
    async with asyncio.timeout(REPORT_SECONDS):
        await enough.wait()
    for task in telling:
        task.cancel()
    await asyncio.wait(telling)
    return told


async def recover(stack: AsyncExitStack, served: House, listeners: Sequence[Listener]) -> tuple[float, list[Return]]:
    """Kill the server and start it again: seconds until all play, and how."""
    killed_at = time.monotonic()
    served.kill()
    started_at = time.monotonic()
    served.start()
    returns = await asyncio.gather(*(rejoin(stack, served.url, before, killed_at) for before in listeners))
    return max(found.sounds_at for found in returns) - started_at, list(returns)


async def measure(served: House, sessions: int) -> Found:
    """One run."""
    served.start()
    await asyncio.to_thread(served.wait_until_warm)
    async with AsyncExitStack() as stack:
        listeners = [await begin(stack, served.url, number) for number in range(sessions)]
        first_s, returns = await recover(stack, served, listeners)
        told = await tell_enough([found.listener for found in returns])
        second_s, _ = await recover(stack, served, [found.listener for found in returns])
    return Found(
        max(first_s, second_s),
        len(told),
        len(told - kept_reports(served.journal)),
        min(found.likeness_db for found in returns),
        max(found.set_back_seconds for found in returns),
    )


def kept_reports(address: str) -> set[Report]:
    """The reports that are in the journal."""
    with closing(Journal(address)) as journal:
        entries = [entry for sitting in journal.sessions() for entry in journal.entries(sitting.id)]
    reports = (entry for entry in entries if entry.kind is Kind.EVENT and entry.body["event"] == "report")
    return {(entry.session, float(entry.body["valence"])) for entry in reports}


def main() -> None:
    """Run it several times, and report the medians; of what is lost, the most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    options = parser.parse_args()
    runs = []
    for _ in range(options.runs):
        with house() as served:
            runs.append(asyncio.run(measure(served, options.sessions)))
    columns = [column.name for column in fields(Found)]
    rows = [[getattr(found, column) for column in columns] for found in runs]
    print_table(columns, rows, f"{options.sessions} sessions, killed twice")
    figures = {
        "resume_s": statistics.median(found.resume_s for found in runs),
        "lost_reports": max(found.lost_reports for found in runs),
        "same_music_db": statistics.median(found.same_music_db for found in runs),
    }
    print_figures("recovery", figures)


if __name__ == "__main__":
    main()
