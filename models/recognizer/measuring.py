"""From renderings to a table of features."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.recognizer.pieces import Piece
from models.recognizer.renderings import HEADROOM, Timbre, rendering_path
from musicmed_live.core.judgement import Mono
from musicmed_live.recognition.features import RATE, extract
from musicmed_live.recognition.spectrum import FloatArray

WHOLE = 0.0  # seconds: all of a rendering
LENGTHS = (WHOLE, 30.0, 12.0, 6.0, 3.0)  # seconds of the first timbre that are listened to, from the beginning

Row = tuple[int, int, float, dict[str, float]]  # index of the piece, of the timbre, seconds, features


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What was measured, a row for each rendering or beginning of one."""

    names: tuple[str, ...]
    features: FloatArray  # shape (rows, names)
    pieces: NDArray[np.intp]  # index of each row's piece
    timbres: NDArray[np.intp]  # index of each row's timbre
    lengths: FloatArray  # of `LENGTHS`

    def chosen(self, rows: NDArray[np.bool_]) -> "Table":
        """The rows of a mask."""
        return Table(self.names, self.features[rows], self.pieces[rows], self.timbres[rows], self.lengths[rows])


def measure(pieces: Sequence[Piece], timbres: Sequence[Timbre], folder: Path, workers: int) -> Iterator[list[Row]]:
    """The rows of each rendering in `folder`, as they are measured: the first timbre in `LENGTHS`, the others whole."""
    jobs = [
        (rendering_path(folder, piece, timbre), at, index, LENGTHS if index == 0 else LENGTHS[:1])
        for index, timbre in enumerate(timbres)
        for at, piece in enumerate(pieces)
    ]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(_measure_one, *zip(*jobs, strict=True), chunksize=4)


def table_of(rows: Sequence[Row]) -> Table:
    """All rows as one table."""
    names = tuple(rows[0][3])
    pieces, timbres, lengths, features = zip(*rows, strict=True)
    return Table(
        names,
        np.array([[measured[name] for name in names] for measured in features]),
        np.array(pieces),
        np.array(timbres),
        np.array(lengths),
    )


def _measure_one(path: Path, piece: int, timbre: int, lengths: Sequence[float]) -> list[Row]:
    mono = _read(path)
    return [
        (piece, timbre, seconds, extract(mono[: round(seconds * RATE)] if seconds else mono)) for seconds in lengths
    ]


def _read(path: Path) -> Mono:
    mono, _ = soundfile.read(path, dtype="float32")
    return np.asarray(mono / np.float32(HEADROOM), np.float32)
