"""How many sessions one server carries: each makes its own music, each has one listener, none may run dry."""

import argparse
import asyncio
import random
import time

import httpx
import numpy as np
import psutil

from benchmarks.listener import Listener, join, open_session, serving
from benchmarks.report import print_figures, print_table
from musicmed_live.core.generator import SAMPLE_RATE

SECONDS = 60.0
LATE_SECONDS = 0.1  # a player's reserve: sound that comes later than that is missed
MOODS = ("anxious", "sad", "tired", "angry", "happy", "excited", "calm", "nervous")


async def listen(url: str, seed: int, seconds: float) -> int:
    """Play one session for a while; how many blocks came too late for a player that started with the first one."""
    await asyncio.sleep(random.Random(seed).uniform(0.0, 5.0))
    session = await open_session(url, start=MOODS[seed % len(MOODS)], goal="relaxed", minutes=15, seed=seed)
    async with join(url, session) as listener:
        await listener.send("listen", codec="pcm_s16le", lead_ms=1500)
        await listener.send("play")
        await listener.until(lambda: listener.arrivals, 30)
        await asyncio.sleep(seconds)
        late = late_blocks(listener)
        await listener.send("stop")
        await listener.until(lambda: listener.state["phase"] == "ended")
        return late


def late_blocks(listener: Listener) -> int:
    """Blocks that came after their time, as a player hears it that began with the first block plus its reserve."""
    first_end, begun = listener.arrivals[0]
    late = sum(
        (at - begun) * SAMPLE_RATE > end - first_end + LATE_SECONDS * SAMPLE_RATE for end, at in listener.arrivals
    )
    gaps = int((~listener.held[listener.arrivals[0][0] : max(end for end, _ in listener.arrivals)]).sum())
    return late + gaps


async def load(url: str, pid: int, sessions: int, seconds: float) -> dict[str, float]:
    """Memory with one session and with all, and the blocks that were late."""
    alone = asyncio.create_task(listen(url, 0, seconds + 12))
    await asyncio.sleep(10)
    one = _mib(pid)
    cpu = _cpu_seconds(pid)
    begun = time.monotonic()
    others = [asyncio.create_task(listen(url, seed, seconds)) for seed in range(1, sessions)]
    await asyncio.sleep(min(20.0, seconds))
    full = _mib(pid)
    late = [*await asyncio.gather(*others), await alone]
    busy = (_cpu_seconds(pid) - cpu) / (time.monotonic() - begun)
    return {
        "late": float(np.sum(late)),
        "dry": float(np.count_nonzero(late)),
        "mib": (full - one) / (sessions - 1),
        "cores": busy,
        "underruns": await _underruns(url),
    }


async def _underruns(url: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}metrics")).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("musicmed_underruns "))


def _family(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


def _mib(pid: int) -> float:
    return float(sum(member.memory_full_info().uss for member in _family(pid))) / 2**20


def _cpu_seconds(pid: int) -> float:
    return float(sum(sum(member.cpu_times()[:2]) for member in _family(pid)))


def main() -> None:
    """Try `--sessions` at once; reports them only if nobody's music was late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    with serving() as (url, pid):
        found = asyncio.run(load(url, pid, options.sessions, options.seconds))
    rows = [[key, value] for key, value in found.items()]
    print_table(["what", "value"], rows, f"{options.sessions} sessions, {options.seconds:g} s")
    clean = found["late"] == 0 and found["underruns"] == 0
    figures = {
        "sessions_no_underrun": float(options.sessions if clean else options.sessions - max(1.0, found["dry"])),
        "mib_per_session": found["mib"],
    }
    print_figures("load", figures)


if __name__ == "__main__":
    main()
