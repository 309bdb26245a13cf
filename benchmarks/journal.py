"""What the journal costs: entries a second that reach the disk, and how long the page of a session takes.

The entries are those of sessions of 15 minutes that are written as they happen, by the one writer, each transaction
synced to the disk. It needs about one core: what hands the entries over, and the thread that writes them. The page is
that of one such session, read from the journal and written to a file by the command itself, in a process that has
loaded what it needs.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.report import print_figures, print_table
from musicmed_live.cli import main as command
from musicmed_live.journal.entries import Entry
from musicmed_live.journal.store import Journal
from musicmed_live.journal.writer import ROOM_FOR_SUMMARIES, Writer
from tests.journal.stories import story

KEEP_DAYS = 36_500
PAUSE_SECONDS = 0.001  # while the writer has as much waiting as it takes without leaving anything out


def sessions(number: int) -> Iterator[Entry]:
    """What happens in so many sessions, one after the other."""
    told = story()
    for session in range(number):
        yield from (replace(entry, session=f"{session:032x}") for entry in told)


def entries_per_second(address: str, number: int) -> float:
    """Entries a second, from the first that is put to the last that is on the disk."""
    lines = list(sessions(number))
    with closing(Journal(address)) as journal:
        journal.prepare()
        begun = time.perf_counter()
        with Writer(journal, KEEP_DAYS) as writer:
            for line in lines:
                while writer.health()["waiting"] >= ROOM_FOR_SUMMARIES:
                    time.sleep(PAUSE_SECONDS)
                writer.put(line)
        seconds = time.perf_counter() - begun
        assert writer.health()["lost"] == 0
        assert sum(len(journal.entries(f"{session:032x}")) for session in range(number)) == len(lines)
    return len(lines) / seconds


def delays(address: str, number: int) -> list[float]:
    """Seconds from putting one entry, with nothing else waiting, until another connection can read it."""
    told, found = story(), []
    with (
        closing(Journal(address)) as journal,
        closing(Journal(address)) as reader,
        Writer(journal, KEEP_DAYS) as writer,
    ):
        for entry in told[:number]:
            before, begun = len(reader.entries(entry.session)), time.perf_counter()
            writer.put(entry)
            while len(reader.entries(entry.session)) == before:
                time.sleep(PAUSE_SECONDS)
            found.append(time.perf_counter() - begun)
    return found


def page_seconds(address: str, out: Path) -> float:
    """Seconds that the page of one session takes."""
    begun = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        command(["report", f"{0:032x}", "--journal", address, "--out", str(out)])
    return time.perf_counter() - begun


def main() -> None:
    """Measure, print a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=50, help="of 15 minutes, in each run")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        addresses = [f"sqlite:///{folder}/{run}.sqlite" for run in range(options.runs)]
        rates = [entries_per_second(address, options.sessions) for address in addresses]
        pages = [page_seconds(addresses[0], Path(folder) / "page.html") for _ in range(options.runs + 1)][1:]
        waits = delays(f"sqlite:///{folder}/delays.sqlite", 100)
    rows = [
        ["entries a second", median(rates), min(rates), max(rates)],
        ["seconds to the page", median(pages), min(pages), max(pages)],
        ["seconds until one entry can be read", median(waits), min(waits), max(waits)],
    ]
    print_table(["", "median", "least", "most"], rows)
    print_figures("journal", {"events_per_s": median(rates), "report_page_s": median(pages)})


if __name__ == "__main__":
    main()
