"""How fast a session is written to a file: the console command on one core, start of the interpreter included."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.report import print_figures, print_table

MINUTES = 15
RUNS = 3


def timed(out: Path, seed: int) -> tuple[float, float]:
    """Seconds by the clock and of CPU that a 15-minute session takes on one core."""
    command = [sys.executable, "-m", "musicmed_live", "render", str(out), "--start", "anxious", "--goal", "calm"]
    command += ["--minutes", str(MINUTES), "--seed", str(seed)]
    one_core = min(os.sched_getaffinity(0))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {one_core})
    )
    passed = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """A few seeds, WAV; the figure is by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [timed(Path(folder) / "session.wav", seed) for seed in range(RUNS)]
    speeds = [60 * MINUTES / passed for passed, _cpu in runs]
    rows = [[seed, *run, speed] for seed, (run, speed) in enumerate(zip(runs, speeds, strict=True))]
    print_table(["seed", "seconds", "CPU seconds", "x real time"], rows)
    print_figures("render", {"realtime_x": median(speeds)})


if __name__ == "__main__":
    main()
