"""The generators that sessions draw on: the one that was chosen, and the composer, which is always there."""

import asyncio
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass

from musicmed_live.core.bounds import Bounds
from musicmed_live.core.generator import Block, Pace, frames_of
from musicmed_live.core.timeline import Track
from musicmed_live.errors import GeneratorFailed, InvalidInput, MusicmedError
from musicmed_live.service.generators import TITLES, Choice
from musicmed_live.service.judging import Judge
from musicmed_live.service.remote import RemoteVoice
from musicmed_live.service.workers import Worker, Workers

log = logging.getLogger(__name__)

LEAST_REALTIME_X = 1.1  # slower than that, and the first hitch is never made up for
LEAST_MARGIN_SECONDS = 0.12  # a block has to get from the worker to the listener, too
SLACK_SECONDS = 0.8  # at real time; a faster generator makes up for a hitch so much sooner
HANDOVER_FRAMES = frames_of(0.25)  # is mixed before another voice can be heard
SPARE_FRAMES = frames_of(0.05)  # the music is cut so much later than it might be
RETRY_SECONDS = 60.0  # a generator that failed or was too slow is tried again after this, and each time twice as long
MAX_RETRY_SECONDS = 960.0
CLAIM_SECONDS = 1.0  # who wants a voice claims it oftener than that


class BrokenBounds(GeneratorFailed):
    """A generator made what is forbidden."""


class Source:
    """A generator as sessions see it: its workers, its pace, and whether it has room for another voice."""

    def __init__(self, choice: Choice, workers: Workers) -> None:
        self.name = choice.name
        self.title = TITLES[choice.name]
        self.workers = workers
        self._pace: Pace | None = None
        self._voices: int | None = None  # that it keeps going at once
        self.held = 0  # voices that are open
        self.takes = 0  # of a clip that it can make at once
        self._claimed = -math.inf  # when somebody did last, by the loop's clock
        self._fault = f"{self.title} is still loading"

    @property
    def absence(self) -> str | None:
        """Why a session cannot have a voice of it now, in one sentence; None where it can."""
        if self._pace is None:
            return self._fault
        if self._is_too_slow():
            made = f"{self._pace.realtime_x:.2f}"
            return f"{self.title} makes {made} s of music in a second on this machine; it needs {LEAST_REALTIME_X}"
        if self.full:
            return f"{self.title} plays in as many other sessions as it keeps up with ({self._voices})"
        return None

    @property
    def full(self) -> bool:
        """Whether as many voices are open as it has room for."""
        return self._voices is not None and self.held >= self._voices

    @property
    def claimed(self) -> bool:
        """Whether somebody plays who would have a voice of it if there were room."""
        return asyncio.get_running_loop().time() - self._claimed < CLAIM_SECONDS

    def claim(self) -> None:
        """Say so; to be said again and again."""
        self._claimed = asyncio.get_running_loop().time()

    @property
    def loaded(self) -> bool:
        """Whether it can make music at once."""
        return self._pace is not None

    @property
    def first_block_frames(self) -> int:
        """What is heard while it makes the first block of a clip."""
        seconds = 0.0 if self._pace is None else self._pace.first_block_seconds
        return frames_of(max(LEAST_MARGIN_SECONDS, seconds))

    @property
    def slack_frames(self) -> int:
        """How much music has to be ahead, for it to be in time in spite of a hitch."""
        return frames_of(SLACK_SECONDS / self.voice_realtime_x)

    @property
    def voice_realtime_x(self) -> float:
        """Seconds of music in a second, for each of the voices that are open."""
        return (1.0 if self._pace is None else self._pace.realtime_x) / max(1, self.held)

    async def warm_up(self) -> None:
        """Return when it is ready. Raises `MusicmedError` if it cannot work."""
        measured = await self.workers.warm_up()
        self._pace = Pace(
            min(found.pace.realtime_x for found in measured), max(found.pace.first_block_seconds for found in measured)
        )
        places, self.takes = measured[0].voices, measured[0].takes
        self._voices = None if places is None else max(1, min(places, int(self._pace.realtime_x / LEAST_REALTIME_X)))

    async def stay_ready(self) -> None:
        """Load it again whenever its process dies; measure it again where something may have kept the machine busy."""
        pause = RETRY_SECONDS
        while True:
            try:
                async with asyncio.timeout(pause if self._is_too_slow() else None):
                    await self.workers.lose_one()
            except TimeoutError:
                pause = min(2 * pause, MAX_RETRY_SECONDS)
            else:
                self._pace, self._fault = None, f"{self.title} stopped and is being loaded again"
            await self._warm_up_at_last()

    async def _warm_up_at_last(self) -> None:
        pause = RETRY_SECONDS
        while True:
            try:
                return await self.warm_up()
            except MusicmedError as fault:
                log.warning("%s cannot be loaded again: %s", self.title, fault)
                self._pace, self._fault = None, f"{self.title} cannot work any more: {fault}"
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RETRY_SECONDS)

    def _is_too_slow(self) -> bool:
        return self._pace is not None and self._pace.realtime_x < LEAST_REALTIME_X


@dataclass(frozen=True, slots=True)
class Sources:
    """What a house has to offer. Where the composer is chosen, both are the same."""

    chosen: Source
    stand_in: Source
    judge: Judge

    @property
    def differ(self) -> bool:
        """Whether there is a generator to stand in for the chosen one."""
        return self.chosen is not self.stand_in

    def check_wish(self, generator: str | None) -> None:
        """Raises `InvalidInput` where a session asks for a generator that is not here."""
        names = [source.name for source in self.all]
        if generator is not None and generator not in names:
            plays = " and ".join(names)
            raise InvalidInput(f"generator: there is no {generator} here; this house plays {plays}", "generator")

    def barred(self, bounds: Bounds) -> str | None:
        """Why the chosen one may not play within `bounds`, in one sentence; None where it may."""
        if not self.differ:
            return None
        if bounds.generator == self.stand_in.name:
            return f"{self.stand_in.title} was chosen for this session"
        if bounds.forbid:
            return f"{self.chosen.title} cannot promise to leave out what your therapist forbids"
        if bounds.tempo_bpm is not None:
            return f"{self.chosen.title} cannot promise to keep the tempo that your therapist allows"
        return None

    def floor_frames(self, source: Source) -> int:
        """What must be ahead while `source` plays, for the stand-in to take over without a gap; 0 where it cannot."""
        if source is self.stand_in:
            return 0
        return HANDOVER_FRAMES + self.stand_in.first_block_frames + source.slack_frames // 2

    def enough_frames(self, source: Source) -> int:
        """What `source` must have made before the music is cut for it. The stand-in's first block will do."""
        return 0 if source is self.stand_in else self.floor_frames(source) + source.slack_frames // 2

    def margin_frames(self, source: Source) -> int:
        """How far ahead of what is heard the music is cut: as long as it takes `source` to make enough."""
        if source is self.stand_in:
            return source.first_block_frames
        return source.first_block_frames + round(self.enough_frames(source) / source.voice_realtime_x) + SPARE_FRAMES

    @property
    def all(self) -> tuple[Source, ...]:
        """Each of them once."""
        return (self.stand_in, self.chosen) if self.differ else (self.chosen,)

    @property
    def restarts(self) -> int:
        """How many processes have died."""
        return sum(source.workers.restarts for source in self.all)

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Run the workers in `group` until `stop`."""
        return [self.judge.start(group), *(task for source in self.all for task in source.workers.start(group))]

    def stop(self) -> None:
        """Let the processes go."""
        self.judge.stop()
        for source in self.all:
            source.workers.stop()

    async def warm_up(self) -> None:
        """Get them ready, the stand-in first: sessions can play from then on, and it disturbs no measurement.

        Raises `MusicmedError` if one cannot work.
        """
        for source in self.all:
            await source.warm_up()

    async def stay_ready(self) -> None:
        """Look after the chosen one. The composer needs no care: it is loaded by whatever it is asked first."""
        if self.differ:
            await self.chosen.stay_ready()


class Part:
    """A voice of a source, and the track that it fills. While it is open it takes up room in the source."""

    def __init__(self, name: str, seed: int, source: Source, worker: Worker, bounds: Callable[[], Bounds]) -> None:
        """`name` is the session's, `bounds` says what holds for it now."""
        self.source = source
        self._bounds = bounds
        self.voice = RemoteVoice(f"{name} {source.name}", seed, worker)
        self.track = Track(source.name)
        self._open = True
        source.held += 1

    def check(self, block: Block) -> None:
        """Raises `BrokenBounds` where the block must not be heard."""
        broken = self._bounds().broken_by(block)
        if broken is not None:
            raise BrokenBounds(f"{self.source.title} broke the bounds at {block.position}: {broken}")

    def add(self, block: Block) -> None:
        """Let the track go on with a block. Raises `BrokenBounds` where it must not be heard."""
        self.check(block)
        self.track.add(block)

    def renew(self) -> None:
        """Go on with another track, which does not continue the one before."""
        self.track = Track(self.source.name)

    def close(self) -> None:
        """Let go of the voice. Its music stays where it is."""
        if self._open:
            self._open = False
            self.voice.close()
            self.source.held -= 1


def open_sources(choice: Choice) -> Sources:
    """Workers for what was chosen and, if that is another one, for the composer beside it.

    The voices of MusicGen share its weights: one process. It needs what cores there are, so beside it the composer,
    which makes music a hundred times as fast as it is heard, gets half of them.
    """
    cores = os.cpu_count() or 1
    composer = Choice()
    if choice.name == composer.name:
        only = Source(choice, Workers(choice, cores))
        return Sources(only, only, Judge())
    beside = Source(composer, Workers(composer, max(1, cores // 2)))
    return Sources(Source(choice, Workers(choice, 1)), beside, Judge())
