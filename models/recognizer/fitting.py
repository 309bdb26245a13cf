"""`musicmed-live models fit-recognizer`: from rated pieces to coefficients, with what they are worth."""

import math
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.progress import track

from models.clips import make_folder, write_text
from models.recognizer.measuring import LENGTHS, WHOLE, Table, measure, table_of
from models.recognizer.pieces import Piece, checksum, read_pieces
from models.recognizer.plane import LEVELS, SEEDS, Anchor, anchors, plane_of
from models.recognizer.regression import LINEAR, fit
from models.recognizer.renderings import SUSTAINED, TIMBRES, Timbre, render_all
from models.recognizer.validation import FOLDS, PARTITIONS, Validation, usual_strangeness, validate
from musicmed_live.recognition.embedded import AXES, AxisModel, Coefficients, to_json
from musicmed_live.recognition.spectrum import FloatArray

# Its correlation with arousal has another sign from timbre to timbre, and than in the published regression.
LEFT_OUT = ("fluctuation_peak",)

_T = TypeVar("_T")


def fit_recognizer(
    ratings: Path,
    renderings: Path,
    out: Path,
    workers: int,
    timbres: Sequence[Timbre] = TIMBRES,
    sustained: Sequence[Timbre] = SUSTAINED,
    levels: Sequence[float] = LEVELS,
    seeds: Sequence[int] = SEEDS,
) -> Validation:
    """Render, measure, validate, fit, write the coefficients to `out` and print the figures.

    Raises `InvalidInput` where `ratings` holds no rated pieces that can be read, `CannotServe` where `renderings` or
    `out` cannot be written.
    """
    pieces = read_pieces(ratings)
    make_folder(out.parent)
    table = measure_pieces(pieces, renderings, workers, [*timbres, *sustained])
    rated = ratings_of(pieces)
    validation = validate(table, rated, timbres, sustained)
    composed = list(_shown(anchors(workers, levels, seeds), len(levels) ** 2 * len(seeds), "composing"))
    coefficients = learn(table.chosen(table.timbres < len(timbres)), rated, validation, composed)
    made_from = {
        "ratings_sha256": checksum(pieces),
        "pieces": len(pieces),
        "timbres": [timbre.name for timbre in timbres],
        "plane_seeds": list(seeds),
        "folds": FOLDS,
        "partitions": PARTITIONS,
        "versions": {name: version(name) for name in ("musicmed-live", "numpy", "scipy")},
        "cv_r": validation.cv_r,
        "new_timbre_r": validation.new_timbre_r,
        "sustained_r": validation.sustained_r,
    }
    write_text(out, to_json(coefficients, made_from))
    sys.stdout.write("\n".join(lines(validation)) + "\n")
    return validation


def measure_pieces(pieces: Sequence[Piece], renderings: Path, workers: int, timbres: Sequence[Timbre]) -> Table:
    """Render what is not there yet, and measure all of it but `LEFT_OUT`."""
    count = len(pieces) * len(timbres)
    for _ in _shown(render_all(pieces, timbres, renderings, workers), count, "playing"):
        pass
    measured = _shown(measure(pieces, timbres, renderings, workers), count, "listening")
    table = table_of([row for rows in measured for row in rows])
    kept = [column for column, name in enumerate(table.names) if name not in LEFT_OUT]
    names = tuple(table.names[column] for column in kept)
    return Table(names, table.features[:, kept], table.pieces, table.timbres, table.lengths)


def ratings_of(pieces: Sequence[Piece]) -> FloatArray:
    """The pieces' ratings, shape (pieces, axes), in the order of `AXES`."""
    return np.array([[getattr(piece, axis) for axis in AXES] for piece in pieces])


def learn(table: Table, ratings: FloatArray, validation: Validation, composed: Sequence[Anchor]) -> Coefficients:
    """The coefficients, fitted to all pieces in all timbres of the table, and the plane by the composer's clips."""
    whole = table.chosen(table.lengths == WHOLE)
    learned = fit(whole.features, whole.pieces, whole.timbres, ratings)
    estimates = learned.estimate(np.array([[features[name] for name in table.names] for _, features in composed]))
    axes = {}
    for at, axis in enumerate(AXES):
        offset, slope = plane_of(estimates[:, at], np.array([getattr(emotion, axis) for emotion, _ in composed]))
        axes[axis] = AxisModel(
            intercept=float(learned.intercepts[at]),
            linear=tuple(learned.linear[:, at].tolist()),
            by_nearness=tuple(learned.by_nearness[:, at].tolist()),
            nearness_sd=float(ratings[:, at].std()) / math.sqrt(1 + LINEAR),
            error_sd=validation.error_sd[axis],
            plane_offset=offset,
            plane_slope=slope,
        )
    return Coefficients(
        features=table.names,
        means=tuple(learned.means.tolist()),
        sds=tuple(learned.sds.tolist()),
        prototypes=tuple(tuple(row) for row in learned.prototypes.tolist()),
        usual_strangeness=usual_strangeness(learned.prototypes, whole.pieces),
        axes=axes,
        seconds=tuple(sorted(set(LENGTHS) - {WHOLE})),
        shortness=validation.shortness,
    )


def lines(validation: Validation) -> list[str]:
    """The figures, for people."""
    rows = [("unseen pieces, in the timbre that was rated", validation.cv_r)]
    rows += [(f"of that, the first {seconds:g} s", by_axis) for seconds, by_axis in validation.by_length_r.items()]
    rows += [(f"unseen pieces, {name}", by_axis) for name, by_axis in validation.known_timbre_r.items()]
    rows += [(f"instruments never fitted: {name}", by_axis) for name, by_axis in validation.new_timbre_r.items()]
    rows += [(f"instruments that sustain: {name}", by_axis) for name, by_axis in validation.sustained_r.items()]
    rows += [("standard deviation of the error", validation.error_sd)]
    return [f"{'':48}{AXES[0]:>9}{AXES[1]:>9}"] + [
        f"{title:48}" + "".join(f"{by_axis[axis]:9.3f}" for axis in AXES) for title, by_axis in rows
    ]


def _shown(steps: Iterator[_T], count: int, title: str) -> Iterator[_T]:
    """The steps, with a progress bar where somebody looks."""
    yield from track(steps, title, total=count, disable=not sys.stdout.isatty())
