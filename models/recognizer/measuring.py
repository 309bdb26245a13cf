"""From renderings to a table of features, all renderings of a timbre at one level."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.recognizer.pieces import Piece
from models.recognizer.renderings import Timbre, rendering_path
from musicmed_live.core.judgement import Mono
from musicmed_live.recognition.features import RATE, extract
from musicmed_live.recognition.spectrum import FloatArray

LEVEL_DBFS = -24.0  # mean power of the median piece in each timbre: the middle of what the composer plays
CLIP_SECONDS = 30.0  # of the stretches in which the player listens


@dataclass(frozen=True, slots=True)
class Table:
    """What was measured, a row for each rendering or stretch of one."""

    names: tuple[str, ...]
    features: FloatArray  # shape (rows, names)
    pieces: NDArray[np.intp]  # index of each row's piece
    timbres: NDArray[np.intp]  # index of each row's timbre
    seconds: FloatArray  # that the row was measured on

    def chosen(self, rows: NDArray[np.bool_]) -> "Table":
        """The rows of a mask."""
        return Table(self.names, self.features[rows], self.pieces[rows], self.timbres[rows], self.seconds[rows])


@dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    gain: float
    piece: int
    timbre: int
    seconds: float  # of the stretches; 0: all that there is at once


_Row = tuple[int, int, float, dict[str, float]]  # piece, timbre, seconds, features


def measure(
    pieces: Sequence[Piece], timbres: Sequence[Timbre], folder: Path, workers: int, seconds: float = CLIP_SECONDS
) -> Iterator[list[_Row]]:
    """The rows of each rendering in `folder`, as they are measured, in stretches of `seconds`."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for timbre_index, timbre in enumerate(timbres):
            paths = [rendering_path(folder, piece, timbre) for piece in pieces]
            powers = list(pool.map(_power, paths, chunksize=8))
            gain = float(np.sqrt(10 ** (LEVEL_DBFS / 10) / np.median(powers)))
            jobs = [_Job(path, gain, at, timbre_index, seconds) for at, path in enumerate(paths)]
            yield from pool.map(_measure_one, jobs, chunksize=4)


def table_of(rows: Sequence[_Row]) -> Table:
    """All rows as one table."""
    names = tuple(rows[0][3])
    return Table(
        names,
        np.array([[features[name] for name in names] for _, _, _, features in rows]),
        np.array([piece for piece, _, _, _ in rows]),
        np.array([timbre for _, timbre, _, _ in rows]),
        np.array([seconds for _, _, seconds, _ in rows]),
    )


def _power(path: Path) -> float:
    return float((_read(path).astype(np.float64) ** 2).mean())


def _measure_one(job: _Job) -> list[_Row]:
    mono = _read(job.path) * np.float32(job.gain)
    return [(job.piece, job.timbre, len(stretch) / RATE, extract(stretch)) for stretch in stretches(mono, job.seconds)]


def stretches(mono: Mono, seconds: float) -> list[Mono]:
    """The sound in equal parts of about `seconds`, the last of them ending where the sound ends; all, if shorter."""
    length = round(seconds * RATE)
    count = max(1, round(len(mono) / length))
    starts = np.linspace(0, max(0, len(mono) - length), count).astype(int)
    return [mono[start : start + length] for start in starts]


def _read(path: Path) -> Mono:
    mono, _ = soundfile.read(path, dtype="float32")
    return np.asarray(mono, np.float32)
