"""Worker processes that compose, and the order in which they are asked to: what is needed first is made first."""

import asyncio
import itertools
import logging
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar, TypeVarTuple

from musicmed_live.errors import GeneratorFailed
from musicmed_live.service import voices

Arguments = TypeVarTuple("Arguments")
R = TypeVar("R")

log = logging.getLogger(__name__)

_Job = tuple[float, int, Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]


class Worker:
    """One process. `call` runs a function of `voices` in it, earliest deadline first."""

    def __init__(self, generator: str) -> None:
        self._generator = generator
        self._executor = self._start()
        # Unbounded here, bounded by its users: a session waits for its one call before it makes the next.
        self._jobs: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self.restarts = 0

    async def call(self, deadline: float, function: Callable[[*Arguments], R], *args: *Arguments) -> R:
        """Run `function` in the process. `deadline` is in seconds of the loop's clock.

        Raises `GeneratorFailed` if the process dies over it; a new one then has no voices.
        """
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait((deadline, next(self._order), function, args, done))
        return await done

    async def run(self) -> None:
        """Carry out the calls until cancelled."""
        try:
            while True:
                _, _, function, args, done = await self._jobs.get()
                if not done.cancelled():
                    await self._carry_out(function, args, done)
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def _carry_out(self, function: Callable[..., Any], args: Any, done: "asyncio.Future[Any]") -> None:
        try:
            attempt = asyncio.wrap_future(self._executor.submit(function, *args))
        except BrokenProcessPool:
            self._replace()
            attempt = asyncio.wrap_future(self._executor.submit(function, *args))
        await asyncio.wait({attempt})
        fault = attempt.exception()
        if isinstance(fault, BrokenProcessPool):
            self._replace()
            fault = GeneratorFailed("the worker process died; another one takes its place")
        if done.cancelled():
            return
        if fault is not None:
            done.set_exception(fault)
        else:
            done.set_result(attempt.result())

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
        return ProcessPoolExecutor(1, context, initializer=voices.set_up, initargs=(self._generator,))

    def _replace(self) -> None:
        self.restarts += 1
        log.warning("a worker process died and is replaced (restart %d)", self.restarts)
        self._executor.shutdown(wait=False)
        self._executor = self._start()


class Workers:
    """One worker for each core; sessions are shared out evenly."""

    def __init__(self, generator: str, count: int | None = None) -> None:
        self._workers = [Worker(generator) for _ in range(count or os.cpu_count() or 1)]
        self._next = itertools.cycle(self._workers)
        self._tasks: list[asyncio.Task[None]] = []

    def assign(self) -> Worker:
        """The worker for the next session."""
        return next(self._next)

    @property
    def restarts(self) -> int:
        """How many processes have died."""
        return sum(worker.restarts for worker in self._workers)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run them in `group` until `stop`."""
        self._tasks = [group.create_task(worker.run(), name=f"worker {i}") for i, worker in enumerate(self._workers)]

    def stop(self) -> None:
        """Let the processes go."""
        for task in self._tasks:
            task.cancel()

    async def warm_up(self) -> None:
        """Return when every worker can compose at once. Raises `GeneratorFailed` if one cannot."""
        now = asyncio.get_running_loop().time()
        await asyncio.gather(*(worker.call(now, voices.warm_up) for worker in self._workers))
