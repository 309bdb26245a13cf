"""The sound card: a ring of samples addressed by position, and a callback that copies out of it and nothing else."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from musicmed_live.core.events import Play
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Samples, frames_of
from musicmed_live.core.messages import Role
from musicmed_live.core.plan import Plan
from musicmed_live.errors import CannotServe
from musicmed_live.service.live import LiveSession

if TYPE_CHECKING:
    from musicmed_live.service.server import Server  # which serves the kiosk, too, and so knows this module

RING_FRAMES = 1 << 16  # 1.4 s
LEAD_FRAMES = frames_of(1.0)  # some cards take much at once; a cut overwrites what they have not taken
CARD_SECONDS = 0.06  # a busy machine keeps a card with less waiting, and some need seconds to come back
FEED_SECONDS = 0.02
FOLLOW_SECONDS = 1.0  # how often the card's clock is taken over


class Ring:
    """Samples by position. One thread writes ahead of the head, the card's thread reads at it."""

    def __init__(self) -> None:
        self.head: int | None = None  # the next frame the card will take; None: it stands still
        self.taken = 0  # frames that the card has asked for so far
        self._samples = np.zeros((RING_FRAMES, CHANNELS), np.float32)

    def clear(self) -> None:
        """Stand still, and forget what was written."""
        self.head = None
        self._samples.fill(0.0)

    def write(self, position: int, samples: Samples) -> None:
        """Put samples where they belong; what was there is overwritten."""
        self._samples[np.arange(position, position + len(samples)) % RING_FRAMES] = samples

    def read(self, out: Samples) -> None:
        """Fill `out` from the head on, and leave silence behind. Called by the card's thread."""
        self.taken += len(out)
        head = self.head
        if head is None:
            out.fill(0.0)
            return
        slots = np.arange(head, head + len(out)) % RING_FRAMES
        out[:] = self._samples[slots]
        self._samples[slots] = 0.0
        self.head = head + len(out)


class Speaker:
    """The machine's sound card. It plays one session at a time, and silence between them."""

    def __init__(self) -> None:
        """Raises `CannotServe` where there is no sound card."""
        self._ring = Ring()
        self._stream = open_stream(self._ring)

    @property
    def taken(self) -> int:
        """How many frames the card has taken: its clock, which moves whether music plays or not."""
        return self._ring.taken

    async def play(self, live: LiveSession) -> None:
        """Play `live` until it is over."""
        self._ring.clear()
        with live.attendance.attended(), live.attendance.heard_by_one_more():
            await feed(live, self._ring, int(self._stream.latency * SAMPLE_RATE))

    def close(self) -> None:
        """Give the card back."""
        self._stream.close()


class Player(Protocol):
    """Has the samples that are to be heard next."""

    def read(self, out: Samples) -> None:
        """Fill `out`. Called by the card's thread."""


def open_stream(player: Player) -> Any:
    """A running output stream of what `player` has. Raises `CannotServe` where there is no sound card."""
    try:
        import sounddevice  # its import raises OSError where PortAudio is missing
    except OSError as fault:
        raise CannotServe(f"sound card: {fault}; install PortAudio (Debian: libportaudio2)") from None

    def fill(out: Samples, _frames: int, _time: object, _status: object) -> None:
        player.read(out)

    try:
        stream = sounddevice.OutputStream(
            samplerate=SAMPLE_RATE, channels=CHANNELS, dtype="float32", latency=CARD_SECONDS, callback=fill
        )
        stream.start()
    except sounddevice.PortAudioError as fault:
        raise CannotServe(
            f"sound card: none can be used ({fault}); connect one, or listen on the page of `musicmed-live play`"
        ) from None
    return stream


async def feed(live: LiveSession, ring: Ring, latency_frames: int) -> None:
    """Keep the ring filled a little ahead of the head, until the session is over."""
    sent = 0

    def overwrite(position: int, _reason: str) -> None:
        nonlocal sent
        sent = min(sent, position)

    live.on_cut.add(overwrite)
    followed = 0.0
    try:
        while not live.over.is_set():
            if live.playing and ring.head is None:
                ring.head = sent = live.heard
            if not live.playing:
                ring.head = None
            if ring.head is not None:
                if time.monotonic() - followed > FOLLOW_SECONDS:
                    followed = time.monotonic()
                    live.follow(ring.head - latency_frames)
                sent = _top_up(live, ring, max(sent, ring.head))
            await asyncio.sleep(FEED_SECONDS)
    finally:
        live.on_cut.discard(overwrite)


def _top_up(live: LiveSession, ring: Ring, sent: int) -> int:
    until = min((ring.head or 0) + LEAD_FRAMES, live.available)
    if until <= sent:
        return sent
    ring.write(sent, live.audio(sent, until - sent))
    return until


async def play_on_speaker(wish: Plan, patient: str | None, server: "Server", say: Callable[[str], None]) -> None:
    """Play a session on the sound card, and serve the page that steers it, until it is over."""
    speaker = Speaker()
    serving = asyncio.create_task(server.serve_here(), name="server")
    playing = asyncio.create_task(_play_on(wish, patient, server, speaker, say), name="speaker")
    try:
        await asyncio.wait({serving, playing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.leave()
        playing.cancel()
        speaker.close()
    await serving
    await asyncio.wait({playing})
    if not playing.cancelled():
        playing.result()


async def _play_on(
    wish: Plan, patient: str | None, server: "Server", speaker: Speaker, say: Callable[[str], None]
) -> None:
    await server.started_up.wait()
    assert server.hub is not None
    entry = await server.hub.open(wish, patient)
    say(
        f"Playing on the speaker. Steer it at {server.url}#sound=server&session={entry.live.name}"
        f"&token={entry.tokens[Role.PATIENT]} - Ctrl-C ends it."
    )
    socket = f"{server.url.replace('http', 'ws', 1)}api/sessions/{entry.live.name}/live"
    say(f"For a wearable: musicmed-wearable ble --session '{socket}?token={entry.tokens[Role.SENSOR]}'")
    entry.live.handle(Play(), "speaker")
    await speaker.play(entry.live)
