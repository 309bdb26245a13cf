"""The embedded recognizer: transparent features and a regression on what listeners said.

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
from musicmed_live.errors import CannotJudge, InvalidInput
from musicmed_live.recognition.features import RATE, extract
from musicmed_live.recognition.prototypes import SHARPNESS, Familiarity, nearness
from musicmed_live.recognition.spectrum import FloatArray

VERSION = 1
AXES = ("valence", "arousal")
FARTHEST = 3.5  # standard deviations from the fitted music's mean, beyond which a feature counts no further
REASONS = 5  # that are told of each axis
_STEPS, _STEP_WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True, slots=True)
class AxisModel:
    """The regression of one axis on standardised features, and its way from ratings to the plane."""

    intercept: float  # the mean rating
    linear: tuple[float, ...]  # ratings per standard deviation, in the order of the features
    by_nearness: tuple[float, ...]  # ratings, in the order of the prototypes
    nearness_sd: float  # of what is to be learned by nearness, in ratings, > 0
    error_sd: float  # of the estimate for an unseen piece such as those, listened to for long, > 0
    plane_offset: float  # plane = offset + slope * rating
    plane_slope: float  # > 0


@dataclass(frozen=True, slots=True)
class Coefficients:
    """All that was learned."""

    features: tuple[str, ...]
    means: tuple[float, ...]  # in the order of the features
    sds: tuple[float, ...]  # > 0
    prototypes: tuple[tuple[float, ...], ...]  # renderings of the rated pieces: features in standard deviations
    usual_strangeness: float  # of pieces that were left out: 0 .. 1, see `prototypes.Familiarity`
    axes: Mapping[str, AxisModel]  # by axis
    seconds: tuple[float, ...]  # lengths of what is listened to, ascending
    shortness: tuple[float, ...]  # by how much the error is larger at these lengths, >= 1


class EmbeddedRecognizer:
    """Judges music by a regression on listeners' ratings of pieces."""

    def __init__(self, coefficients: Coefficients) -> None:
        self.coefficients = coefficients
        self._means = np.array(coefficients.means)
        self._sds = np.array(coefficients.sds)
        self._prototypes = np.array(coefficients.prototypes)
        self._linear = {axis: np.array(model.linear) for axis, model in coefficients.axes.items()}
        self._by_nearness = {axis: np.array(model.by_nearness) for axis, model in coefficients.axes.items()}
        self._familiarity = Familiarity(self._prototypes)

    def judge(self, mono: Mono) -> Judgement:
        """The judgement of `mono`, shape (frames,) at `features.RATE`.

        Raises `CannotJudge` where it is shorter than 3 s, silent or not finite.
        """
        return self.judge_features(extract(mono), len(mono) / RATE)

    def judge_features(self, features: Mapping[str, float], seconds: float) -> Judgement:
        """The judgement of music that has these features and lasts that long. Raises `CannotJudge` for what is none."""
        values, reasons = {}, []
        for axis, adds in self.contributions(features).items():
            estimate = self.middle(axis) + float(adds.sum())
            if not math.isfinite(estimate):
                raise CannotJudge("the sound cannot be judged: its features are no finite numbers")
            values[axis] = min(1.0, max(-1.0, estimate))
            strongest = np.argsort(-np.abs(adds))[:REASONS]
            reasons += [Reason(self.coefficients.features[at], axis, float(adds[at])) for at in strongest]
        reasons.sort(key=lambda reason: -abs(reason.adds))
        valence_sd, arousal_sd = (self._sd(axis, features, seconds) for axis in AXES)
        return Judgement(Emotion(values["valence"], values["arousal"]), valence_sd, arousal_sd, tuple(reasons))

    def middle(self, axis: str) -> float:
        """Where in the plane music lies whose features are all those of the mean."""
        model = self.coefficients.axes[axis]
        nothing = nearness(np.zeros((1, len(self._means))), self._prototypes)
        rating = model.intercept + float((nothing @ self._by_nearness[axis]).item())
        return model.plane_offset + model.plane_slope * rating

    def contributions(self, features: Mapping[str, float]) -> dict[str, FloatArray]:
        """What each feature adds to the middle, by axis, in units of the plane and in the order of the features.

        The gradient of the estimate along the straight way from the mean's features to these (integrated gradients: M.
        Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks", ICML 2017), by Gauss and Legendre.
        """
        standard = self._standardised(features)
        way = (_STEPS[:, None] + 1) / 2 * standard  # points on it, shape (steps, features)
        near = nearness(way, self._prototypes) * _STEP_WEIGHTS[:, None] / 2
        pull = 2 * SHARPNESS / len(standard)
        adds = {}
        for axis, model in self.coefficients.axes.items():
            weights = near * self._by_nearness[axis]  # (steps, prototypes)
            gradient = pull * (weights.sum(axis=0) @ self._prototypes - weights.sum(axis=1) @ way)
            adds[axis] = model.plane_slope * standard * (self._linear[axis] + gradient)
        return adds

    def _standardised(self, features: Mapping[str, float]) -> FloatArray:
        """How many standard deviations each feature lies from the mean of the fitted music, shape (features,)."""
        values = np.array([features[name] for name in self.coefficients.features])
        return np.asarray(((values - self._means) / self._sds).clip(-FARTHEST, FARTHEST))

    def _sd(self, axis: str, features: Mapping[str, float], seconds: float) -> float:
        """The standard deviation of the error on one axis, in units of the plane.

        That of pieces such as were rated, and of what nearness tells as much as the music is stranger than they are.
        """
        model = self.coefficients.axes[axis]
        strangeness = float(self._familiarity.strangeness(self._standardised(features)[None, :]).item())
        stranger = max(0.0, strangeness - self.coefficients.usual_strangeness)
        shortness = float(np.interp(seconds, self.coefficients.seconds, self.coefficients.shortness))
        return model.plane_slope * math.hypot(model.error_sd * shortness, model.nearness_sd * math.sqrt(stranger))


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
    return json.dumps(_rounded(content)) + "\n"


def _rounded(content: Any) -> Any:
    """Numbers with five digits: more say nothing, and make files that differ between machines."""
    match content:
        case float():
            return float(f"{content:.5g}")
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
    pieces = len(content["prototypes"])
    coefficients = Coefficients(
        features=features,
        means=_numbers(content["means"], len(features)),
        sds=_numbers(content["sds"], len(features)),
        prototypes=tuple(_numbers(row, len(features)) for row in content["prototypes"]),
        usual_strangeness=_numbers([content["usual_strangeness"]], 1)[0],
        axes={axis: _read_axis(content["axes"][axis], len(features), pieces) for axis in AXES},
        seconds=_numbers(content["seconds"], len(content["seconds"])),
        shortness=_numbers(content["shortness"], len(content["seconds"])),
    )
    if not pieces or not coefficients.seconds or min(coefficients.sds) <= 0:
        raise ValueError("there are no prototypes, no lengths, or a scale that is not above 0")
    return coefficients


def _read_axis(content: Mapping[str, Any], features: int, pieces: int) -> AxisModel:
    names = ("intercept", "nearness_sd", "error_sd", "plane_offset", "plane_slope")
    intercept, nearness_sd, error_sd, offset, slope = _numbers([content[name] for name in names], len(names))
    if min(nearness_sd, error_sd, slope) <= 0:
        raise ValueError("a standard deviation or the slope is not above 0")
    linear, by_nearness = _numbers(content["linear"], features), _numbers(content["by_nearness"], pieces)
    return AxisModel(intercept, linear, by_nearness, nearness_sd, error_sd, offset, slope)


def _numbers(values: Any, count: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{count} finite numbers are wanted, these are {len(numbers)}")
    return numbers
