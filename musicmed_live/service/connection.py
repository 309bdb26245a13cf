"""One client on a session's socket: its messages in; state, cuts and sound out."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from musicmed_live.core import messages
from musicmed_live.core.events import WORDS, Event
from musicmed_live.core.generator import SAMPLE_RATE, frames_of
from musicmed_live.core.messages import BLOCK_FRAMES, Codec, Listen, Role
from musicmed_live.core.readings import Reading
from musicmed_live.errors import IllegalTransition, InvalidInput
from musicmed_live.service.encoding import Encoder, encoder_for
from musicmed_live.service.live import LiveSession

STATE_SECONDS = 0.5
WAIT_SECONDS = BLOCK_FRAMES / SAMPLE_RATE
BEHIND_FRAMES = frames_of(0.5)  # a player may be so far behind the clock
NOTICES = 256  # text waiting for a slow client; more than that and the oldest is dropped
LAST_SECONDS = 5.0  # a client that does not read is left so long after the end,
JOURNAL_SECONDS = 3.0  # and what it is to be told of the journal is waited for so long

WhenKept = Callable[[LiveSession, Callable[[bool], None]], None]


class Connection:
    """Serves one accepted socket until either side ends it."""

    def __init__(
        self, socket: WebSocket, live: LiveSession, role: Role, name: str = "", when_kept: WhenKept | None = None
    ) -> None:
        """`name` is whose the client is, if that is known.

        `when_kept` calls what it is given as soon as all that has happened in the session is in the journal, with
        whether it is; None: no journal is kept.
        """
        self._socket = socket
        self._live = live
        self._role, self._name = role, name
        self._when_kept = when_kept
        self._notices: deque[str] = deque(maxlen=NOTICES)
        self._wake = asyncio.Event()
        self._listening = ExitStack()  # counted in the session's attendance from the first `listen` on
        self._encoder: Encoder | None = None
        self._codec = Codec.PCM_S16LE
        self._lead_frames = 0
        self._sent = 0  # position after the last block sent
        self._state_due = 0.0
        self._owed = 0  # messages that are done, and not in the journal yet
        self.refused = 0

    async def serve(self) -> None:
        """Read and write until the session is over or the client goes."""
        self._live.on_cut.add(self._note_cut)
        self._live.on_change.add(self._note_change)
        if self._role is Role.THERAPIST:
            self._live.on_event.add(self._note_event)
        self._greet()
        reader = asyncio.create_task(self._read(), name="read")
        writer = asyncio.create_task(self._write(), name="write")
        leaver = asyncio.create_task(self._leave_late(), name="leave")
        tasks = (reader, writer, leaver)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._live.on_cut.discard(self._note_cut)
            self._live.on_change.discard(self._note_change)
            self._live.on_event.discard(self._note_event)
            self._listening.close()
            for task in tasks:
                task.cancel()
            faults = await asyncio.gather(*tasks, return_exceptions=True)
        for fault in faults:
            # The client may leave at any moment; everything else that went wrong is ours.
            if isinstance(fault, Exception) and not isinstance(fault, WebSocketDisconnect):
                raise fault

    async def _leave_late(self) -> None:
        await self._live.over.wait()
        await asyncio.sleep(LAST_SECONDS)

    def _greet(self) -> None:
        pre_skip = self._encoder.pre_skip if self._encoder else 0
        self._tell(messages.hello(self._live.name, self._role, self._codec, pre_skip))

    def _tell(self, text: str) -> None:
        self._notices.append(text)
        self._wake.set()

    def _note_cut(self, position: int, reason: str) -> None:
        if self._encoder is not None and position < self._sent:
            self._start_at(position)
        self._tell(messages.cut(position, reason))

    def _note_change(self) -> None:
        self._state_due = 0.0
        self._wake.set()

    def _note_event(self, event: Event, by: str, name: str) -> None:
        if by == Role.THERAPIST.value:
            self._tell(messages.steered(name, WORDS[type(event)]))

    async def _read(self) -> None:
        """Take messages in, at the session's pace: what comes faster waits, and so slows its sender down."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await asyncio.sleep(self._live.attendance.pace.reserve(time.monotonic()))
            self._take(message.get("text"))

    def _take(self, text: str | None) -> None:
        """Do what a frame says, and answer where it has an id, or cannot be done."""
        name: str | None = None
        try:
            if text is None:
                raise InvalidInput("a binary frame; clients send JSON text", code="not_json")
            message = messages.parse_text(text)
            name = messages.pop_id(message)
            again = messages.pop_again(message)
            is_written = (again and name in self._live.done) or self._do(messages.meaning(message), name)
        except InvalidInput as fault:
            self.refused += 1
            named = {} if name is None else {"id": name}
            self._tell(json.dumps({"type": "error", **messages.error(fault), **named}))
        else:
            if name is not None:
                self._acknowledge(name, is_written)

    def _acknowledge(self, name: str, is_written: bool) -> None:
        """Say that it is done, as soon as it is on the disk, if it is of what is written there."""
        if self._when_kept is None or not is_written:
            self._tell(messages.done(name, kept=False))
        else:
            self._owed += 1
            self._when_kept(self._live, lambda kept: self._pay(name, kept))

    def _pay(self, name: str, kept: bool) -> None:
        self._owed -= 1
        self._tell(messages.done(name, kept))

    def _do(self, message: Listen | Reading | Event, said_as: str | None) -> bool:
        """Whether a journal keeps such a thing: of readings it keeps what they come to. Raises `InvalidInput`."""
        if not self._role.may(message):
            raise InvalidInput(f"type: a {self._role.value} may not say that", "type", "forbidden")
        try:
            if isinstance(message, Listen):
                self._listen(message)
            elif isinstance(message, Reading):
                self._live.sense(message)
            else:
                self._live.handle(message, self._role.value, self._name, said_as)
                return True
        except IllegalTransition as fault:
            raise InvalidInput(str(fault), "type", "session_ended") from None
        return False

    def _start_at(self, position: int) -> None:
        """Send from `position` on, with a fresh encoder that is given what it needs to get going."""
        self._encoder = encoder_for(self._codec)
        self._sent = max(0, position - self._encoder.run_in_frames)

    def _listen(self, wish: Listen) -> None:
        if self._encoder is None and self._role is not Role.THERAPIST:
            self._listening.enter_context(self._live.attendance.heard_by_one_more())
        changed = wish.codec is not self._codec
        self._codec = wish.codec
        self._lead_frames = wish.lead_frames
        if changed or self._encoder is None:
            self._start_at(self._live.heard)
        if changed:
            self._greet()
        self._wake.set()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            over = self._live.over.is_set()
            if over:
                await self._wait_for_journal()
            while self._notices:
                await self._socket.send_text(self._notices.popleft())
            if over or loop.time() >= self._state_due:
                self._state_due = loop.time() + STATE_SECONDS
                await self._socket.send_text(json.dumps(self._live.state()))
            while not self._notices and (block := self._next_block()) is not None:
                await self._socket.send_bytes(block)
                await asyncio.sleep(0)  # sending does not wait for anything: let others have their turn
            if over:
                await self._socket.close(self._live.close_code, "the session has ended")
                return
            self._wake.clear()
            if not self._notices:
                await self._wait()

    async def _wait_for_journal(self) -> None:
        """What has been done is acknowledged before the end; a journal that is away is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(JOURNAL_SECONDS):
                while self._owed:
                    self._wake.clear()
                    await self._wake.wait()

    async def _wait(self) -> None:
        seconds = WAIT_SECONDS if self._live.playing else STATE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _next_block(self) -> bytes | None:
        """The next block, if it is due and there is one. What a slow client has missed is left out."""
        live = self._live
        if self._encoder is None or not live.started:
            return None
        heard = live.heard
        self._sent = max(self._sent, heard - BEHIND_FRAMES)
        until = min(heard + self._lead_frames, live.available)
        if live.sends_until is not None:
            until = min(until, live.sends_until)
        frames = BLOCK_FRAMES
        if live.ends is not None:
            frames = min(frames, live.ends - self._sent)
        if frames <= 0 or self._sent + frames > max(until, min(live.available, heard + BLOCK_FRAMES)):
            return None
        position, self._sent = self._sent, self._sent + frames
        return messages.pack_block(position, self._encoder.encode(live.audio(position, frames)))
