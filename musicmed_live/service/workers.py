"""Worker processes that compose, and the order in which they are asked to: what is needed first is made first."""

import asyncio
import itertools
import logging
import math
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple

from musicmed_live.errors import MusicmedError, WorkerDied
from musicmed_live.service import voices

Arguments = TypeVarTuple("Arguments")
R = TypeVar("R")

log = logging.getLogger(__name__)

HANG_SECONDS = 60.0  # a process that does not answer for so long is as good as dead
MAX_DEATHS = 3  # over the same work, before that is given up

_Job = tuple[float, int, Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any] | None"]


class _Process:
    """A process that answers one call at a time over a pipe of its own, so that its death ends the pipe."""

    def __init__(self, generator: str, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=voices.serve, args=(theirs, generator, count), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, function: Callable[..., Any], args: tuple[Any, ...]) -> voices.Answer:
        """Call and wait, in a thread. Raises `EOFError` or `OSError` if the process dies over it."""
        self._pipe.send((function, args))
        answer: voices.Answer = self._pipe.recv()
        return answer

    def kill(self) -> None:
        """Be done with it; whoever waits in `ask` is told."""
        self._process.kill()


class Worker:
    """One process. `call` runs a function of `voices` in it, earliest deadline first."""

    def __init__(self, generator: str, count: int) -> None:
        """One of `count`."""
        self._generator, self._count = generator, count
        self._process = _Process(generator, count)
        self._thread = ThreadPoolExecutor(1, "worker")
        # Unbounded here, bounded by its users: a session waits for its one call before it makes the next.
        self._jobs: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self.restarts = 0

    async def call(self, deadline: float, function: Callable[[*Arguments], R], *args: *Arguments) -> R:
        """Run `function` in the process. `deadline` is in seconds of the loop's clock.

        Raises `WorkerDied` if the process dies over it; a new one then has no voices.
        """
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait((deadline, next(self._order), function, args, done))
        return await done

    async def warm_up(self) -> None:
        """Return when it can compose at once. Raises `GeneratorFailed` if it cannot, or dies again and again."""
        for attempt in range(MAX_DEATHS):
            try:
                await self.call(0.0, voices.warm_up)
            except WorkerDied:
                if attempt == MAX_DEATHS - 1:
                    raise
            else:
                return

    def post(self, function: Callable[[*Arguments], None], *args: *Arguments) -> None:
        """Run `function` in the process when there is nothing else to do, and do not wait for it."""
        self._jobs.put_nowait((math.inf, next(self._order), function, args, None))

    async def run(self) -> None:
        """Carry out the calls until cancelled."""
        try:
            while True:
                _, _, function, args, done = await self._jobs.get()
                if done is None or not done.cancelled():
                    await self._carry_out(function, args, done)
        finally:
            self._process.kill()
            self._thread.shutdown(wait=False)

    async def _carry_out(self, function: Callable[..., Any], args: Any, done: "asyncio.Future[Any] | None") -> None:
        loop = asyncio.get_running_loop()
        fault: MusicmedError | None
        try:
            async with asyncio.timeout(HANG_SECONDS):
                result, fault = await loop.run_in_executor(self._thread, self._process.ask, function, args)
        except (EOFError, OSError):  # a TimeoutError is one of the latter
            self._replace()
            result, fault = None, WorkerDied("the worker process died; another one takes its place")
        if done is None:
            if fault is not None:
                log.warning("%s: %s", function.__name__, fault)
        elif done.cancelled():
            pass
        elif fault is not None:
            done.set_exception(fault)
        else:
            done.set_result(result)

    def _replace(self) -> None:
        self.restarts += 1
        log.warning("a worker process died and is replaced (restart %d)", self.restarts)
        self._process.kill()
        self._process = _Process(self._generator, self._count)


class Workers:
    """One worker for each core; sessions are shared out evenly."""

    def __init__(self, generator: str, count: int | None = None) -> None:
        count = count or os.cpu_count() or 1
        self._workers = [Worker(generator, count) for _ in range(count)]
        self._next = itertools.cycle(self._workers)
        self.tasks: list[asyncio.Task[None]] = []

    def assign(self) -> Worker:
        """The worker for the next session."""
        return next(self._next)

    @property
    def restarts(self) -> int:
        """How many processes have died."""
        return sum(worker.restarts for worker in self._workers)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run them in `group` until `stop`."""
        self.tasks = [group.create_task(worker.run(), name=f"worker {i}") for i, worker in enumerate(self._workers)]

    def stop(self) -> None:
        """Let the processes go."""
        for task in self.tasks:
            task.cancel()

    async def warm_up(self) -> None:
        """Return when every worker can compose at once. Raises `GeneratorFailed` if one cannot."""
        await asyncio.gather(*(worker.warm_up() for worker in self._workers))
