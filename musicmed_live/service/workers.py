"""Worker processes, and the order in which they are asked to work: what is needed first is made first."""

import asyncio
import functools
import itertools
import logging
import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar, TypeVarTuple

from musicmed_live.errors import MusicmedError, WorkerDied
from musicmed_live.service import voices
from musicmed_live.service.answering import Answer, Prepare, serve
from musicmed_live.service.generators import TITLES, Choice

Arguments = TypeVarTuple("Arguments")
R = TypeVar("R")

log = logging.getLogger(__name__)

HANG_SECONDS = 60.0  # a process that does not answer for so long is as good as dead,
LOADING_SECONDS = 900.0  # but large weights on a slow disk take their time
MAX_DEATHS = 3  # over the same work, before that is given up

AT_ONCE = -math.inf  # a deadline before all others

_Job = tuple[float, int, Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any] | None"]


class _Process:
    """A process that answers one call at a time over a pipe of its own, so that its death ends the pipe."""

    def __init__(self, prepare: Prepare) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, prepare), daemon=True)
        self._process.start()
        theirs.close()
        # Its own: one that a driver holds may outlive its being killed, and whoever waits for it then waits on.
        self._waiting = ThreadPoolExecutor(1, "worker")

    async def ask(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Answer:
        """Call and wait. Raises `EOFError` or `OSError` if the process dies over it."""
        return await asyncio.get_running_loop().run_in_executor(self._waiting, self._exchange, function, args)

    def kill(self) -> None:
        """Be done with it; whoever waits in `ask` is told."""
        self._process.kill()
        self._waiting.shutdown(wait=False)

    def _exchange(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Answer:
        self._pipe.send((function, args))
        answer: Answer = self._pipe.recv()
        return answer


class Worker:
    """One process. `call` runs a function in it, earliest deadline first."""

    def __init__(self, title: str, prepare: Prepare) -> None:
        """`title` is what people are told that works there."""
        self._title, self._prepare = title, prepare
        self._process: _Process | None = None
        # Unbounded here, bounded by its users: a session waits for its one call before it makes the next.
        self._jobs: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self.restarts = 0
        self.lost = asyncio.Event()  # set when a process has died

    def start(self) -> _Process:
        """Let its process load. Without that, it does so when something is asked of it for the first time."""
        self._process = _Process(self._prepare)
        return self._process

    async def call(self, deadline: float, function: Callable[[*Arguments], R], *args: *Arguments) -> R:
        """Run `function` in the process. `deadline` is in seconds of the loop's clock.

        Raises `WorkerDied` if the process dies over it; a new one then has no voices.
        """
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait((deadline, next(self._order), function, args, done))
        return await done

    async def warm_up(self) -> voices.Measured:
        """Return when it can compose at once. Raises `MusicmedError` if it cannot, or dies again and again."""
        for _ in range(MAX_DEATHS):
            with suppress(WorkerDied):
                measured = await self.call(AT_ONCE, voices.warm_up)
                self.lost.clear()
                return measured
        raise WorkerDied(f"{self._title}'s process dies as it loads; see that there is memory enough for it")

    def post(self, function: Callable[[*Arguments], None], *args: *Arguments) -> None:
        """Run `function`, which takes no time, in the process before anything else, and do not wait for it."""
        self._jobs.put_nowait((AT_ONCE, next(self._order), function, args, None))

    async def run(self) -> None:
        """Carry out the calls until cancelled."""
        try:
            while True:
                _, _, function, args, done = await self._jobs.get()
                if done is None or not done.cancelled():
                    await self._carry_out(function, args, done)
        finally:
            if self._process is not None:
                self._process.kill()

    async def _carry_out(self, function: Callable[..., Any], args: Any, done: "asyncio.Future[Any] | None") -> None:
        fault: MusicmedError | None
        try:
            async with asyncio.timeout(LOADING_SECONDS if function is voices.warm_up else HANG_SECONDS):
                result, fault = await (self._process or self.start()).ask(function, args)
        except (EOFError, OSError):  # a TimeoutError is one of the latter, and a process that cannot be started
            self._give_up()
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

    def _give_up(self) -> None:
        """Be done with a process that is dead; the next call starts another one."""
        self.restarts += 1
        log.warning("a process of %s died and is replaced (restart %d)", self._title, self.restarts)
        if self._process is not None:
            self._process.kill()
            self._process = None
        self.lost.set()


class Workers:
    """Some workers of one generator; sessions are shared out evenly."""

    def __init__(self, choice: Choice, count: int) -> None:
        prepare = functools.partial(voices.prepare, choice, count)
        self._workers = [Worker(TITLES[choice.name], prepare) for _ in range(count)]
        for worker in self._workers:
            worker.start()
        self._next = itertools.cycle(self._workers)
        self._tasks: list[asyncio.Task[None]] = []

    def assign(self) -> Worker:
        """The worker for the next session."""
        return next(self._next)

    @property
    def restarts(self) -> int:
        """How many processes have died."""
        return sum(worker.restarts for worker in self._workers)

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Run them in `group` until `stop`."""
        self._tasks = [group.create_task(worker.run(), name=f"worker {i}") for i, worker in enumerate(self._workers)]
        return self._tasks

    def stop(self) -> None:
        """Let the processes go."""
        for task in self._tasks:
            task.cancel()

    async def warm_up(self) -> list[voices.Measured]:
        """What each of them measured, when all can compose at once. Raises `MusicmedError` if one cannot."""
        return await asyncio.gather(*(worker.warm_up() for worker in self._workers))

    async def answer(self) -> None:
        """Return when each of them has answered, or has just been replaced."""
        for worker in self._workers:
            with suppress(WorkerDied):
                await worker.call(AT_ONCE, bool)  # the least that can be asked

    async def lose_one(self) -> None:
        """Return when one of their processes has died."""
        waiting = [asyncio.ensure_future(worker.lost.wait()) for worker in self._workers]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
