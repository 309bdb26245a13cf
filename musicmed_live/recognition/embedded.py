"""The embedded recognizer: transparent features and a small regression on what listeners said.

What it was fitted on, how, and what it is worth is said beside its coefficients, in `models/recognizer/CARD.md`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.judgement import Judgement, Mono, Reason
from musicmed_live.errors import InvalidInput
from musicmed_live.recognition.features import RATE, extract
from musicmed_live.recognition.spectrum import FloatArray

VERSION = 1
AXES = ("valence", "arousal")
FARTHEST = 3.5  # standard deviations from the fitted music's mean, beyond which a feature counts no further
REASONS = 5  # that are told of each axis


@dataclass(frozen=True, slots=True)
class AxisModel:
    """The regression of one axis on standardised features, and its way from ratings to the plane."""

    intercept: float  # the mean rating
    weights: tuple[float, ...]  # ratings per standard deviation, in the order of the features
    error_sd: float  # of the estimate for an unseen piece, in ratings, however long one listens; > 0
    plane_offset: float  # plane = offset + slope * rating
    plane_slope: float


@dataclass(frozen=True, slots=True)
class Coefficients:
    """All that was learned. The arrays' order is that of `features`."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]  # > 0
    spread: tuple[tuple[float, ...], ...]  # what an error of the weights does: the inverse of X'X + penalty
    axes: Mapping[str, AxisModel]  # by axis
    seconds: tuple[float, ...]  # lengths of clips, ascending
    shortness: tuple[float, ...]  # by how much the error is larger at these lengths, >= 1


class EmbeddedRecognizer:
    """Judges music by a regression on listeners' ratings of piano pieces."""

    def __init__(self, coefficients: Coefficients) -> None:
        self.coefficients = coefficients
        self._means = np.array(coefficients.means)
        self._sds = np.array(coefficients.sds)
        self._spread = np.array(coefficients.spread)
        self._weights = {axis: np.array(model.weights) for axis, model in coefficients.axes.items()}

    def judge(self, mono: Mono) -> Judgement:
        """The judgement of `mono`, shape (frames,) at `features.RATE`.

        Raises `CannotJudge` where it is shorter than 3 s, silent or not finite.
        """
        return self.judge_features(extract(mono), len(mono) / RATE)

    def judge_features(self, features: Mapping[str, float], seconds: float) -> Judgement:
        """The judgement of music that has these features and lasts that long."""
        standard = self.standardised(features)
        uncertainty = self._uncertainty(standard, seconds)
        values, sds, reasons = {}, {}, []
        for axis, model in self.coefficients.axes.items():
            adds = self._weights[axis] * standard.clip(-FARTHEST, FARTHEST) * model.plane_slope
            middle = model.plane_offset + model.plane_slope * model.intercept
            values[axis] = min(1.0, max(-1.0, middle + float(adds.sum())))
            sds[axis] = model.plane_slope * model.error_sd * uncertainty
            reasons += [
                Reason(self.coefficients.features[at], axis, float(adds[at]))
                for at in np.argsort(-np.abs(adds))[:REASONS]
            ]
        reasons.sort(key=lambda reason: -abs(reason.adds))
        return Judgement(Emotion(values["valence"], values["arousal"]), sds["valence"], sds["arousal"], tuple(reasons))

    def standardised(self, features: Mapping[str, float]) -> FloatArray:
        """How many standard deviations each feature lies from the mean of the fitted music, shape (features,)."""
        values = np.array([features[name] for name in self.coefficients.features])
        return np.asarray((values - self._means) / self._sds)

    def _uncertainty(self, standard: FloatArray, seconds: float) -> float:
        """How many times larger the error is than for long music in the midst of what was fitted, >= 1.

        The predictive variance of a Bayesian linear regression (C. M. Bishop, "Pattern Recognition and Machine
        Learning", 2006, equation 3.59) over the variance of its noise, times what shortness costs.
        """
        leverage = float(standard @ self._spread @ standard)
        shortness = float(np.interp(seconds, self.coefficients.seconds, self.coefficients.shortness))
        return math.sqrt(1.0 + leverage) * shortness


def load_recognizer(path: Path | None = None) -> EmbeddedRecognizer:
    """The recognizer with the project's coefficients, or with those of the file `path`.

    Raises `InvalidInput` where the file cannot be read or holds no coefficients.
    """
    source = path or resources.files("models.recognizer") / "coefficients.json"
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        coefficients = _read(content)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{source}: no coefficients of a recognizer ({error!r}); make them with musicmed-live models fit-recognizer"
        ) from None
    return EmbeddedRecognizer(coefficients)


def to_json(coefficients: Coefficients, made_from: Mapping[str, Any]) -> str:
    """The coefficients as a file holds them, with what they were made from."""
    content = {"version": VERSION, "made_from": dict(made_from), **asdict(coefficients)}
    return json.dumps(_rounded(content), indent=1) + "\n"


def _rounded(content: Any) -> Any:
    """Numbers with six digits: more say nothing, and make files that differ between machines."""
    match content:
        case float():
            return float(f"{content:.6g}")
        case dict():
            return {name: _rounded(value) for name, value in content.items()}
        case list() | tuple():
            return [_rounded(value) for value in content]
        case _:
            return content


def _read(content: Any) -> Coefficients:
    """Raises `KeyError`, `TypeError` or `ValueError` where something is missing or does not fit together."""
    if content["version"] != VERSION:
        raise ValueError(f"version {content['version']!r} instead of {VERSION}")
    features = tuple(str(name) for name in content["features"])
    coefficients = Coefficients(
        features=features,
        means=_numbers(content["means"], len(features)),
        sds=_numbers(content["sds"], len(features)),
        spread=tuple(_numbers(row, len(features)) for row in content["spread"]),
        axes={axis: _read_axis(content["axes"][axis], len(features)) for axis in AXES},
        seconds=_numbers(content["seconds"], len(content["seconds"])),
        shortness=_numbers(content["shortness"], len(content["seconds"])),
    )
    if min(coefficients.sds) <= 0 or len(coefficients.spread) != len(features):
        raise ValueError("the scales of the features do not fit")
    return coefficients


def _read_axis(content: Mapping[str, Any], features: int) -> AxisModel:
    weights = _numbers(content["weights"], features)
    names = ("intercept", "error_sd", "plane_offset", "plane_slope")
    intercept, error_sd, offset, slope = _numbers([content[name] for name in names], len(names))
    if error_sd <= 0:
        raise ValueError(f"error_sd is {error_sd}, not above 0")
    return AxisModel(intercept, weights, error_sd, offset, slope)


def _numbers(values: Any, count: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{count} finite numbers are wanted, these are {len(numbers)}")
    return numbers
