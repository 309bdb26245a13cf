"""Likeness to known music: how near features lie to those of prototypes."""

import numpy as np

from musicmed_live.recognition.spectrum import FloatArray

SHARPNESS = 1.0  # of the likeness: how fast it falls with the mean squared distance of the features
_NOISE = 0.1  # variance of what is known at a prototype, over that of what there is to know


def nearness(standard: FloatArray, prototypes: FloatArray) -> FloatArray:
    """How near each row is to each prototype: 1 where they are the same, falling to 0; shape (rows, prototypes).

    Both hold standardised features, shapes (rows, features) and (prototypes, features). A Gaussian kernel.
    """
    squares = (standard**2).sum(axis=1)[:, None] + (prototypes**2).sum(axis=1)[None, :]
    distance = np.maximum(squares - 2 * standard @ prototypes.T, 0.0) / standard.shape[1]
    return np.asarray(np.exp(-SHARPNESS * distance))


class Familiarity:
    """How much of what there is to know of music is known from prototypes."""

    def __init__(self, prototypes: FloatArray) -> None:
        """`prototypes`: standardised features, shape (prototypes, features)."""
        self._prototypes = prototypes
        self._inverse = np.linalg.inv(nearness(prototypes, prototypes) + _NOISE * np.eye(len(prototypes)))

    def strangeness(self, standard: FloatArray) -> FloatArray:
        """The share that is not known, 0 .. 1, of each row of standardised features, shape (rows,).

        The variance of a Gaussian process over that before anything is known (C. E. Rasmussen and C. K. I. Williams,
        "Gaussian Processes for Machine Learning", 2006, equation 2.26).
        """
        near = nearness(standard, self._prototypes)
        return np.asarray((1.0 - ((near @ self._inverse) * near).sum(axis=1)).clip(0.0, 1.0))
