"""What runs in a worker process: one generator and the voices of the sessions that live there.

The functions are called one at a time, by name, through a `ProcessPoolExecutor` of one process; arguments and
results are pickled between processes of one program, never taken from outside.
"""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Block, ClipRequest, Generator, Voice, frames_of
from musicmed_live.errors import GeneratorFailed
from musicmed_live.service.generators import load_generator

_generator_name = ""
_voices: dict[str, Voice] = {}
_clips: dict[str, Iterator[Block]] = {}


def set_up(generator: str) -> None:
    """Called once in each new worker. The generator is loaded by the first call, which can say what it lacks."""
    global _generator_name
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _generator_name = generator
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()


def _end_with_parent() -> None:
    """A server that is killed cannot tell its workers to go."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


@functools.cache
def _generator() -> Generator:
    return load_generator(_generator_name)


def warm_up() -> None:
    """Load what the first sessions would otherwise wait for: a few bars of every mood."""
    for valence, arousal in ((0.0, 0.0), (-0.6, -0.4), (0.6, -0.4), (-0.5, 0.6), (0.6, 0.6)):
        mood = Emotion(valence, arousal)
        list(_generator().open_voice(0).compose(ClipRequest(0, frames_of(6.0), mood, mood)))


def open_voice(name: str, seed: int, position: int) -> None:
    """A new voice under that name, whose first clip begins at `position`."""
    _voices[name] = _generator().open_voice(seed, position)


def begin_clip(name: str, request: ClipRequest, rewind: bool) -> Block:
    """Begin a clip and return its first block; `rewind` to the first cue point at or after it before.

    The clip then begins at that cue point and ends where `request` ends, or lasts at least a second.
    """
    voice = _voice(name)
    if rewind:
        cue = voice.rewind(request.position)
        end = max(request.position + request.frames, cue + frames_of(1.0))
        request = replace(request, position=cue, frames=end - cue)
    _clips[name] = voice.compose(request)
    return next(_clips[name])


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
    return list(_generator().open_voice(seed, request.position).compose(request))


def close_voice(name: str) -> None:
    """Forget a voice."""
    _clips.pop(name, None)
    _voices.pop(name, None)
