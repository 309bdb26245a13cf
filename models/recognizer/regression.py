"""The regression: a linear part, and a part by nearness to the rated pieces.

This is kernel ridge regression, or the mean of a Gaussian process, with the sum of a linear and a Gaussian kernel on
standardised features (C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, equation
2.25). Every rendering of a rated piece is a prototype.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicmed_live.recognition.embedded import FARTHEST
from musicmed_live.recognition.prototypes import nearness
from musicmed_live.recognition.spectrum import FloatArray

PENALTY = (
    0.3  # variance of the ratings' noise over that of what is learned by nearness, for a piece that is played once
)
LINEAR = 2.0  # variance of what is learned linearly over that, for features of variance 1


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What was learned of one table, for all axes at once."""

    means: FloatArray  # shape (features,)
    sds: FloatArray  # > 0
    prototypes: FloatArray  # shape (rows, features), standardised
    intercepts: FloatArray  # shape (axes,): the mean ratings
    linear: FloatArray  # shape (features, axes), ratings per standard deviation
    by_nearness: FloatArray  # shape (rows, axes)

    def estimate(self, features: FloatArray) -> FloatArray:
        """Ratings, shape (rows, axes), of music with these features, (rows, features)."""
        standard = ((features - self.means) / self.sds).clip(-FARTHEST, FARTHEST)
        near = nearness(standard, self.prototypes)
        return np.asarray(self.intercepts + standard @ self.linear + near @ self.by_nearness)


def fit(features: FloatArray, pieces: NDArray[np.intp], timbres: NDArray[np.intp], ratings: FloatArray) -> Fit:
    """The regression of `ratings`, shape (pieces, axes), on rows of features, shape (rows, features).

    `pieces` and `timbres`: index of each row's piece and timbre, shape (rows,). Each piece that occurs counts the same.
    """
    means, sds = _scales(features, timbres)
    standard = (features - means) / sds
    known, piece, renderings = np.unique(pieces, return_inverse=True, return_counts=True)
    slope = LINEAR / features.shape[1]
    kernel = nearness(standard, standard) + slope * standard @ standard.T
    intercepts = ratings[known].mean(axis=0)
    dual = np.linalg.solve(kernel + PENALTY * np.diag(renderings[piece]), ratings[pieces] - intercepts)
    return Fit(means, sds, standard, intercepts, slope * standard.T @ dual, dual)


def _scales(features: FloatArray, timbres: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each feature within a timbre, the mean over timbres.

    What differs between timbres rather than between pieces is not part of the scale: it is left to the renderings to
    show that it says nothing.
    """
    within = [features[timbres == timbre] for timbre in np.unique(timbres)]
    means = np.mean([rows.mean(axis=0) for rows in within], axis=0)
    variances = np.mean([rows.var(axis=0) for rows in within], axis=0)
    return means, np.sqrt(np.where(variances > 1e-12, variances, 1.0))
