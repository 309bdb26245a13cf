"""Readings, each at its time."""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from clients.wearable.reading import HeartRate
from clients.wearable.relay import Packet


async def in_time(timed: Iterable[tuple[float, HeartRate]], speed: float) -> AsyncGenerator[Packet, None]:
    """Each of `timed`, (second, reading) in order, when its second has come; `speed` seconds go by in one."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for second, reading in timed:
        await asyncio.sleep(start + second / speed - loop.time())
        yield reading
