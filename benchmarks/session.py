"""How fast a session answers: first sound, a large and a small move of the mood, stop and "too much".

Everything is counted in positions: from the one that was being heard when the message was sent to the first sample
that then changed in what the client holds.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.listener import Listener, join, open_session, serving
from benchmarks.report import print_figures, print_table
from musicmed_live.core.generator import SAMPLE_RATE

LEAD_MS = 6000  # more than a bar, so that every change overwrites something that is held already
AUDIBLE = 33  # of 32768: -60 dBFS


async def first_audio(url: str, seed: int) -> float:
    """Seconds from `POST` to the first audible block."""
    begun = time.monotonic()
    async with join(url, await open_session(url, start="sad", goal="calm", minutes=5, seed=seed)) as listener:
        await listener.send("listen")
        await listener.send("play")
        await listener.until(lambda: np.abs(listener.audio).max(initial=0) > AUDIBLE)
        return time.monotonic() - begun


async def moves(url: str, seed: int, count: int) -> tuple[list[float], list[float]]:
    """Seconds to the first changed sample after large moves, and bars to it after small ones."""
    dice = random.Random(seed)
    large: list[float] = []
    small: list[float] = []
    async with join(url, await open_session(url, start="sad", goal="calm", minutes=60, seed=seed)) as listener:
        await _start(listener)
        for at_large in _alternate(count):
            await asyncio.sleep(dice.uniform(1.0, 3.0))
            here = listener.state["target"]
            point = _point(dice, here, at_large)
            bar = 240 / listener.state["clip"]["tempo_bpm"]
            heard = listener.mark()
            await listener.send("report", **point)
            await listener.until(lambda: listener.first_changed is not None, 10)
            assert listener.first_changed is not None
            seconds = (listener.first_changed - heard) / SAMPLE_RATE
            (large if at_large else small).append(seconds if at_large else seconds / bar)
    return large, small


async def stops(url: str, seed: int, kind: str) -> float:
    """Seconds from `stop` or `too_much` to the first faded sample."""
    async with join(url, await open_session(url, start="happy", goal="calm", minutes=5, seed=seed)) as listener:
        await _start(listener)
        await asyncio.sleep(0.5 + random.Random(seed).random())
        heard = listener.mark()
        await listener.send(kind)
        await listener.until(lambda: listener.first_changed is not None, 5)
        assert listener.first_changed is not None
        return (listener.first_changed - heard) / SAMPLE_RATE


async def measure(url: str, runs: int) -> None:
    """All of it, one after the other, and the figures."""
    starts = [await first_audio(url, seed) for seed in range(runs)]
    large: list[float] = []
    small: list[float] = []
    for seed in range(4):
        found = await moves(url, seed, 2 * runs)
        large += found[0]
        small += found[1]
    ends = [await stops(url, seed, kind) for seed in range(runs) for kind in ("stop", "too_much")]
    rows = [
        [name, len(values), float(np.median(values)), float(np.percentile(values, 95)), max(values)]
        for name, values in (
            ("first audio, s", starts),
            ("large move, s", large),
            ("small move, bars", small),
            ("stop and too much, s", ends),
        )
    ]
    print_table(["what", "runs", "median", "p95", "worst"], rows)
    print_figures(
        "session",
        {
            "first_audio_s": float(np.median(starts)),
            "large_move_p95_s": float(np.percentile(large, 95)),
            "small_move_p95_bars": float(np.percentile(small, 95)),
            "stop_p95_s": float(np.percentile(ends, 95)),
        },
    )


async def _start(listener: Listener) -> None:
    await listener.send("listen", codec="pcm_s16le", lead_ms=LEAD_MS)
    await listener.send("play")
    await listener.until(lambda: listener.state.get("clip") and listener.held.sum() > 4 * SAMPLE_RATE)


def _alternate(count: int) -> Iterator[bool]:
    return (i % 2 == 0 for i in range(count))


def _point(dice: random.Random, here: dict[str, float], large: bool) -> dict[str, float]:
    """A point at least 0.5 away from `here`, or between 0.1 and 0.4."""
    while True:
        point = {axis: round(dice.uniform(-0.9, 0.9), 3) for axis in ("valence", "arousal")}
        distance = np.hypot(point["valence"] - here["valence"], point["arousal"] - here["arousal"])
        if (distance >= 0.55) if large else (0.1 <= distance <= 0.4):
            return point


def main() -> None:
    """Run it against a warm server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with serving() as (url, _pid):
        asyncio.run(measure(url, runs))


if __name__ == "__main__":
    main()
