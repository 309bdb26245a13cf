"""A ridge regression whose weights keep the sign of their feature's own correlation with the ratings.

Free weights predict left-out pieces of the same timbre little better, but cancel each other in ways that hold for one
instrument only: carried over to others they go astray.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from musicmed_live.recognition.spectrum import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """What brings features to mean 0 and standard deviation 1."""

    means: FloatArray  # shape (features,)
    sds: FloatArray  # > 0

    @staticmethod
    def of(features: FloatArray) -> "Scaling":
        """The scaling of a table, shape (rows, features)."""
        return Scaling(features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9))

    def __call__(self, features: FloatArray) -> FloatArray:
        return np.asarray((features - self.means) / self.sds)


def signed_ridge(
    standard: FloatArray, ratings: FloatArray, penalty: float, known: Mapping[int, float] | None = None
) -> FloatArray:
    """Weights of standardised features, shape (rows, features), for ratings with mean 0, shape (rows,).

    Minimises the mean squared error plus `penalty` times the sum of the squared weights. A feature whose correlation
    with the ratings has another sign than the weight that `known` has for its column gets none.
    """
    rows, count = standard.shape
    signs = np.sign(standard.T @ ratings)
    for column, weight in (known or {}).items():
        if signs[column] * weight < 0:
            signs[column] = 0.0
    root = np.linalg.cholesky(standard.T @ standard / rows + penalty * np.eye(count))
    target = np.linalg.solve(root, standard.T @ ratings / rows)
    sizes, _ = nnls(root.T * signs, target)
    return np.asarray(sizes * signs)
