"""A heart that is simulated, told as a strap tells it: once a second, the beats of that second."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import count

from clients.wearable.heart import beats
from clients.wearable.pace import in_time
from clients.wearable.reading import HeartRate, heart_rate
from clients.wearable.relay import Packet

RATE_BEATS = 5  # a strap's rate is the mean of about so many


def packets(bpm: float, stress_at: float | None, seed: int) -> Iterator[tuple[float, HeartRate]]:
    """Endless (second, packet), one each second from the first beats on."""
    coming = beats(bpm, stress_at, seed)
    recent: deque[float] = deque(maxlen=RATE_BEATS)
    at, interval_ms = next(coming)
    for second in count(1):
        new: list[float] = []
        while at < second:
            new.append(interval_ms)
            at, interval_ms = next(coming)
        recent.extend(new)
        if recent:
            yield float(second), heart_rate(round(60_000 * len(recent) / sum(recent)), new, contact=True)


class Simulation:
    """The heart of `beats`, in real time; after a lost connection it goes on, as a heart does."""

    name = "simulated heart"

    def __init__(self, bpm: float, stress_at: float | None, seed: int) -> None:
        self._packets = packets(bpm, stress_at, seed)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Packet]]:
        """It is always there."""
        async with aclosing(in_time(self._packets, 1.0)) as readings:
            yield readings
