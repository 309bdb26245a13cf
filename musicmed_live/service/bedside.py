"""A bedside kiosk: one session at a time, on this machine's sound card."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from musicmed_live.core.events import Bound, Pause, Play
from musicmed_live.core.messages import parse_patient
from musicmed_live.core.phases import Phase
from musicmed_live.core.plan import parse_plan
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.service import headphones
from musicmed_live.service.headphones import Plug
from musicmed_live.service.hub import Entry, Hub
from musicmed_live.service.kiosk_settings import CEILING_LUFS, Memory, Settings, Store
from musicmed_live.service.live import LiveSession
from musicmed_live.service.outputs import Output
from musicmed_live.service.pin import Guesses, Pin
from musicmed_live.service.soundcard import Speaker

log = logging.getLogger(__name__)

BY = "kiosk"  # who starts and pauses, as the journal has it
LEFT_SECONDS = 1800.0  # a session that has stood still for so long is ended: whoever comes next begins anew
LOOK_SECONDS = 5.0


class Kiosk:
    """What plays at a bed, and what it is set to. `run` it as a task; talk to it from the same event loop."""

    def __init__(self, hub: Hub, speaker: Speaker, store: Store, restart: Callable[[], None] | None) -> None:
        """`restart` ends this process, so that it is started again; None where nobody would do that."""
        self.restart = restart
        self.plug = Plug.UNKNOWN
        self.pulled = False  # the headphones were, and so the music was paused
        self._hub, self._speaker, self._store = hub, speaker, store
        self._memory = Memory()
        self._guesses = Guesses(0, time.monotonic)
        self._live: LiveSession | None = None
        self._began = asyncio.Event()
        self._saving, self._starting = asyncio.Lock(), asyncio.Lock()

    async def prepare(self) -> None:
        """Recall what was kept, take up what played, and set the volume, if that is wanted."""
        self._memory = await asyncio.to_thread(self._store.load)
        self._guesses = Guesses(self._memory.wrong_pins, time.monotonic)
        self._hub.on_open.add(self._take_up)
        for live in self._hub.lives:
            self._take_up(live)
        await self._set_volume()

    async def run(self) -> None:
        """Play, and look after the headphones, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._play_on(), name="speaker")
                group.create_task(self._end_what_is_left(), name="left sessions")
                group.create_task(headphones.watch(self._plugged), name="headphones")
        finally:
            self._hub.on_open.discard(self._take_up)

    @property
    def settings(self) -> Settings:
        """What it is set to."""
        return self._memory.settings

    @property
    def has_pin(self) -> bool:
        """Whether a nurse has set one."""
        return self._memory.pin is not None

    @property
    def entry(self) -> Entry | None:
        """The session that plays here; None where there is none, or one that fades out for the last time."""
        found = next((entry for entry in self._hub.entries if entry.live is self._live), None)
        return None if found is None or found.live.session.phase is Phase.ENDED else found

    async def start(self) -> Entry:
        """The session that plays here, begun if there is none, or going on. Raises `InvalidInput`."""
        async with self._starting:
            entry = self.entry or await self._open()
        self.pulled = False
        entry.live.handle(Play(), BY)
        return entry

    async def set(self, wishes: dict[str, Any]) -> None:
        """Change the settings; a session that plays keeps its own. Raises `InvalidInput`."""
        changed = self.settings.changed(wishes)
        await self._keep(lambda memory: replace(memory, settings=changed))
        if "volume_percent" in wishes:
            await self._set_volume()

    async def set_pin(self, digits: str) -> None:
        """Set the nurse's PIN. Raises `InvalidInput`."""
        pin = await asyncio.to_thread(Pin.of, digits)
        self._guesses.forgive()
        await self._keep(lambda memory: replace(memory, pin=pin, wrong_pins=0))

    async def unlock(self, digits: str) -> None:
        """Returns where that is the nurse's PIN. Raises `InvalidInput` `bad_pin`, or `TooManyCalls` after some."""
        pin = self._memory.pin
        if pin is None:
            raise InvalidInput("pin: none is set yet; set one first", "pin", "no_pin")
        self._guesses.check()
        self._guesses.count()  # before anything is waited for: several at once are several
        await self._keep_guesses()
        if not await asyncio.to_thread(pin.matches, digits):
            raise InvalidInput("pin: a wrong one", "pin", "bad_pin")
        self._guesses.forgive()
        await self._keep_guesses()

    async def _open(self) -> Entry:
        output = await self._output()
        body = self.settings.body(None if output is None else output.name)
        entry = await self._hub.open(parse_plan(body, self._hub.draw_seed), parse_patient(body))
        self._begin(entry.live)
        await self._keep_anyway(lambda memory: replace(memory, session=entry.live.name))
        return entry

    def _take_up(self, live: LiveSession) -> None:
        """Where `live` is what played here before a restart, it plays here again."""
        if live.name == self._memory.session:
            self._begin(live)

    def _begin(self, live: LiveSession) -> None:
        self._live = live
        self._began.set()

    async def _play_on(self) -> None:
        while True:
            await self._began.wait()
            self._began.clear()
            live = self._live
            assert live is not None
            await self._hear_through_output(live)
            await self._speaker.play(live)
            self.pulled = False
            if self._live is live:
                self._live = None

    async def _end_what_is_left(self) -> None:
        moved = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            entry = self.entry
            if entry is None or entry.live.playing or entry.live.state().get("rest") is not None:
                moved = time.monotonic()
            elif time.monotonic() - moved > LEFT_SECONDS:
                log.info("nobody has gone on for %d s; the session is ended", LEFT_SECONDS)
                self._hub.end(entry.live.name, BY)

    async def _plugged(self, plug: Plug) -> None:
        """Who has pulled the headphones must not be heard by the whole ward: the music waits for a touch."""
        before, self.plug = self.plug, plug
        entry = self.entry
        if entry is None:
            return
        if before is Plug.IN and entry.live.goes_on:
            self.pulled = True
            entry.live.handle(Pause(), BY)
        await self._hear_through_output(entry.live)

    async def _output(self) -> Output | None:
        """What it is heard by now; None where that is not calibrated."""
        name = self.settings.output_with(headphones=self.plug is Plug.IN)
        return (await asyncio.to_thread(self._hub.outputs.all)).get(name)

    async def _hear_through_output(self, live: LiveSession) -> None:
        """Keep `live` as loud as it may be on what it is heard by now: the mixer fades to that."""
        output, bounds = await self._output(), live.session.bounds
        live.safety.hear_through(None if output is None else output.offset_db)
        wished_dba, changes = self.settings.session.get("loudest_dba"), dict[str, Any]()
        if output is not None and wished_dba is not None and bounds.loudest_dba is None:
            changes["loudest_dba"] = float(wished_dba)
        if output is None and (bounds.loudest_lufs is None or bounds.loudest_lufs > CEILING_LUFS):
            changes["loudest_lufs"] = CEILING_LUFS
        if changes and live.session.phase is not Phase.ENDED:
            live.handle(Bound(changes), BY)

    async def _set_volume(self) -> None:
        percent = self.settings.volume_percent
        if percent is not None:
            try:
                await headphones.set_volume(percent)
            except CannotServe as fault:
                log.error("the volume cannot be set to %d %%: %s", percent, fault)

    async def _keep_guesses(self) -> None:
        await self._keep_anyway(lambda memory: replace(memory, wrong_pins=self._guesses.wrong))

    async def _keep(self, change: Callable[[Memory], Memory]) -> None:
        """Change what is kept. Raises `InvalidInput` `not_kept` where it is for this run only, as the disk fails."""
        async with self._saving:
            self._memory = change(self._memory)
            try:
                await asyncio.to_thread(self._store.save, self._memory)
            except OSError as fault:
                words = f"until the next start only: the disk does not take it ({fault.strerror}); tell a technician"
                raise InvalidInput(words, code="not_kept") from None

    async def _keep_anyway(self, change: Callable[[Memory], Memory]) -> None:
        """The same, of what nobody at the bed can do anything about: a full disk keeps nobody from the music."""
        try:
            await self._keep(change)
        except InvalidInput as fault:
            log.error("the kiosk's settings are kept %s", fault)
