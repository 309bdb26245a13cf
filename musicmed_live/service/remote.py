"""A session's voice, which lives in a worker process and may be lost with it."""

import numpy as np

from musicmed_live.core.generator import Block, ClipRequest, Recipe
from musicmed_live.core.judgement import Mono
from musicmed_live.errors import GeneratorFailed
from musicmed_live.service import voices
from musicmed_live.service.workers import Worker

LOUDEST = 1000.0  # of a sample, 60 dB over full scale: nothing that sounds is so far off


def checked(block: Block) -> Block:
    """The block, if it can be heard. Raises `GeneratorFailed` where damaged weights made something else of it."""
    if not float(np.abs(block.samples).max(initial=0.0)) < LOUDEST:  # so NaN fails, too
        raise GeneratorFailed("it made numbers that are no sound; see that its weights are not damaged")
    return block


class RemoteVoice:
    """Knows how far its voice has come and how far back it goes, and opens it anew where there is none.

    Every call raises `GeneratorFailed` if the worker dies, or the voice cannot do what it was asked or makes
    what is no sound; it is lost then.
    """

    def __init__(self, name: str, seed: int, worker: Worker) -> None:
        self._name, self._seed, self._worker = name, seed, worker
        self.begins: int | None = None  # where it was opened; None where there is none
        self.end = 0  # position after its last block
        self._in_clip = False
        self._is_ahead = False  # whether it has made more than it has given

    def remembers(self, position: int) -> bool:
        """Whether a clip may begin at `position` without a new voice."""
        return self.begins is not None and self.begins <= position <= self.end

    async def take_up(self, recipe: Recipe, heard_from: int, deadline: float) -> Block:
        """Begin a clip as another voice had begun it; its first block that ends after `heard_from`, which it has."""
        request = recipe.request
        self.begins = None
        await self._worker.call(deadline, voices.open_voice, self._name, self._seed, request.position, recipe.memory)
        begin = voices.begin_clip
        block = checked(await self._worker.call(deadline, begin, self._name, request, False, heard_from))
        self.begins, self._in_clip, self._is_ahead = block.position, True, False
        self.end = block.end
        return block

    async def begin(self, request: ClipRequest, deadline: float, memory: str | None = None) -> Block:
        """Begin a clip and return its first block. `deadline` is in seconds of the loop's clock.

        A voice that has sounded `request.position` is rewound to the first cue point at or after it, and the clip
        begins there. Otherwise a new voice begins at `request.position`, with the `memory` of another one.
        """
        known = self.remembers(request.position)
        begins = self.begins if known else request.position
        self.begins, self._in_clip = None, False  # until it is known to have gone well
        if not known:
            await self._worker.call(deadline, voices.open_voice, self._name, self._seed, request.position, memory)
        rewinds = known and (request.position < self.end or self._is_ahead)
        block = checked(await self._worker.call(deadline, voices.begin_clip, self._name, request, rewinds))
        self.begins, self._in_clip, self._is_ahead = begins, True, False
        self.end = block.end
        return block

    async def rehearse(self, request: ClipRequest, takes: int, deadline: float) -> list[Mono]:
        """How the clip would sound, in up to so many takes; the voice stays where it is.

        Whoever cancels it may ask for anything then. It is called between clips.
        """
        try:
            await self._worker.call(deadline, voices.rehearse, self._name, request, takes)
            while True:
                sounds = await self._worker.call(deadline, voices.rehearse_on, self._name)
                if sounds is not None:
                    return sounds
        except GeneratorFailed:
            self.begins = None
            raise

    async def begin_take(self, take: int, deadline: float) -> Block:
        """Begin the clip that was rehearsed last in several takes with this one of them; its first block."""
        begins, self.begins = self.begins, None
        block = checked(await self._worker.call(deadline, voices.begin_take, self._name, take))
        self.begins, self._in_clip, self._is_ahead = begins, True, True
        self.end = block.end
        return block

    async def next_block(self, deadline: float) -> Block | None:
        """The next block of the clip that was begun last; None after its last one."""
        if not self._in_clip:
            return None
        begins, self.begins, self._in_clip = self.begins, None, False
        block = await self._worker.call(deadline, voices.next_block, self._name)
        if block is None:
            self._is_ahead = False
        else:
            self.end = checked(block).end
        self.begins, self._in_clip = begins, block is not None
        return block

    def close(self) -> None:
        """Let the worker forget it."""
        self.begins = None
        self._worker.post(voices.close_voice, self._name)
