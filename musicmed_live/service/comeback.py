"""The chosen generator gets ready to play (again) while the composer plays in its place."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, frames_of
from musicmed_live.errors import ForeignMemory, MusicmedError
from musicmed_live.service.sources import Part, Source

log = logging.getLogger(__name__)

STOCK_SECONDS = 4.0  # so much is made before it takes over
SPARE_SECONDS = 1.0  # between the moment at which that is made and the one at which it is heard
LOOK_SECONDS = 0.25  # how often it is looked whether it can begin
BACK_OFF_SECONDS = 2.0  # after it fell behind, and each time twice as long,
MAX_BACK_OFF_SECONDS = 300.0
STEADY_SECONDS = 60.0  # unless it kept up for so long


@dataclass(frozen=True, slots=True)
class Stock:
    """Music that is ready to be heard from the request's position on."""

    part: Part
    request: ClipRequest


def _latest(request: ClipRequest) -> int:
    """The last position at which enough of the stock is left to go on from."""
    return request.position + frames_of(STOCK_SECONDS / 2)


class Comeback:
    """Tries again and again until there is a stock. `run` it as a task."""

    def __init__(
        self,
        source: Source,
        open_part: Callable[[], Part],
        next_request: Callable[[int], ClipRequest | None],
        wake: Callable[[], None],
    ) -> None:
        """`next_request(frames)`: the clip to enter with, at least so far ahead; None while it is not wanted.

        `wake` is called when there is a stock.
        """
        self.stock: Stock | None = None
        self.memory: str | None = None  # of the voice that had played before this process began
        self._source = source
        self._open_part = open_part
        self._next_request = next_request
        self._wake = wake
        self._limit: asyncio.Timeout | None = None  # while it is being made,
        self._latest = 0  # for then, or not at all
        self._fault: str | None = None
        self._failures = 0  # since it last kept up
        self._not_before = 0.0  # in seconds of the loop's clock, as all times here
        self._returned = 0.0

    @property
    def ahead_frames(self) -> int:
        """How far ahead of what is heard it can enter: what it takes to make the stock, and some time to spare."""
        making = self._source.first_block_frames / SAMPLE_RATE + STOCK_SECONDS / self._source.voice_realtime_x
        return frames_of(1.25 * making + SPARE_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether a stock is there or being made."""
        return self._limit is not None or self.stock is not None

    @property
    def fault(self) -> str | None:
        """What went wrong last, in one sentence; None while nothing did."""
        return f"{self._fault}, again and again" if self._fault and self._failures > 2 else self._fault

    def fell_behind(self, fault: str) -> None:
        """It played, and the composer had to take over."""
        if asyncio.get_running_loop().time() - self._returned > STEADY_SECONDS:
            self._failures = 0
        self._put_off(fault)

    def watch(self, heard: int) -> None:
        """Give up what can no longer be made in time."""
        if self._limit is not None and heard > self._latest:
            self._put_off(f"{self._source.title} fell behind")

    def drop(self) -> None:
        """What has been made does not fit any more: throw it away."""
        if self._limit is not None:
            limit, self._limit = self._limit, None
            limit.reschedule(asyncio.get_running_loop().time())
        if self.stock is not None:
            self.stock.part.close()
            self.stock = None

    def take(self, soonest: int) -> Stock | None:
        """Hand the stock over, if enough of it comes after the position `soonest`."""
        if self.stock is None or soonest > _latest(self.stock.request):
            self._put_off(f"{self._source.title} fell behind")
            return None
        stock, self.stock, self._fault = self.stock, None, None
        self._returned = asyncio.get_running_loop().time()
        self.memory = None
        return stock

    async def run(self) -> None:
        """Whenever a stock is wanted, make it, or claim the room for it, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            rests = self.stock is not None or asyncio.get_running_loop().time() < self._not_before
            if rests or not (self._source.full or self._source.absence is None):
                continue
            if (request := self._next_request(self.ahead_frames)) is None:
                continue
            if self._source.full:
                self._source.claim()
            else:
                await self._try(request)

    def close(self) -> None:
        """Let go of everything."""
        if self.stock is not None:
            self.stock.part.close()

    def _put_off(self, fault: str) -> None:
        """It has failed: let it rest, longer each time."""
        now = asyncio.get_running_loop().time()
        self._not_before = now + min(BACK_OFF_SECONDS * 2 ** min(self._failures, 16), MAX_BACK_OFF_SECONDS)
        self._failures += 1
        self._fault = fault
        self.drop()

    async def _try(self, request: ClipRequest) -> None:
        begun = asyncio.get_running_loop().time()
        self._latest = _latest(request)
        try:
            async with asyncio.timeout(None) as self._limit:
                await self._make(request, begun + self.ahead_frames / SAMPLE_RATE)
        except TimeoutError:
            pass  # whoever set the limit knows why
        except MusicmedError as fault:
            log.warning("%s: %s", self._source.title, fault)
            self._limit = None
            if isinstance(fault, ForeignMemory):
                self.memory = None  # next time it begins anew
            self._put_off(f"{self._source.title} failed: {fault}")
        finally:
            self._limit = None

    async def _make(self, request: ClipRequest, deadline: float) -> None:
        part = self._open_part()
        try:
            part.add(await part.voice.begin(request, deadline, self.memory))
            enough = request.position + frames_of(STOCK_SECONDS)
            while part.track.end < enough and (block := await part.voice.next_block(deadline)) is not None:
                part.add(block)
            self.stock = Stock(part, request)
        finally:
            if self.stock is None:
                part.close()
        self._wake()
