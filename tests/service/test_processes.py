"""What becomes of processes: a server that goes takes its workers along, however it goes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import weakref

import httpx
import psutil
import pytest
from threadpoolctl import threadpool_info

from benchmarks.listener import serving
from musicmed_live.errors import DeviceFailed, GeneratorFailed, WorkerDied
from musicmed_live.service import judging, workers
from musicmed_live.service.answering import Prepare
from musicmed_live.service.workers import Worker


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_server(by: signal.Signals) -> None:
    with serving() as (_url, pid):
        family = psutil.Process(pid).children(recursive=True)
        assert len(family) >= 2
        psutil.Process(pid).send_signal(by)
        _gone, alive = psutil.wait_procs(family, timeout=20)
        assert not alive


def nothing() -> None:
    pass


async def test_what_judges_the_music_takes_no_second_core() -> None:
    worker = Worker("The recognizer", judging.prepare)
    running = asyncio.create_task(worker.run())
    pools = await worker.call(0.0, threadpool_info)
    assert {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"} == {1}
    running.cancel()


class Half:
    """What was loaded before memory ran out."""


halves: list[weakref.ref[Half]] = []


def load_half() -> None:
    left = sum(half() is not None for half in halves)
    loaded = Half()
    halves.append(weakref.ref(loaded))
    raise GeneratorFailed(f"{left} are left")


async def test_what_was_half_loaded_is_gone_when_loading_is_tried_again() -> None:
    worker = Worker("Nobody", nothing)
    running = asyncio.create_task(worker.run())
    for _ in range(2):
        with pytest.raises(GeneratorFailed, match="0 are left"):
            await worker.call(0.0, load_half)
    running.cancel()


async def test_a_worker_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("Nobody", nothing)
    running = asyncio.create_task(worker.run())
    monkeypatch.setattr(workers, "HANG_SECONDS", 0.2)
    with pytest.raises(WorkerDied):
        await worker.call(0.0, time.sleep, 3600.0)
    monkeypatch.undo()
    assert await worker.call(0.0, os.getpid) != os.getpid()
    assert worker.restarts == 1
    running.cancel()


async def test_a_worker_that_cannot_even_be_killed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("Nobody", nothing)
    stuck = worker.start()
    running = asyncio.create_task(worker.run())
    monkeypatch.setattr(stuck, "kill", lambda: None)
    monkeypatch.setattr(workers, "HANG_SECONDS", 0.2)
    with pytest.raises(WorkerDied):
        await worker.call(0.0, time.sleep, 3600.0)
    monkeypatch.undo()
    assert await asyncio.wait_for(worker.call(0.0, os.getpid), 20.0) != os.getpid()
    stuck.kill()
    running.cancel()


async def test_a_worker_that_cannot_be_started_is_tried_again_at_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(prepare: Prepare) -> None:
        raise BlockingIOError("no more processes")

    worker = Worker("Nobody", nothing)
    running = asyncio.create_task(worker.run())
    monkeypatch.setattr(workers, "_Process", start)
    with pytest.raises(WorkerDied):
        await worker.call(0.0, os.getpid)
    monkeypatch.undo()
    assert await worker.call(0.0, os.getpid) != os.getpid()
    running.cancel()


def fail_on_the_gpu() -> None:
    raise DeviceFailed("the GPU failed")


async def test_a_worker_whose_gpu_has_failed_is_replaced() -> None:
    worker = Worker("Nobody", nothing)
    running = asyncio.create_task(worker.run())
    before = await worker.call(0.0, os.getpid)
    with pytest.raises(DeviceFailed):
        await worker.call(0.0, fail_on_the_gpu)
    with pytest.raises(WorkerDied):
        await worker.call(0.0, os.getpid)
    assert await worker.call(0.0, os.getpid) != before
    running.cancel()


def test_a_port_in_use_is_named_in_one_line() -> None:
    with serving() as (url, _pid):
        port = url.rstrip("/").rsplit(":", 1)[1]
        command = [sys.executable, "-m", "musicmed_live", "serve", "--port", port]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
        assert port in refused.stderr
        assert "--port" in refused.stderr
        assert httpx.get(f"{url}healthz").status_code == 200
