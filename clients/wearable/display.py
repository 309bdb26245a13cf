"""The one-line display: rewritten in place on a terminal, plain lines elsewhere."""

import asyncio
import shutil
import time
from typing import TextIO

from clients.wearable.status import Status

TICK_SECONDS = 0.5
PLAIN_SECONDS = 10.0  # between lines that say nothing new
TO_LINE_START = "\r\x1b[K"  # and the line is cleared (ECMA-48)


class Display:
    """Writes what `status` says to `out`."""

    def __init__(self, status: Status, out: TextIO) -> None:
        self._status = status
        self._out = out
        self._in_place = out.isatty()
        self._links = ""
        self._due = 0.0

    async def show(self) -> None:
        """Until cancelled."""
        while True:
            self.refresh(time.monotonic())
            await asyncio.sleep(TICK_SECONDS)

    def refresh(self, now: float) -> None:
        """Tell what is new, in lines of their own, then how it stands; `now` in seconds of a steady clock."""
        clear = TO_LINE_START if self._in_place else ""
        while self._status.notices:
            self._out.write(f"{clear}{self._status.notices.popleft()}\n")
        if self._in_place:
            room = shutil.get_terminal_size().columns - 1
            self._out.write(clear + self._status.line(now)[:room])
        elif now >= self._due or self._status.links() != self._links:
            self._due, self._links = now + PLAIN_SECONDS, self._status.links()
            self._out.write(self._status.line(now) + "\n")
        self._out.flush()

    def close(self, now: float) -> None:
        """The last word: what is left to tell, and how it stood."""
        self._due = now
        self.refresh(now)
        if self._in_place:
            self._out.write("\n")
            self._out.flush()
