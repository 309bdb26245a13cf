"""What runs in a worker process: one generator and the voices of the sessions that live there.

The functions are called one at a time, through a pipe; what goes through it is pickled between processes of one
program, and never comes from outside.
"""

import functools
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from musicmed_live.core.generator import Block, ClipRequest, Generator, Pace, Voice, frames_of
from musicmed_live.errors import DeviceFailed, GeneratorFailed, MusicmedError
from musicmed_live.service.generators import Choice, load_generator

Measured = tuple[Pace, int | None]  # and how many voices are kept going at once
Answer = tuple[Any, MusicmedError | None]  # a result, or what was raised instead

_choice, _processes = Choice(), 1
_voices: dict[str, Voice] = {}
_clips: dict[str, Iterator[Block]] = {}


def serve(
    pipe: "Connection[Answer, tuple[Callable[..., Any], tuple[Any, ...]]]", choice: Choice, processes: int
) -> None:
    """Answer calls until the other end of `pipe` is gone. The generator is loaded by the first that needs it.

    After a `DeviceFailed` the process has to go: torch cannot use a GPU that has failed once in the same process.
    """
    global _choice, _processes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _choice, _processes = choice, processes
    with suppress(EOFError, ConnectionError):
        while True:
            function, args = pipe.recv()
            result, fault = _answer(function, args)
            pipe.send((result, fault))
            if isinstance(fault, DeviceFailed):
                return


def _answer(function: Callable[..., Any], args: tuple[Any, ...]) -> Answer:
    try:
        return function(*args), None
    except MusicmedError as fault:
        return None, fault


@functools.cache
def _generator() -> Generator:
    return load_generator(_choice, _processes)


def warm_up() -> Measured:
    """Load what the first sessions would otherwise wait for; the generator's pace, and how many voices it keeps."""
    generator = _generator()
    return generator.warm_up(), generator.voices


def open_voice(name: str, seed: int, position: int) -> None:
    """A new voice under that name, whose first clip begins at `position`; it takes the place of an older one."""
    close_voice(name)
    _voices[name] = _generator().open_voice(seed, position)


def begin_clip(name: str, request: ClipRequest, rewind: bool) -> Block:
    """Begin a clip and return its first block; `rewind` to the first cue point at or after it before.

    The clip then begins at that cue point and ends where `request` ends, or lasts at least a second.
    """
    voice = _voice(name)
    try:
        if rewind:
            cue = voice.rewind(request.position)
            end = max(request.position + request.frames, cue + frames_of(1.0))
            request = replace(request, position=cue, frames=end - cue)
        _clips[name] = voice.compose(request)
        return next(_clips[name])
    except ValueError as fault:
        raise GeneratorFailed(f"the voice cannot go on: {fault}") from None


def next_block(name: str) -> Block | None:
    """The next block of the clip begun last; None after its last one."""
    _voice(name)
    return next(_clips[name], None)


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
    voice = _voices.pop(name, None)
    if voice is not None:
        voice.close()
