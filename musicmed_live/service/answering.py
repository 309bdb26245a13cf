"""What a worker process does: it answers calls, one at a time.

It imports as little as it can: a session that waits for its music waits for this process, too.
What goes through the pipe is pickled between processes of one program, and never comes from outside.
"""

import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from musicmed_live.errors import DeviceFailed, MusicmedError

Prepare = Callable[[], None]  # called in the process before anything else; can be pickled
Answer = tuple[Any, MusicmedError | None]  # a result, or what was raised instead


def serve(pipe: "Connection[Answer, tuple[Callable[..., Any], tuple[Any, ...]]]", prepare: Prepare) -> None:
    """Answer calls, in a process, until the other end of `pipe` is gone.

    After a `DeviceFailed` the process has to go: torch cannot use a GPU that has failed once in the same process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    prepare()
    with suppress(EOFError, ConnectionError):
        while True:
            function, args = pipe.recv()
            result, fault = _answer(function, args)
            pipe.send((result, fault))
            if isinstance(fault, DeviceFailed):
                return
            del result, fault  # the frames in its traceback hold on to what was half loaded


def _answer(function: Callable[..., Any], args: tuple[Any, ...]) -> Answer:
    try:
        return function(*args), None
    except MusicmedError as fault:
        return None, fault
