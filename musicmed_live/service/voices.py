"""What runs in a worker process: one generator and the voices of the sessions that live there.

The functions are called one at a time (`workers.py`).
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from musicmed_live.core.generator import Block, ClipRequest, Generator, Pace, Recipe, Voice, frames_of
from musicmed_live.core.judgement import Mono, mono_of
from musicmed_live.errors import ForeignMemory, GeneratorFailed, InvalidInput
from musicmed_live.service.generators import Choice, load_generator


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a generator that is warm."""

    pace: Pace
    voices: int | None  # that there is room for
    takes: int  # of a clip that can be made at once


@dataclass(slots=True)
class _Rehearsal:
    """Takes that are being made, and what they have come to."""

    request: ClipRequest
    memory: str | None  # of the voice where it begins
    blocks: Iterator[Sequence[Block]]
    made: list[list[Block]] = field(default_factory=list)  # of each take


_choice, _processes = Choice(), 1
_voices: dict[str, Voice] = {}
_clips: dict[str, Iterator[Block]] = {}
_rehearsals: dict[str, _Rehearsal] = {}


def prepare(choice: Choice, processes: int) -> None:
    """Say what is to be played here, by one of so many processes. It is loaded by the first call that needs it."""
    global _choice, _processes
    _choice, _processes = choice, processes


@functools.cache
def _generator() -> Generator:
    return load_generator(_choice, _processes)


def warm_up() -> Measured:
    """Load what the first sessions would otherwise wait for, and measure."""
    generator = _generator()
    return Measured(generator.warm_up(), generator.voices, generator.takes)


def open_voice(name: str, seed: int, position: int, memory: str | None = None) -> None:
    """A new voice under that name, whose first clip begins at `position`; it takes the place of an older one.

    It goes on from the `memory` of another one, if that can be used.
    """
    close_voice(name)
    try:
        _voices[name] = _generator().open_voice(seed, position, memory)
    except InvalidInput as fault:
        raise ForeignMemory(f"the voice cannot go on: {fault}") from None


def begin_clip(name: str, request: ClipRequest, rewind: bool, heard_from: int = 0) -> Block:
    """Begin a clip and return its first block that ends after `heard_from`, or else its last one; `rewind` to the first
    cue point at or after it before.

    The clip then begins at that cue point and ends where `request` ends, or lasts at least a second.
    """
    voice = _voice(name)
    _rehearsals.pop(name, None)
    try:
        if rewind:
            cue = voice.rewind(request.position)
            end = max(request.position + request.frames, cue + frames_of(1.0))
            request = replace(request, position=cue, frames=end - cue)
        memory = voice.memory()
        _clips[name] = voice.compose(request, heard_from)
        block = next(block for block in _clips[name] if block.end > heard_from)
        return _with_recipe(block, request, memory)
    except ValueError as fault:
        raise GeneratorFailed(f"the voice cannot go on: {fault}") from None


def next_block(name: str) -> Block | None:
    """The next block of the clip begun last; None after its last one."""
    _voice(name)
    return next(_clips[name], None)


def rehearse(name: str, request: ClipRequest, takes: int) -> None:
    """Begin to try a clip, in up to so many takes. `rehearse_on` goes on with it, `begin_take` plays one of them."""
    try:
        voice = _voice(name)
        _rehearsals[name] = _Rehearsal(request, voice.memory(), voice.rehearse(request, takes))
    except ValueError as fault:
        raise GeneratorFailed(f"the voice cannot rehearse: {fault}") from None


def rehearse_on(name: str) -> list[Mono] | None:
    """Make the takes a block longer. Once they are whole: the sound of each, shape (frames,) at 48 kHz."""
    _voice(name)
    rehearsal = _rehearsals[name]
    blocks = next(rehearsal.blocks, None)
    if blocks is None:
        sounds = [np.concatenate([mono_of(block.samples) for block in take]) for take in rehearsal.made]
        if len(sounds) == 1:
            del _rehearsals[name]  # it can be composed again, and needs no memory until then
        return sounds
    rehearsal.made = rehearsal.made or [[] for _ in blocks]
    for take, block in zip(rehearsal.made, blocks, strict=True):
        take.append(block)
    return None


def begin_take(name: str, take: int) -> Block:
    """Begin the clip that was rehearsed in several takes with this one of them; its first block."""
    voice, rehearsal = _voice(name), _rehearsals.pop(name, None)
    if rehearsal is None:
        raise GeneratorFailed(f"there is no take {take}: nothing was rehearsed")
    voice.settle(take)
    made = rehearsal.made[take]
    rest = rehearsal.request.rest(made[-1].end)
    _clips[name] = chain(made, () if rest is None else voice.compose(rest))
    return _with_recipe(next(_clips[name]), rehearsal.request, rehearsal.memory)


def _with_recipe(first: Block, request: ClipRequest, memory: str | None) -> Block:
    """The first block of a clip, with how that can be made again."""
    return first if memory is None else replace(first, recipe=Recipe(request, memory))


def _voice(name: str) -> Voice:
    voice = _voices.get(name)
    if voice is None:
        raise GeneratorFailed("the worker process died and took the voice along")
    return voice


def compose_alone(seed: int, request: ClipRequest) -> list[Block]:
    """A clip by a voice that is used for nothing else."""
    with closing(_generator().open_voice(seed, request.position)) as voice:
        return list(voice.compose(request))


def close_voice(name: str) -> None:
    """Forget a voice, if there is one of that name."""
    _clips.pop(name, None)
    _rehearsals.pop(name, None)
    voice = _voices.pop(name, None)
    if voice is not None:
        voice.close()
