import numpy as np
import pytest

from benchmarks.human_ratings import FloatArray, fit, load_model

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal([3.0, -7.0, 0.5], [2.0, 0.1, 30.0], (200, 3))
NAMES = ("loudness", "mode", "noise")


def standardised(column: int) -> FloatArray:
    values = FEATURES[:, column]
    return np.asarray((values - values.mean()) / values.std())


def test_it_recovers_a_linear_relation_in_the_units_of_the_features() -> None:
    ratings = 0.1 + 0.3 * standardised(0) - 0.2 * standardised(1)
    model = fit(FEATURES, NAMES, ratings, alpha=1e-6, published={})
    first = dict(zip(NAMES, FEATURES[0].tolist(), strict=True))
    assert model.estimate(first) == pytest.approx(ratings[0], abs=1e-3)


def test_a_feature_that_contradicts_the_published_sign_is_left_out() -> None:
    ratings = 0.3 * standardised(0) - 0.2 * standardised(1)
    model = fit(FEATURES, NAMES, ratings, alpha=1.0, published={"mode": 0.4565})
    assert "mode" not in model.weights
    assert model.weights["loudness"] > 0


def test_the_fitted_model_hears_a_major_key_as_more_pleasant_and_more_onsets_as_more_activated() -> None:
    model = load_model()
    assert model["valence"].weights["mode"] > 0
    assert model["arousal"].weights["onset_rate"] > 0
