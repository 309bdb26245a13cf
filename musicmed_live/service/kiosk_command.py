"""`musicmed-live kiosk`: server, sound card and screen in one."""

import asyncio
import importlib.resources
import logging
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from musicmed_live.errors import CannotServe
from musicmed_live.service.bedside import Kiosk
from musicmed_live.service.hub import Hub
from musicmed_live.service.kiosk_settings import Store
from musicmed_live.service.profiles import default_folder
from musicmed_live.service.server import Server
from musicmed_live.service.soundcard import Speaker
from musicmed_live.service.watchdog import READY, STOPPING, Supervisor

log = logging.getLogger(__name__)

PAGE = "kiosk.html"
STILL_SECONDS = 5.0  # some cards take much at once; one that takes nothing for so long has stopped


async def run_kiosk(server: Server, screen: tuple[str, ...] | None, say: Callable[[str], None]) -> None:
    """Serve, play on the sound card and show the page, until interrupted or the page is closed.

    `screen` is what the browser is started with beside the page; None: it is not, somebody else shows the page.
    Raises `CannotServe` where there is no sound card, or no browser.
    """
    speaker, supervisor = Speaker(), Supervisor(os.environ)
    page = f"{server.url}{PAGE}"
    running = asyncio.create_task(_run(server, speaker, supervisor, lambda: say(f"Serving {page}")), name="kiosk")
    try:
        async with _shown(page, screen) as closed:
            for task in (running, *closed):
                task.add_done_callback(lambda _: server.leave())
            await server.serve_here()
    finally:
        supervisor.tell(STOPPING)
        running.cancel()
        await asyncio.wait({running})
        speaker.close()
    if not running.cancelled():
        running.result()


async def _run(server: Server, speaker: Speaker, supervisor: Supervisor, ready: Callable[[], None]) -> None:
    await server.started_up.wait()
    assert server.hub is not None

    folder = default_folder().parent
    store = Store(folder / "kiosk.json")
    kiosk = Kiosk(server.hub, speaker, store, server.leave if supervisor.is_there else None)
    await kiosk.prepare()
    server.app.state.kiosk = kiosk
    await server.hub.sources.stand_in.workers.answer()  # they load before anything else
    supervisor.tell(READY)
    ready()
    async with asyncio.TaskGroup() as group:
        group.create_task(kiosk.run(), name="kiosk")
        group.create_task(supervisor.watch(_Health(server.hub, speaker).fault), name="watchdog")


class _Health:
    """Whether everything moves that has to."""

    def __init__(self, hub: Hub, speaker: Speaker) -> None:
        self._hub, self._speaker = hub, speaker
        self._taken, self._moved = -1, 0.0

    async def fault(self, seconds: float) -> str | None:
        """What does not move, in one sentence; None: everything does."""
        taken, now = self._speaker.taken, time.monotonic()
        if taken != self._taken:
            self._taken, self._moved = taken, now
        elif now - self._moved > STILL_SECONDS:
            return "the sound card has stopped taking sound"
        try:
            async with asyncio.timeout(seconds):
                await self._hub.sources.stand_in.workers.answer()
        except TimeoutError:
            return f"the composer has not answered for {seconds:g} s"
        return None


@asynccontextmanager
async def _shown(page: str, screen: tuple[str, ...] | None) -> AsyncIterator[set[asyncio.Task[int]]]:
    """The page on the screen; gives what is done when somebody has closed it."""
    if screen is None:
        yield set()
        return
    with importlib.resources.as_file(importlib.resources.files("clients.kiosk")) as folder:
        process = await _start(str(folder / "browser"), page, *screen)
        closed = asyncio.create_task(process.wait(), name="browser")
        try:
            yield {closed}
            if closed.done() and closed.result():
                raise CannotServe("the browser cannot be shown; what it says stands above")
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await closed


async def _start(*command: str) -> Process:
    try:
        return await asyncio.create_subprocess_exec("sh", *command)
    except OSError as fault:
        raise CannotServe(f"kiosk: no shell to start the browser with: {fault.strerror}") from None
