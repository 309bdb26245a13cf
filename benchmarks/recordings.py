"""Recorded hearts, and the beats that NeuroKit2 and HeartPy find in them."""

import csv
import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / "tests" / "recordings"
RATES_HZ = {"e0103": 250.0, "data": 100.0}  # of those that do not tell their times
ELECTROCARDIOGRAMS = {"e0103"}
SAME_BEAT_SECONDS = 0.03
SHORTEST_STRETCH_BEATS = 23

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """A wave, its values a second, and its name."""

    name: str
    wave: NDArray[np.float64]
    rate_hz: float


def load(path: Path) -> Recording:
    """A file of HeartPy's examples: values alone, or after a column `timer` (ms) or `datetime` (ISO 8601)."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    if len(rows[0]) == 1:
        return Recording(path.stem, np.array([float(row[0]) for row in rows]), RATES_HZ[path.stem])
    header, first, last = rows[0], rows[1][0], rows[-1][0]
    if header[0] == "timer":
        seconds = (float(last) - float(first)) / 1000
    else:
        seconds = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    return Recording(path.stem, np.array([float(row[1]) for row in rows[1:]]), (len(rows) - 2) / seconds)


def peer(name: str) -> Any:
    """NeuroKit2 or HeartPy, imported without what they say about their own dependencies.

    HeartPy 1.2.7 asks setuptools where its examples are, by `pkg_resources`, which setuptools 82 no longer has;
    nothing here needs the answer.
    """
    stand_in = ModuleType("pkg_resources")
    stand_in.__dict__["resource_filename"] = None
    sys.modules.setdefault("pkg_resources", stand_in)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(name)
    finally:
        if sys.modules["pkg_resources"] is stand_in:
            del sys.modules["pkg_resources"]


def neurokit_beats(recording: Recording) -> Seconds:
    """When NeuroKit2 finds a beat, in seconds."""
    neurokit2 = peer("neurokit2")
    kind = "ecg" if recording.name in ELECTROCARDIOGRAMS else "ppg"
    rate = round(recording.rate_hz) if kind == "ecg" else recording.rate_hz
    clean = getattr(neurokit2, f"{kind}_clean")(recording.wave, sampling_rate=rate)
    _signals, found = getattr(neurokit2, f"{kind}_peaks")(clean, sampling_rate=rate)
    return np.asarray(found["ECG_R_Peaks" if kind == "ecg" else "PPG_Peaks"]) / recording.rate_hz


def heartpy_beats(recording: Recording) -> Seconds:
    """When HeartPy finds a beat that it does not itself reject, in seconds."""
    found, _measures = peer("heartpy").process(recording.wave, recording.rate_hz)
    accepted = np.asarray(found["binary_peaklist"]) == 1
    beats: Seconds = np.asarray(found["peaklist"])[accepted] / recording.rate_hz
    return beats


DETECTORS: dict[str, Callable[[Recording], Seconds]] = {"NeuroKit2": neurokit_beats, "HeartPy": heartpy_beats}


def clean_stretches(beats: Seconds, others: Seconds) -> list[Seconds]:
    """The stretches of `beats` that another detector confirms and in which NeuroKit2 finds no artefact either.

    Confirmed: the same beats, but for a constant, and none between them. Each stretch has at least 22 intervals.
    """
    nearest = np.abs(others[None, :] - beats[:, None]).argmin(axis=1)
    apart = others[nearest] - beats
    good = np.abs(apart - np.median(apart)) <= SAME_BEAT_SECONDS
    good[artefacts(beats)] = False
    stretches: list[list[int]] = [[0]]
    for before, after in pairwise(range(len(beats))):
        if good[before] and good[after] and nearest[after] == nearest[before] + 1:
            stretches[-1].append(after)
        else:
            stretches.append([after])
    return [beats[stretch] for stretch in stretches if len(stretch) >= SHORTEST_STRETCH_BEATS]


def artefacts(beats: Seconds) -> list[int]:
    """Which of `beats` are ectopic, false, or come after a missed one, by Lipponen & Tarvainen (2019) in NeuroKit2."""
    found, _corrected = kubios(beats, iterative=False)
    return [int(place) for kind in ("ectopic", "missed", "extra") for place in found[kind]]


def kubios(beats: Seconds, iterative: bool) -> tuple[dict[str, Any], Seconds]:
    """Artefacts by kind, and `beats` corrected for them: Lipponen & Tarvainen (2019) in NeuroKit2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, corrected = peer("neurokit2").signal_fixpeaks(
            np.round(beats * 1000).astype(int), sampling_rate=1000, method="Kubios", iterative=iterative
        )
    return found, np.asarray(corrected) / 1000
