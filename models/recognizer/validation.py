"""What the recognizer is worth: on pieces, and on instruments, that it was not fitted to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.recognizer.measuring import LENGTHS, WHOLE, Table
from models.recognizer.regression import fit
from models.recognizer.renderings import Timbre
from musicmed_live.recognition.embedded import AXES
from musicmed_live.recognition.prototypes import Familiarity
from musicmed_live.recognition.spectrum import FloatArray

FOLDS, PARTITIONS = 10, 3


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Correlations of estimates for left-out pieces with their ratings, and the errors; each by axis."""

    cv_r: dict[str, float]  # in the timbre that the listeners heard
    by_length_r: dict[float, dict[str, float]]  # the same, of beginnings so many seconds long
    known_timbre_r: dict[str, dict[str, float]]  # by timbre, each of them fitted, too
    new_timbre_r: dict[str, dict[str, float]]  # by timbre, none of whose instruments was fitted
    sustained_r: dict[str, dict[str, float]]  # by timbre of instruments that sustain; none is fitted
    error_sd: dict[str, float]  # over whole renderings in all fitted timbres
    shortness: tuple[float, ...]  # by how much the error is larger, for `LENGTHS` in ascending order


def mean_r(by_timbre: Mapping[str, Mapping[str, float]], axis: str) -> float:
    """Mean of an axis's correlations over the timbres."""
    return float(np.mean([by_axis[axis] for by_axis in by_timbre.values()]))


def validate(table: Table, ratings: FloatArray, timbres: Sequence[Timbre], sustained: Sequence[Timbre]) -> Validation:
    """All figures of a table of `timbres`, the first of them the one that the listeners heard, then of `sustained`.

    `ratings`: shape (pieces, axes), in the order of `AXES`.
    """
    listened = table.chosen(table.lengths == WHOLE)
    whole = listened.chosen(listened.timbres < len(timbres))
    first = table.chosen(table.timbres == 0)
    heard = estimate_left_out(whole, first, ratings)
    everywhere = estimate_left_out(whole, listened, ratings)
    errors = {length: _rms(heard, first, ratings, first.lengths == length) for length in LENGTHS}
    shortness = [float((errors[length] / errors[WHOLE]).mean()) for length in sorted(set(LENGTHS) - {WHOLE})]
    of_timbre = {
        timbre.name: _correlations(everywhere, listened, ratings, listened.timbres == index)
        for index, timbre in enumerate([*timbres, *sustained])
    }
    at_full_length = first.lengths == WHOLE
    return Validation(
        cv_r=_correlations(heard, first, ratings, at_full_length),
        by_length_r={length: _correlations(heard, first, ratings, first.lengths == length) for length in LENGTHS[1:]},
        known_timbre_r={timbre.name: of_timbre[timbre.name] for timbre in timbres},
        new_timbre_r=_new_timbres(whole, ratings, timbres),
        sustained_r={timbre.name: of_timbre[timbre.name] for timbre in sustained},
        error_sd=_by_axis(_rms(everywhere, listened, ratings, listened.timbres < len(timbres))),
        shortness=tuple(np.maximum.accumulate([1.0, *shortness[::-1]])[:0:-1].tolist()),
    )


def estimate_left_out(train: Table, test: Table, ratings: FloatArray) -> list[FloatArray]:
    """Estimates of the rows of `test`, shape (rows, axes), by fits to `train` without their pieces, by partition."""
    estimates = []
    for left_out in _partitions(len(ratings)):
        of_partition = np.empty((len(test.pieces), ratings.shape[1]))
        for pieces in left_out:
            kept = ~np.isin(train.pieces, pieces)
            learned = fit(train.features[kept], train.pieces[kept], train.timbres[kept], ratings)
            asked = np.isin(test.pieces, pieces)
            of_partition[asked] = learned.estimate(test.features[asked])
        estimates.append(of_partition)
    return estimates


def usual_strangeness(prototypes: FloatArray, pieces: NDArray[np.intp]) -> float:
    """The mean strangeness of pieces to the others, of prototypes as in `Fit` with the index of each one's piece."""
    found = []
    for left_out in next(_partitions(int(pieces.max()) + 1)):
        strangers = np.isin(pieces, left_out)
        found += Familiarity(prototypes[~strangers]).strangeness(prototypes[strangers]).tolist()
    return float(np.mean(found))


def _partitions(pieces: int) -> Iterator[list[NDArray[np.intp]]]:
    """The pieces that are left out by each fold of each random partition."""
    for partition in range(PARTITIONS):
        order = np.random.default_rng(partition).permutation(pieces)
        yield [order[fold::FOLDS] for fold in range(FOLDS)]


def _new_timbres(whole: Table, ratings: FloatArray, timbres: Sequence[Timbre]) -> dict[str, dict[str, float]]:
    """For each timbre a fit to those that share no instrument with it, and to other pieces."""
    found = {}
    for index, timbre in enumerate(timbres):
        others = [at for at, other in enumerate(timbres) if not timbre.instruments & other.instruments]
        if not others:
            continue
        test = whole.chosen(whole.timbres == index)
        estimates = estimate_left_out(whole.chosen(np.isin(whole.timbres, others)), test, ratings)
        found[timbre.name] = _correlations(estimates, test, ratings, np.ones(len(test.pieces), np.bool_))
    return found


def _correlations(
    estimates: Sequence[FloatArray], test: Table, ratings: FloatArray, rows: NDArray[np.bool_]
) -> dict[str, float]:
    """By axis, the mean over partitions."""
    truth = ratings[test.pieces[rows]]
    return _by_axis(
        np.mean(
            [
                [np.corrcoef(estimate[rows, axis], truth[:, axis])[0, 1] for axis in range(len(AXES))]
                for estimate in estimates
            ],
            axis=0,
        )
    )


def _rms(estimates: Sequence[FloatArray], test: Table, ratings: FloatArray, rows: NDArray[np.bool_]) -> FloatArray:
    """The root mean square error, shape (axes,)."""
    errors = np.stack([estimate[rows] - ratings[test.pieces[rows]] for estimate in estimates])
    return np.asarray(np.sqrt((errors**2).mean(axis=(0, 1))))


def _by_axis(values: FloatArray) -> dict[str, float]:
    return {axis: float(value) for axis, value in zip(AXES, values, strict=True)}
