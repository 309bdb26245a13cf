"""Heart rate and RMSSD as they are told live, against NeuroKit2 and HeartPy, without artefacts and with them.

Both libraries find beats in the recorded waves. Where they find the same and reject none, the recording counts as
clean; its intervals go into a `HeartSignal` one by one, which is asked at every fifth beat. The reference is the
library's own figure of the clean intervals of the same 12 s (heart rate) or 60 s (RMSSD). Then one beat in ten is
missed, moved or has a false one after it; the reference stays. NeuroKit2's correction of the same beats by Lipponen &
Tarvainen (2019) stands beside it; unlike ours, it knows the whole stretch, and what comes later.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.recordings import DETECTORS, FOLDER, Seconds, clean_stretches, kubios, load, peer
from benchmarks.report import print_figures, print_table
from musicmed_live.core.heart import RATE_SECONDS, WINDOW_SECONDS
from musicmed_live.core.physiology import HeartSignal

ARTEFACT_SHARE = 0.1
SEEDS = 8
FIRST_BEAT, EVERY_BEATS = 22, 5
MOVED = (0.15, 0.45)  # of the interval: a spike in the wave that is taken for the beat
BETWEEN = (0.2, 0.8)  # of the interval: where a false beat lies

CLEAN, ARTEFACTS, CORRECTED = "clean, live", "artefacts, live", "artefacts, corrected by NeuroKit2"


@dataclass
class Errors:
    """Of one way to tell heart rate and RMSSD: absolute in beats a minute, relative."""

    heart_rate_bpm: list[float] = field(default_factory=list)
    rmssd: list[float] = field(default_factory=list)
    without: int = 0  # how often it said nothing

    def add(self, found: tuple[float | None, float | None], reference: tuple[float, float]) -> None:
        heart_rate_bpm, rmssd_ms = found
        if heart_rate_bpm is None or rmssd_ms is None:
            self.without += 1
            return
        self.heart_rate_bpm.append(abs(heart_rate_bpm - reference[0]))
        self.rmssd.append(abs(rmssd_ms / reference[1] - 1))

    def row(self) -> list[float]:
        """Mean, 95th percentile and worst of both, and how often there was nothing, of how many."""
        cells: list[float] = []
        for errors in (self.heart_rate_bpm, self.rmssd):
            cells += [float(np.mean(errors)), float(np.percentile(errors, 95)), max(errors)]
        return [*cells, self.without, self.without + len(self.rmssd)]


def injected(beats: Seconds, seed: int) -> Seconds:
    """`beats` with artefacts: of one in ten, by chance, missed, moved, or followed by one that is none."""
    rng = np.random.default_rng(seed)
    found = [float(beats[0])]
    for beat, following in pairwise(beats[1:]):
        interval = following - beat
        kind = rng.choice(["missed", "moved", "extra"]) if rng.random() < ARTEFACT_SHARE else "none"
        if kind == "moved":
            found.append(beat + rng.choice([-1, 1]) * rng.uniform(*MOVED) * interval)
        elif kind != "missed":
            found.append(beat)
        if kind == "extra":
            found.append(beat + rng.uniform(*BETWEEN) * interval)
    return np.sort([*found, float(beats[-1])])


def live(beats: Seconds, times: Iterable[float]) -> Iterator[tuple[float | None, float | None]]:
    """What a `HeartSignal` says at `times`, when it has heard of the beats up to then."""
    signal = HeartSignal()
    ends, intervals_ms = beats[1:], np.diff(beats) * 1000
    place = 0
    for now in times:
        while place < len(ends) and ends[place] <= now:
            signal.add([float(intervals_ms[place])], None, float(ends[place]))
            place += 1
        yield signal.heart_rate_bpm(now), signal.rmssd_ms(now)


def neurokit(beats: Seconds) -> tuple[float, float]:
    """Mean heart rate and RMSSD of `beats` by NeuroKit2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it also reckons, and a minute is too short for
        found = peer("neurokit2").hrv_time(np.round(beats * 1000).astype(int), sampling_rate=1000)
    return 60_000 / float(found["HRV_MeanNN"].iloc[0]), float(found["HRV_RMSSD"].iloc[0])


def heartpy(beats: Seconds) -> tuple[float, float]:
    """Mean heart rate and RMSSD of `beats` by HeartPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the breathing that it looks for in 12 s
        _work, found = peer("heartpy").process_rr(np.diff(beats) * 1000, measures={}, working_data={})
    return float(found["bpm"]), float(found["rmssd"])


REFERENCES: dict[str, Callable[[Seconds], tuple[float, float]]] = {"NeuroKit2": neurokit, "HeartPy": heartpy}


def over(beats: Seconds, now: float, reckon: Callable[[Seconds], tuple[float, float]]) -> tuple[float, float]:
    """Heart rate over the 12 s and RMSSD over the 60 s until `now`, by what takes the beats of a time."""
    return reckon(last(beats, now, RATE_SECONDS))[0], reckon(last(beats, now, WINDOW_SECONDS))[1]


def last(beats: Seconds, now: float, seconds: float) -> Seconds:
    """The beats of the intervals that ended in the `seconds` until `now`."""
    first = int(np.searchsorted(beats, now - seconds, side="right"))
    return beats[max(0, first - 1) : int(np.searchsorted(beats, now, side="right"))]


def measure(folder: Path) -> tuple[list[list[object]], dict[str, Errors]]:
    """The stretches that are clean, and the errors of each way over all of them."""
    errors = {way: Errors() for way in (CLEAN, ARTEFACTS, CORRECTED)}
    rows: list[list[object]] = []
    for path in sorted(folder.glob("*.csv")):
        recording = load(path)
        found = {name: detect(recording) for name, detect in DETECTORS.items()}
        for name, beats in found.items():
            others = next(other for key, other in found.items() if key != name)
            for stretch in clean_stretches(beats, others):
                rows.append([recording.name, name, float(stretch[0]), float(stretch[-1]), *REFERENCES[name](stretch)])
                compare(stretch, name, errors)
    return rows, errors


def compare(stretch: Seconds, name: str, errors: dict[str, Errors]) -> None:
    """Adds the errors over one clean stretch that library `name` found."""
    times = [float(beat) for beat in stretch[FIRST_BEAT::EVERY_BEATS]]
    references = [over(stretch, now, REFERENCES[name]) for now in times]
    for told, reference in zip(live(stretch, times), references, strict=True):
        errors[CLEAN].add(told, reference)
    for seed in range(SEEDS):
        spoilt = injected(stretch, seed)
        for told, reference in zip(live(spoilt, times), references, strict=True):
            errors[ARTEFACTS].add(told, reference)
        _found, corrected = kubios(spoilt, iterative=True)
        for now, reference in zip(times, references, strict=True):
            errors[CORRECTED].add(over(corrected, now, neurokit), reference)


def microseconds_per_beat(beats: int = 5000) -> float:
    """What a beat costs: it is added, and all that can be asked is asked."""
    rng = np.random.default_rng(0)
    intervals_ms = [float(ms) for ms in rng.normal(800, 40, beats)]
    signal, now = HeartSignal(), 0.0
    begun = time.perf_counter()
    for ms in intervals_ms:
        now += ms / 1000
        signal.add([ms], None, now)
        signal.heart_rate_bpm(now)
        signal.ln_rmssd(now)
        signal.artefact_share(now)
        signal.respiration_per_minute(now)
    return 1e6 * (time.perf_counter() - begun) / beats


def main() -> None:
    """The clean stretches, the errors, and the 95th percentiles as figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--recordings", type=Path, default=FOLDER, help="a folder with HeartPy's example files")
    rows, errors = measure(options.parse_args().recordings)
    print_table(["recording", "beats by", "from s", "to s", "bpm", "RMSSD ms"], rows, "Clean stretches")
    columns = ["", "bpm mean", "p95", "worst", "RMSSD mean", "p95", "worst", "without", "of"]
    print_table(columns, [[way, *found.row()] for way, found in errors.items()], "Errors (RMSSD: relative)")
    print(f"\na beat and all questions: {microseconds_per_beat():.0f} us")
    figures = {}
    for key, way in (("clean", CLEAN), ("artefact", ARTEFACTS)):
        figures[f"{key}_hr_error_bpm"] = float(np.percentile(errors[way].heart_rate_bpm, 95))
        figures[f"{key}_rmssd_error"] = float(np.percentile(errors[way].rmssd, 95))
    print_figures("physiology", figures)


if __name__ == "__main__":
    main()
