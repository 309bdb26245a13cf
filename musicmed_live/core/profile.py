"""What is kept of a patient between sessions: the body at rest, how steadily the patient reports, a week of sound."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from musicmed_live.core.checks import check_keys, is_number
from musicmed_live.core.estimate import REPORT_SD
from musicmed_live.core.exposure import Week
from musicmed_live.errors import InvalidInput, shown

VERSION = 1
REPORT_SDS = (0.01, 1.0)
HOURS = (0, 10**7)  # since 1970
DOSES_PA2H = (0.0, 1e6)


class Feature(StrEnum):
    """What of the body tells of arousal."""

    HEART_RATE = "heart_rate"  # beats a minute
    LN_RMSSD = "ln_rmssd"  # of RR intervals, ln ms
    LN_SKIN_LEVEL = "ln_skin_level"  # tonic skin conductance, ln µS
    SKIN_RESPONSES = "skin_responses"  # a minute
    RESPIRATION = "respiration"  # breaths a minute


# The means that a body can have, in each feature's unit.
MEANS: dict[Feature, tuple[float, float]] = {
    Feature.HEART_RATE: (20.0, 300.0),
    Feature.LN_RMSSD: (-5.0, 10.0),
    Feature.LN_SKIN_LEVEL: (-5.0, 5.0),
    Feature.SKIN_RESPONSES: (0.0, 600.0),
    Feature.RESPIRATION: (2.0, 80.0),
}


@dataclass(frozen=True, slots=True)
class Baseline:
    """One feature at rest, in its own unit: mean and SD over `seconds` of good readings, and the arousal then."""

    mean: float
    sd: float  # > 0
    seconds: float  # >= 0
    arousal: float = 0.0  # -1 .. 1: what the patient reported meanwhile


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of one patient."""

    baselines: Mapping[Feature, Baseline] = field(default_factory=dict)
    report_sd: float = REPORT_SD  # of a self-report, in units of the plane
    week: Week = field(default_factory=Week)  # of sound, where it was heard by a calibrated output

    def to_json(self) -> str:
        """As text; `from_json` gives the same profile back."""
        baselines = {feature.value: asdict(baseline) for feature, baseline in self.baselines.items()}
        body = {"version": VERSION, "report_sd": self.report_sd, "baselines": baselines}
        if self.week.hours:
            body["exposure_pa2h"] = {str(hour): dose for hour, dose in sorted(self.week.hours.items())}
        return json.dumps(body, indent=1)

    @staticmethod
    def from_json(text: str) -> "Profile":
        """A profile from text. Raises `InvalidInput` that says what is wrong with it."""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidInput(f"profile: not JSON: {shown(text)}", "profile", "not_json") from None
        _check_object(body, ("version", "report_sd", "baselines", "exposure_pa2h"), "profile")
        if body.get("version") != VERSION:
            raise InvalidInput(f"version: {shown(body.get('version'))} is not {VERSION}", "version")
        baselines = body.get("baselines")
        _check_object(baselines, tuple(Feature), "baselines")
        return Profile(
            {Feature(name): _baseline(Feature(name), value) for name, value in baselines.items()},
            _number(body, "report_sd", REPORT_SDS, "profile"),
            _week(body.get("exposure_pa2h", {})),
        )


def _baseline(feature: Feature, value: Any) -> Baseline:
    where = f"baselines.{feature}"
    _check_object(value, ("mean", "sd", "seconds", "arousal"), where)
    return Baseline(
        _number(value, "mean", MEANS[feature], where),
        _number(value, "sd", (1e-6, 1e3), where),
        _number(value, "seconds", (0.0, 1e9), where),
        _number(value, "arousal", (-1.0, 1.0), where),
    )


def _week(value: Any) -> Week:
    if not isinstance(value, dict) or not all(hour.isdecimal() and HOURS[0] <= int(hour) <= HOURS[1] for hour in value):
        raise InvalidInput(f"exposure_pa2h: {shown(value)} is not doses by the hour since 1970", "exposure_pa2h")
    return Week({int(hour): _number(value, hour, DOSES_PA2H, "exposure_pa2h") for hour in value})


def _check_object(value: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: {shown(value)} is not an object", where)
    check_keys(value, known, where)


def _number(value: dict[str, Any], key: str, bounds: tuple[float, float], where: str) -> float:
    number = value.get(key)
    if not is_number(number) or not bounds[0] <= number <= bounds[1]:
        raise InvalidInput(
            f"{where}.{key}: {shown(number)} is not from {bounds[0]:g} to {bounds[1]:g}", f"{where}.{key}"
        )
    return float(number)
