"""The one writer of a journal: a thread of its own, so that no session ever waits for a disk."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Self

from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.journal.entries import SUMMARIES, Checkpoint, Entry, short_id
from musicmed_live.journal.store import Journal

log = logging.getLogger(__name__)

ROOM = 65_536  # entries that may wait: a day of one session, or half an hour of sixty
ROOM_FOR_SUMMARIES = ROOM // 2  # what repeats itself is left out first
BATCH = 512  # entries of one transaction
RETRY_SECONDS = 2.0
SWEEP_SECONDS = 3600.0  # how often what is too old is looked for
LAST_SECONDS = 15.0  # the end does not wait longer for a database
DAY_SECONDS = 86_400.0

Written = Callable[[], None]


class Writer:
    """Writes what it is given, in order, until `close`, and forgets what is older than `keep_days`.

    A transaction takes in all that waits, so those who ask at once wait for one disk together. What is committed is on
    the disk: it survives a power cut, not only a crash.

    Where the database cannot be written, entries wait, and it is tried again and again. Of those that there is no room
    for any more, summaries are left out first, then whatever comes last: told by `health`, and once in the log.
    """

    def __init__(self, journal: Journal, keep_days: int) -> None:
        self._journal, self._keep_days = journal, keep_days
        # None: look whether there is something else to do. What is to be called is called when all before it is kept.
        self._waiting: queue.SimpleQueue[Entry | Written | None] = queue.SimpleQueue()
        self._checkpoints: dict[str, Checkpoint] = {}  # the last of each session that is not written yet,
        self._guard = threading.Lock()  # and whoever changes them
        self._closing = threading.Event()
        self._reason: str | None = None  # why it cannot write
        self._lost = 0
        self._forgotten: set[str] = set()  # sessions of which that is told
        self._swept = float("-inf")
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, if that can be done soon."""
        self._closing.set()
        self._waiting.put(None)
        self._thread.join(LAST_SECONDS)
        if self._thread.is_alive():
            log.error("the journal %s does not answer; its last entries may be lost", self._journal.address)

    def put(self, entry: Entry) -> bool:
        """Have `entry` written soon; whether there is room for it.

        Never waits, and raises nothing; to be called from one thread only, as the two below.
        """
        room = ROOM_FOR_SUMMARIES if entry.kind in SUMMARIES else ROOM
        if self._waiting.qsize() >= room:
            self._lose(1)
            return False
        self._waiting.put(entry)
        return True

    def keep(self, checkpoint: Checkpoint) -> None:
        """Have it written in place of the session's last one, not later than any entry that is put after it."""
        with self._guard:
            first = not self._checkpoints
            self._checkpoints[checkpoint.session] = checkpoint
        if first:
            self._waiting.put(None)

    def when_written(self, then: Written) -> None:
        """Call `then`, from the writer's thread, as soon as everything is on the disk that was put before."""
        self._waiting.put(then)

    def health(self) -> dict[str, Any]:
        """Whether it writes, why not, how many entries wait, and how many were lost."""
        writing = self._thread.is_alive() and self._reason is None
        return {"writing": writing, "reason": self._reason, "waiting": self._waiting.qsize(), "lost": self._lost}

    def _run(self) -> None:
        while not self._closing.is_set() or not self._waiting.empty():
            self._sweep()
            batch, written = self._next_batch()
            if not self._write(batch):
                self._lose(len(batch) + self._waiting.qsize())
                return
            for then in written:
                then()

    def _next_batch(self) -> tuple[list[Entry], list[Written]]:
        """What waits, of which there may be nothing when it ends or is time to sweep."""
        batch: list[Entry] = []
        written: list[Written] = []
        waits = True
        with suppress(queue.Empty):
            while len(batch) < BATCH:
                found = self._waiting.get(waits, SWEEP_SECONDS)
                waits = False
                if isinstance(found, Entry):
                    batch.append(found)
                elif found is not None:
                    written.append(found)
        return batch, written

    def _write(self, batch: Sequence[Entry]) -> bool:
        """Whether it could be written: False only when there is no time left to try again."""
        with self._guard:
            checkpoints, self._checkpoints = list(self._checkpoints.values()), {}
        while batch or checkpoints:
            try:
                forgotten = self._journal.write(batch, checkpoints)
            except (CannotServe, InvalidInput) as fault:
                self._note(str(fault))
                if self._closing.wait(RETRY_SECONDS):
                    return False
            else:
                self._note(None)
                self._tell_of(forgotten)
                break
        return True

    def _tell_of(self, forgotten: set[str]) -> None:
        """Once of each session that was forgotten while it is open."""
        for session in sorted(forgotten - self._forgotten):
            log.info("session %s was forgotten: what else happens in it is not kept", short_id(session))
        self._forgotten |= forgotten

    def _sweep(self) -> None:
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        try:
            found = self._journal.forget_before(time.time() - self._keep_days * DAY_SECONDS)
        except (CannotServe, InvalidInput) as fault:
            self._note(str(fault))
        else:
            if found:
                log.info("%d sessions older than %d days are forgotten", found, self._keep_days)

    def _note(self, reason: str | None) -> None:
        """Tell the log what is wrong once, and once that it is well again."""
        if reason is not None and self._reason is None:
            log.error("%s; the music plays on, and it is tried again", reason)
        elif reason is None and self._reason is not None:
            log.warning("the journal %s is written again", self._journal.address)
        self._reason = reason

    def _lose(self, entries: int) -> None:
        if not self._lost:
            log.error("the journal %s cannot keep everything any more", self._journal.address)
        self._lost += entries
