"""What people heard: a regression of audio features on the emotions that listeners reported for 146 pieces.

The ratings are those of the VGMIDI data set (L. N. Ferreira and J. Whitehead, "Learning to generate music with
sentiment", ISMIR 2019): piano pieces whose valence and arousal about 29 listeners each followed while they
listened. `benchmarks.fit_human_ratings` fits the regression and writes `human_ratings.json`; neither the pieces
nor the single ratings are part of the project.

The model is a ridge regression in which each weight may only have the sign of its feature's own correlation with
the ratings, and none that contradicts the published regression. Free weights predict the left-out ratings little
better (r higher by .01 at most), but cancel each other in ways that hold for a solo piano only: carried over to
ensembles they go astray. For the same reason the features leave out the shape of the spectrum, which tells
instruments apart: all rated pieces are played by one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

FloatArray = NDArray[np.float64]

MODEL_FILE = Path(__file__).with_name("human_ratings.json")
LEVEL_LUFS = -20.0  # median loudness that the rated pieces are played at: the middle of the composer's range


@dataclass(frozen=True, slots=True)
class Regression:
    """A linear estimate from standardised features."""

    intercept: float
    weights: dict[str, float]  # per standard deviation, by feature
    means: dict[str, float]
    scales: dict[str, float]  # standard deviations, > 0

    def estimate(self, features: Mapping[str, float]) -> float:
        """The rating, -1 to 1 for music such as was rated, of music with these `features`."""
        return self.intercept + sum(
            weight * (features[name] - self.means[name]) / self.scales[name] for name, weight in self.weights.items()
        )


def fit(
    features: FloatArray, names: tuple[str, ...], ratings: FloatArray, alpha: float, published: Mapping[str, float]
) -> Regression:
    """The sign-constrained ridge regression of `ratings`, shape (pieces,), on `features`, (pieces, len(names)).

    `alpha` > 0 is the penalty on the sum of the squared weights of the standardised features. A feature whose
    correlation with the ratings has another sign than its weight in `published`, if it is there, is left out.
    """
    means, scales = features.mean(axis=0), features.std(axis=0)
    standardised = (features - means) / scales
    centred = ratings - ratings.mean()
    signs = np.sign(standardised.T @ centred)
    known = np.sign([published.get(name, 0.0) for name in names])
    signs[signs * known < 0] = 0.0
    penalty = np.sqrt(alpha) * np.eye(len(names))
    magnitudes, _ = nnls(np.vstack([standardised * signs, penalty]), np.concatenate([centred, np.zeros(len(names))]))
    used = [column for column, magnitude in enumerate(magnitudes) if magnitude]
    return Regression(
        intercept=float(ratings.mean()),
        weights={names[column]: float(magnitudes[column] * signs[column]) for column in used},
        means={names[column]: float(means[column]) for column in used},
        scales={names[column]: float(scales[column]) for column in used},
    )


def save_model(models: Mapping[str, Regression], notes: Mapping[str, object]) -> None:
    """Write the regressions by axis, with `notes` on how they were fitted, to the project's file."""
    content = {"fitted": dict(notes), "models": {axis: asdict(model) for axis, model in models.items()}}
    MODEL_FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_model() -> dict[str, Regression]:
    """The regressions in the project, by axis: `valence` and `arousal`."""
    models = json.loads(MODEL_FILE.read_text(encoding="utf-8"))["models"]
    return {axis: Regression(**model) for axis, model in models.items()}
