"""Calm music that is kept ready, for when it is too much: it always comes from the composer."""

import asyncio
import logging
from dataclasses import replace

from musicmed_live.core.events import Land
from musicmed_live.core.generator import Block, frames_of
from musicmed_live.core.session import Session
from musicmed_live.core.timeline import Clip, Track
from musicmed_live.errors import GeneratorFailed
from musicmed_live.service import voices
from musicmed_live.service.workers import MAX_DEATHS, Worker

log = logging.getLogger(__name__)

CLIP_FRAMES = frames_of(8.0)
COMPOSER = "composer"
REASON = "Calm music is kept ready by the composer"


class Landing:
    """Composed after `settled` is set, and anew when the bounds change; used as often as it is needed."""

    def __init__(self, session: Session, worker: Worker) -> None:
        """`worker` is one of the composer's."""
        self.settled = asyncio.Event()  # there is time for more than the next block
        self._session, self._worker = session, worker
        self._stale = asyncio.Event()
        self._request = session.landing_clip(CLIP_FRAMES)
        self._blocks: list[Block] = []
        self._track: Track | None = None

    def clip(self, action: Land) -> Clip | None:
        """The music, placed where `action` wants it; None where there is none yet that may be heard."""
        bounds, request = self._session.bounds, self._request
        if not self._blocks or not bounds.covers(request) or any(map(bounds.broken_by, self._blocks)):
            return None
        self._track = Track(COMPOSER)
        for block in self._blocks:
            self._track.add(replace(block, position=block.position + action.position))
        return Clip(action.position, CLIP_FRAMES, request.start, request.end, self._track, action.fade_frames)

    def is_on(self, track: Track) -> bool:
        """Whether that is the track on which it was placed last."""
        return track is self._track

    def renew(self) -> None:
        """The bounds have changed."""
        self._stale.set()

    async def prepare(self) -> None:
        """Compose it whenever there is none that fits, until cancelled."""
        await self.settled.wait()
        while True:
            self._stale.clear()
            await self._compose()
            await self._stale.wait()

    async def _compose(self) -> None:
        """Where the worker dies over it again and again, there is none, and a fade must do."""
        request, seed = self._session.landing_clip(CLIP_FRAMES), self._session.wish.seed
        for _ in range(MAX_DEATHS):
            deadline = asyncio.get_running_loop().time() + 1.0
            try:
                blocks = await self._worker.call(deadline, voices.compose_alone, seed, request)
            except GeneratorFailed as fault:
                log.warning("calm music: %s", fault)
            else:
                self._request, self._blocks = request, blocks
                return
