"""What of each session goes into the journal, as it happens. Nothing here waits, or stands in a session's way."""

import asyncio
import logging
import platform
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeVar

from musicmed_live import __version__
from musicmed_live.core import messages
from musicmed_live.core.plan import Plan, plan_object
from musicmed_live.errors import CannotServe
from musicmed_live.journal.entries import Checkpoint, Entry, Kind
from musicmed_live.service.generators import Choice
from musicmed_live.service.live import LiveSession
from musicmed_live.service.scribe import Keeper, Scribe

if TYPE_CHECKING:
    from musicmed_live.journal.store import Journal

LOOK_SECONDS = 0.1
READERS = 2  # threads
NONE = "none"  # the address of no journal
LIBRARIES = ("numpy", "scipy", "torch", "transformers")  # their versions are kept, as they shape the music

log = logging.getLogger(__name__)

Body = dict[str, Any]
T = TypeVar("T")


class Journaling:
    """Writes down all sessions of a hub, each beside a task that watches it."""

    def __init__(self, choice: Choice, journal: "Journal", keeper: Keeper, owner: str) -> None:
        """`keeper` writes into `journal`, in which `owner` is this server's name among those that share it."""
        self.journal, self.health = journal, keeper.health
        self._keeper, self._owner = keeper, owner
        self._made_with = {
            "generator": {"name": choice.name, "model": choice.model or None, "adapters": list(choice.adapters)},
            "versions": _versions(),
        }
        self._scribes: dict[LiveSession, Scribe] = {}
        # A journal that is slow holds up those who read it, and nobody else: the loop's own threads open sessions.
        self._readers = ThreadPoolExecutor(READERS, "journal")

    def close(self) -> None:
        """Nobody reads any more."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def read(self, what: "Callable[[Journal], T]") -> T:
        """What `what` makes of the journal, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, what, self.journal)

    def begin(self, live: LiveSession, wish: Plan) -> None:
        """A session is opened."""
        opened = {**_planned(live.patient, wish), **self._made_with}
        self._scribes[live] = Scribe(live, self._owner, self._keeper, Kind.OPENED, opened, 0)

    def resume(self, live: LiveSession, gone_seconds: float, position: int) -> None:
        """A session goes on that this server has taken up at `position`, after nobody had played it for so long."""
        body = {"seconds": round(gone_seconds, 1), "version": __version__}
        self._scribes[live] = Scribe(live, self._owner, self._keeper, Kind.RESUMED, body, position)

    def end(self, live: LiveSession, reason: str) -> None:
        """It is over."""
        self._scribes.pop(live).end(reason)

    def give_up(self, checkpoint: Checkpoint, reason: str) -> None:
        """A session that was taken up cannot go on."""
        body = {"reason": reason, "underruns": 0, "bridges": 0}
        self._keeper.put(Entry(checkpoint.session, checkpoint.at, checkpoint.position, Kind.ENDED, body))

    async def take_up(self) -> list[Checkpoint]:
        """Where the sessions are that this server had played and that may go on. Raises as `Journal.take_up` does.

        Where the journal was away for a while, it may know some already that have begun here since.
        """
        found = await asyncio.to_thread(self.journal.take_up, self._owner, time.time())
        begun = {live.name for live in self._scribes}
        return [checkpoint for checkpoint in found if checkpoint.session not in begun]

    def when_kept(self, live: LiveSession, then: Callable[[bool], None]) -> None:
        """Call `then`, here, as soon as all that has happened in `live` is on the disk: never, if it is lost."""
        scribe = self._scribes.get(live)
        if scribe is None:
            then(False)
        elif scribe.kept:
            loop = asyncio.get_running_loop()
            self._keeper.when_written(lambda: _call_in(loop, then))

    async def watch(self, live: LiveSession) -> None:
        """Look at what becomes of it, until cancelled."""
        while True:
            self._scribes[live].look(live.now)
            await asyncio.sleep(LOOK_SECONDS)


def owner_name(host: str, port: int) -> str:
    """The name of the server at that address: the same when it is started anew, and no other's meanwhile.

    With port 0, any that is free, it has a new one each time.
    """
    return f"{socket.gethostname()} {host} {port or secrets.token_hex(8)}"


@contextmanager
def keeping(choice: Choice, address: str, keep_days: int, owner: str) -> Iterator[Journaling | None]:
    """The journal at `address`, which is written until this ends; None where there is to be none.

    Raises `InvalidInput` where the address is none, or what is there is no journal, or one of a newer version. One that
    cannot be had for now keeps nobody from playing.
    """
    if address == NONE:
        yield None
        return
    from musicmed_live.journal.store import Journal
    from musicmed_live.journal.writer import Writer

    with closing(Journal(address)) as journal:
        try:
            journal.prepare()
        except CannotServe as fault:
            log.warning("%s; the music plays all the same", fault)
        with Writer(journal, keep_days) as writer, closing(Journaling(choice, journal, writer, owner)) as journaling:
            yield journaling


def _call_in(loop: asyncio.AbstractEventLoop, then: Callable[[bool], None]) -> None:
    with suppress(RuntimeError):  # it is closed, and nobody waits any more
        loop.call_soon_threadsafe(then, True)


def _planned(patient: str, wish: Plan) -> Body:
    return {
        "patient": patient,
        "start": None if wish.start is None else messages.emotion_object(wish.start),
        "goal": messages.emotion_object(wish.goal),
        "frames": wish.frames,
        "seed": wish.seed,
        "instruments": asdict(wish.instruments),
        "style": asdict(wish.style),
        "rules": asdict(wish.rules),
        "plan": plan_object(wish),
    }


def _versions() -> dict[str, str]:
    """Of this program, of Python, and of the libraries that are installed."""
    found = {"musicmed-live": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
