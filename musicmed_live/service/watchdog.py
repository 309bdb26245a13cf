"""What systemd is told of this service: that it is ready, that it is well, that it goes.

The words and the environment are those of sd_notify(3) and sd_watchdog_enabled(3).
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger(__name__)

READY, WELL, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


class Supervisor:
    """systemd, or nobody."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is what this process was started with."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._usec = _watchdog_usec(environment)

    @property
    def is_there(self) -> bool:
        """Whether somebody starts this process again when it ends."""
        return self._address[:1] in ("/", "@") and len(self._address) > 1

    def tell(self, word: str) -> None:
        """Say `word`. What cannot be said is logged: the music does not depend on it."""
        if not self.is_there:
            return
        address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(word.encode(), address)
        except OSError as fault:
            log.warning("systemd cannot be told %s: %s", word, fault.strerror)

    async def watch(self, fault_of: Callable[[float], Awaitable[str | None]]) -> None:
        """Say that all is well, twice as often as systemd wants to hear it, for as long as that is so.

        `fault_of` is asked each time what is wrong, and has so many seconds to answer; None: nothing. Where it is
        silent, or has something to say, systemd is left to do what it does with a service that hangs.
        """
        if self._usec is None:
            return
        seconds = self._usec / 2e6
        while True:
            fault = await fault_of(seconds / 2)
            if fault is None:
                self.tell(WELL)
            else:
                log.error("%s; systemd is not told that all is well", fault)
            await asyncio.sleep(seconds / 2)


def _watchdog_usec(environment: Mapping[str, str]) -> int | None:
    text = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(os.getpid()))
    return int(text) if text.isdecimal() and int(text) > 0 and meant == str(os.getpid()) else None
