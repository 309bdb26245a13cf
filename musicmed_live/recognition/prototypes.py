"""Likeness to known music: how near features lie to those of prototypes."""

import numpy as np

from musicmed_live.recognition.spectrum import FloatArray

SHARPNESS = 0.5  # of the likeness: how fast it falls with the mean squared distance of the features


def nearness(standard: FloatArray, prototypes: FloatArray) -> FloatArray:
    """How near each row is to each prototype: 1 where they are the same, falling to 0; shape (rows, prototypes).

    Both hold standardised features, shapes (rows, features) and (prototypes, features). A Gaussian kernel.
    """
    squares = (standard**2).sum(axis=1)[:, None] + (prototypes**2).sum(axis=1)[None, :]
    distance = np.maximum(squares - 2 * standard @ prototypes.T, 0.0) / standard.shape[1]
    return np.asarray(np.exp(-SHARPNESS * distance))
