"""Hearing whether the music carries the emotion that was asked for, in a process of its own: nothing waits for it."""

import asyncio
import functools
import logging
import os
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.errors import MusicmedError
from musicmed_live.service.workers import Worker

# Of `recognition`, only the process that judges imports anything: scipy.signal takes longer than all else at the start.
if TYPE_CHECKING:
    from musicmed_live.recognition.embedded import EmbeddedRecognizer

log = logging.getLogger(__name__)

NICENESS = 10  # what plays goes before what is said of it


class Judge:
    """The recognizer, for all sessions."""

    def __init__(self) -> None:
        # Its calls have no bound of their own: each session has one sound judged at a time.
        self._worker = Worker("The recognizer", prepare)
        self._task: asyncio.Task[None] | None = None

    def start(self, group: asyncio.TaskGroup) -> asyncio.Task[None]:
        """Run its process in `group` until `stop`."""
        self._task = group.create_task(self._worker.run(), name="judge")
        return self._task

    def stop(self) -> None:
        """Let the process go."""
        if self._task is not None:
            self._task.cancel()

    async def judge(self, mono: Mono, deadline: float) -> Judgement | None:
        """What is heard in `mono`, at 48 kHz; None where that cannot be said.

        `deadline` is in seconds of the loop's clock.
        """
        try:
            return await self._worker.call(deadline, judge, mono)
        except MusicmedError as fault:
            log.warning("music was not judged: %s", fault)
            return None


def prepare() -> None:
    """Leave the cores to others."""
    threadpool_limits(1, user_api="blas")  # its threads wait for work in loops: a second core, for nothing
    if hasattr(os, "nice"):  # Windows has none
        os.nice(NICENESS)


def judge(mono: Mono) -> Judgement:
    """What is heard in `mono`, shape (frames,) at 48 kHz. Raises `CannotJudge`."""
    from musicmed_live.recognition.features import listen

    return _recognizer().judge(listen(mono[:, None]))


@functools.cache
def _recognizer() -> "EmbeddedRecognizer":
    from musicmed_live.recognition.embedded import load_recognizer

    return load_recognizer()
