"""Calm music that is kept ready, for when it is too much: it always comes from the composer."""

import asyncio
import logging
from dataclasses import replace

from musicmed_live.core.events import Land
from musicmed_live.core.generator import Block, ClipRequest, frames_of
from musicmed_live.core.plan import Plan
from musicmed_live.core.session import LANDING_EMOTION
from musicmed_live.core.timeline import Clip, Track
from musicmed_live.errors import GeneratorFailed
from musicmed_live.service import voices
from musicmed_live.service.workers import MAX_DEATHS, Worker

log = logging.getLogger(__name__)

CLIP_FRAMES = frames_of(8.0)
COMPOSER = "composer"
REASON = "Calm music is kept ready by the composer"


class Landing:
    """Composed once, after `settled` is set; used as often as it is needed."""

    def __init__(self, wish: Plan, worker: Worker) -> None:
        """`worker` is one of the composer's."""
        self.settled = asyncio.Event()  # there is time for more than the next block
        self._wish, self._worker = wish, worker
        self._blocks: list[Block] = []
        self._track: Track | None = None

    def clip(self, action: Land) -> Clip | None:
        """The music, placed where `action` wants it; None where there is none yet."""
        if not self._blocks:
            return None
        self._track = Track(COMPOSER)
        for block in self._blocks:
            self._track.add(replace(block, position=block.position + action.position))
        return Clip(action.position, CLIP_FRAMES, LANDING_EMOTION, LANDING_EMOTION, self._track, action.fade_frames)

    def is_on(self, track: Track) -> bool:
        """Whether that is the track on which it was placed last."""
        return track is self._track

    async def prepare(self) -> None:
        """Compose it. Where the worker dies over it again and again, there is none, and a fade must do."""
        wish = self._wish
        request = ClipRequest(0, CLIP_FRAMES, LANDING_EMOTION, LANDING_EMOTION, wish.instruments, wish.style)
        await self.settled.wait()
        for _ in range(MAX_DEATHS):
            deadline = asyncio.get_running_loop().time() + 1.0
            try:
                self._blocks = await self._worker.call(deadline, voices.compose_alone, wish.seed, request)
            except GeneratorFailed as fault:
                log.warning("calm music: %s", fault)
            else:
                return
