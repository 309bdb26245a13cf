"""A voice: one session's thread of tokens, and the sound that it becomes.

The codec looks a little ahead: what is heard at a position depends on tokens that lie `latency_frames` behind it. So a
voice that is rewound keeps those, and draws anew from there on: what follows joins what was heard sample for sample.
"""

import json
import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from operator import itemgetter

import numpy as np
import torch

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import CHANNELS, Block, ClipRequest, Cue, Preference, Samples, frames_of
from musicmed_live.errors import GeneratorFailed, InvalidInput
from musicmed_live.musicgen.adapters import adapter_weights
from musicmed_live.musicgen.codec import CodecState, StreamingCodec
from musicmed_live.musicgen.conditioning import Conditioner, beside
from musicmed_live.musicgen.decoder import DecoderConfig
from musicmed_live.musicgen.emotion_tokens import EmotionTokens
from musicmed_live.musicgen.engine import Conditioning, Engine
from musicmed_live.musicgen.level import LEVEL_FRAMES, Level
from musicmed_live.musicgen.prompts import blend
from musicmed_live.musicgen.thread import PROMPT_FRAMES, Thread

BLOCK_FRAMES = frames_of(0.2)
TAKE_FRAMES = frames_of(10.0)  # so much of a clip is rehearsed: what begins well goes on so, being drawn from that
REMEMBERED_FRAMES = frames_of(19.5)  # how far back a voice can be rewound
EMOTION_STEP = 0.05  # the decoder is told of an emotion that has moved so far
LEAST_MEMORY_FRAMES = 50  # of tokens, 1 s: less is no music to go on from
MEMORY_VERSION = 1
REST_FRAMES = frames_of(8.0)  # a piece that ends dies away for so long


class Slots:
    """The slots of an engine in pairs, one for each lane of a thread. Some are spare: takes use them, and no voice."""

    def __init__(self, count: int, spare: int = 0) -> None:
        """Of an engine with `count` slots, of which so many pairs are spare."""
        self._free = [(2 * pair, 2 * pair + 1) for pair in range(count // 2)]
        self._voices = len(self._free) - spare
        self._spare = spare

    def take(self) -> tuple[int, int]:
        """A pair that nobody else has. Raises `GeneratorFailed` where all but the spare ones are taken."""
        if len(self._free) <= self._spare:
            raise GeneratorFailed(f"MusicGen has room for {self._voices} threads of music here, and all are in use")
        return self._free.pop()

    def take_spare(self, most: int) -> list[tuple[int, int]]:
        """As many as are spare, up to so many."""
        taken = [self._free.pop() for _ in range(min(most, self._spare))]
        self._spare -= len(taken)
        return taken

    def give_spare(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Let them be spare again."""
        self._free += pairs
        self._spare += len(pairs)

    def give(self, pair: tuple[int, int]) -> None:
        """Let others have it."""
        self._free.append(pair)


@dataclass(frozen=True, slots=True)
class Studio:
    """What the voices of one generator share."""

    engine: Engine
    slots: Slots
    codec: StreamingCodec
    conditioner: Conditioner
    decoding: Executor  # of one thread: one core decodes while the others draw the tokens that follow
    places: tuple[Emotion | None, ...] = ()  # where in the plane each adapter belongs; None: everywhere
    tokens: tuple[EmotionTokens | None, ...] = ()  # those of each adapter; None: it knows nothing but text

    def conditioning(self, emotion: Emotion, instruments: Preference, style: Preference) -> Conditioning:
        """What the decoder is told."""
        prompts = blend(emotion, instruments, style)
        weights = adapter_weights(emotion, self.places)
        text = self.conditioner.blend(prompts, weights)
        return beside(text, emotion, list(zip(self.tokens, weights, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class _Sound:
    """How far a lane has sounded, and all that goes on sounding: a value, so that one can go back to it."""

    position: int
    codec: CodecState
    level: Level
    consumed: int = 0  # frames of tokens that the codec has taken
    rest: Samples = field(default_factory=lambda: np.zeros((0, CHANNELS), np.float32))  # decoded, and not heard yet


class MusicgenVoice:
    """One session's music. The same seed and the same calls give the same samples on the same machine."""

    def __init__(self, studio: Studio, seed: int, position: int, memory: str | None = None) -> None:
        """Raises `GeneratorFailed` where there is no room for it, `InvalidInput` for a memory that is none of these.

        `close` it when it is done with.
        """
        past = None if memory is None else _recalled(memory, studio.engine.config)
        self._studio, self._origin = studio, position
        self._pairs = [studio.slots.take()]  # of each lane
        self._thread = Thread(studio.engine, self._pairs[0], seed)
        self._seeds = seed  # the last that was used; lanes that are added go on from it
        self._sounds = [deque([_Sound(position, studio.codec.begin(), Level())])]  # of each lane, the last one now
        self._told: tuple[Emotion, Preference, Preference] | None = None
        self._rehearsed: int | None = None  # where takes begin that are not settled
        self._clip: Generator[list[Block], None, None] | None = None
        if past is not None:
            with ExitStack() as giving_back:
                giving_back.callback(studio.slots.give, self._pairs[0])
                self._begin_after(past)
                giving_back.pop_all()

    @property
    def position(self) -> int:
        """The frame up to which the music has sounded."""
        return self._reached if self._rehearsed is None else self._rehearsed

    @property
    def _reached(self) -> int:
        return self._sounds[0][-1].position

    def compose(self, request: ClipRequest, heard_from: int = 0) -> Iterator[Block]:
        """The clip in blocks of 0.2 s, made as they are asked for; each may be cut anywhere. None is left out.

        Raises `ValueError` if the clip does not begin where the music stands or is empty.
        """
        self._begin(request)
        self._clip = self._blocks(request, request.position + request.frames)
        return map(itemgetter(0), self._clip)

    def rewind(self, position: int) -> int:
        """Forget everything from `position` on, and return it: the music can be cut anywhere.

        What is composed next joins on without a seam; it is told of a new emotion `latency_frames` of the codec behind
        `position`. Raises `ValueError` where that lies ahead of the music or before what is remembered (19.5 s).
        """
        self._leave_takes()
        return self._rewind(position)

    def rehearse(self, request: ClipRequest, takes: int) -> Iterator[Sequence[Block]]:
        """The clip's first 10 s in as many takes, up to so many, as there is room for, each drawn otherwise.

        They share each pass through the weights. Raises as `compose` does.
        """
        self._begin(request)
        pairs = self._studio.slots.take_spare(takes - 1)
        for pair in pairs:
            self._seeds += 1
            self._thread.fork(pair, self._seeds)
            self._sounds.append(self._sounds[0].copy())
        self._pairs += pairs
        self._rehearsed = request.position
        self._clip = self._blocks(request, request.position + min(request.frames, TAKE_FRAMES))
        return self._clip

    def settle(self, take: int) -> None:
        """Go on from the end of this take. Raises `ValueError` where there was none."""
        if self._rehearsed is None or not 0 <= take < len(self._pairs):
            raise ValueError(f"there is no take {take} of what was rehearsed")
        self._stop()
        self._rehearsed = None
        self._thread.keep(take)
        self._sounds = [self._sounds[take]]
        kept = self._pairs.pop(take)
        self._studio.slots.give_spare(self._pairs)
        self._pairs = [kept]

    def _rewind(self, position: int) -> int:
        sounds = self._sounds[0]
        if not sounds[0].position <= position <= self._reached:
            raise ValueError(
                f"cannot rewind to frame {position}: remembered are {sounds[0].position} to {self._reached}"
            )
        self._stop()
        while sounds[-1].position > position:
            sounds.pop()
        if sounds[-1].position < position:
            self._play(position - sounds[-1].position, position)
        self._thread.rewind(min(self._needed(position), self._thread.drawn))
        return position

    def pretend(self, frames: int) -> None:
        """Let a voice that has not played yet be one that has, for so many frames of the codec: for measurements."""
        self._thread.pretend(frames)
        self._join(frames)

    def memory(self) -> str | None:
        """Its last 10 s as tokens, from which another voice goes on; None where there is too little to go on from.

        Takes that were not settled are forgotten.
        """
        self._leave_takes()
        codes = self._thread.known(PROMPT_FRAMES)
        if codes.shape[1] < LEAST_MEMORY_FRAMES:
            return None
        return json.dumps({"version": MEMORY_VERSION, "tokens": codes.tolist()}, separators=(",", ":"))

    def _begin_after(self, codes: torch.Tensor) -> None:
        """Let these tokens be what was played last, shape (codebooks, frames)."""
        self._thread.recall(codes)
        self._join(codes.shape[1])

    def _join(self, frames: int) -> None:
        """Let the sound go on from so many frames of tokens, of which the codec has heard the last."""
        latency, sound = self._studio.codec.latency_frames, self._sounds[0][0]
        _, codec = self._studio.codec.decode(self._thread.codes(0, frames - latency, frames), sound.codec)
        self._origin = sound.position - (frames - latency) * LEVEL_FRAMES
        self._sounds[0][0] = replace(sound, codec=codec, consumed=frames)

    def close(self) -> None:
        """Make room for others."""
        self._stop()
        if self._pairs:
            self._studio.slots.give_spare(self._pairs[1:])
            self._studio.slots.give(self._pairs[0])
            self._pairs = []

    def _begin(self, request: ClipRequest) -> None:
        self._leave_takes()
        if request.position != self._reached:
            raise ValueError(f"a clip at frame {request.position} does not continue the music at {self._reached}")
        if request.frames <= 0:
            raise ValueError(f"a clip of {request.frames} frames is empty")
        self._stop()

    def _leave_takes(self) -> None:
        """Be again where a rehearsal began that was not settled."""
        if self._rehearsed is not None:
            position = self._rehearsed
            self.settle(0)
            self._rewind(position)

    def _stop(self) -> None:
        if self._clip is not None:
            self._clip.close()
            self._clip = None

    def _blocks(self, request: ClipRequest, until: int) -> Generator[list[Block], None, None]:
        """The next block of every lane, again and again until position `until` of the clip.

        While a block is decoded, the tokens of the next are drawn; the first block of a clip does not wait for that.
        """
        end = request.position + request.frames
        while (position := self._reached) < until:
            after = min(position + BLOCK_FRAMES, until)
            self._follow(request, (position + after) // 2)
            ahead = after if position == request.position else min(after + BLOCK_FRAMES, until)
            sounds = self._play(after - position, ahead)
            gain = _dying_away(position, after, end) if request.final else np.ones((1, 1), np.float32)
            yield [Block(position, samples * gain, Cue.FREE, 0.0, "", ()) for samples in sounds]

    def _follow(self, request: ClipRequest, position: int) -> None:
        """Tell the decoder what to play at `position`, where that has changed."""
        emotion = request.start.blend(request.end, (position - request.position) / request.frames)
        told = self._told
        if told is None or told[1:] != (request.instruments, request.style) or told[0].distance(emotion) > EMOTION_STEP:
            self._thread.follow(self._studio.conditioning(emotion, request.instruments, request.style))
            self._told = (emotion, request.instruments, request.style)

    def _needed(self, position: int) -> int:
        """Frames of tokens without which the sound up to `position` is not known."""
        return math.ceil((position - self._origin) / LEVEL_FRAMES) + self._studio.codec.latency_frames

    def _play(self, frames: int, ahead: int) -> list[Samples]:
        """The next samples of every lane, shape (frames, 2). Tokens are drawn up to position `ahead` meanwhile."""
        end = self._reached + frames
        self._thread.grow(self._needed(end))
        decoding = [
            self._studio.decoding.submit(self._sound, lane, end, self._codes(lane, end))
            for lane in range(len(self._pairs))
        ]
        self._thread.grow(self._needed(ahead))
        return [future.result() for future in decoding]

    def _codes(self, lane: int, end: int) -> torch.Tensor:
        """The tokens that the codec has yet to take for the sound up to position `end`."""
        consumed = self._sounds[lane][-1].consumed
        return self._thread.codes(lane, consumed, max(consumed, self._needed(end)))

    def _sound(self, lane: int, end: int, codes: torch.Tensor) -> Samples:
        """The samples of a lane up to position `end`, of which these are the tokens."""
        sounds = self._sounds[lane]
        sound = sounds[-1]
        with self._studio.engine.lending():
            decoded, codec = self._studio.codec.decode(codes, sound.codec)
        level = sound.level if self._told is None else sound.level.towards(self._told[0])
        levelled, level = level.apply(decoded)
        rest = np.concatenate((sound.rest, levelled))
        frames = end - sound.position
        sounds.append(_Sound(end, codec, level, sound.consumed + codes.shape[1], rest[frames:]))
        while sounds[1].position <= end - REMEMBERED_FRAMES:
            sounds.popleft()
        return rest[:frames]


def _recalled(memory: str, config: DecoderConfig) -> torch.Tensor:
    """The tokens of a memory, shape (codebooks, frames)."""
    try:
        kept = json.loads(memory)
        codes = torch.tensor(kept["tokens"], dtype=torch.int64)
        version = kept["version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidInput("memory: it is none of MusicGen's", "memory") from None
    fits = codes.ndim == 2 and codes.shape[0] == config.codebooks
    if version != MEMORY_VERSION or not fits or not LEAST_MEMORY_FRAMES <= codes.shape[1] <= PROMPT_FRAMES:
        raise InvalidInput("memory: it is of another version, or of another model", "memory")
    if not 0 <= int(codes.min()) <= int(codes.max()) < config.vocab:
        raise InvalidInput("memory: it has tokens that this model does not know", "memory")
    return codes


def _dying_away(start: int, stop: int, end: int) -> Samples:
    """Gain of frames [start, stop) of a piece that ends at `end`, half a cosine; shape (frames, 1)."""
    left = np.clip((end - np.arange(start, stop)) / REST_FRAMES, 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * left), np.float32)[:, None]
