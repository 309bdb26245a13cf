"""What wearables say: readings of the body, each checked here, once.

`at` is when it was measured, in seconds since 1970 (UTC), by the wearable's clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from musicmed_live.core.checks import check_keys, is_number
from musicmed_live.errors import InvalidInput, shown

BPM = (20.0, 300.0)  # beyond that no heart beats
RR_MS = (100.0, 5000.0)  # beyond that it is no interval between beats at all; physiology.py judges the rest
MAX_RR = 64  # intervals in one reading
RR_SLACK_MS = 2000.0  # the intervals of a reading and its rate are not of quite the same seconds
RR_SUM_MS = 90_000.0  # nobody keeps beats back longer
MICROSIEMENS = (0.0, 100.0)
BREATHS_PER_MINUTE = (2.0, 80.0)
G = (0.0, 16.0)
EPOCH_SECONDS = (0.0, 4e9)


class Kind(StrEnum):
    """What is measured."""

    HEART_RATE = "heart_rate"
    SKIN_CONDUCTANCE = "skin_conductance"
    RESPIRATION = "respiration"
    MOTION = "motion"


@dataclass(frozen=True, slots=True)
class HeartRate:
    """Of a chest strap or a watch: a rate, the intervals between the beats since the last reading, or both.

    Neither where there is no contact.
    """

    at: float
    bpm: float | None
    rr_ms: tuple[float, ...] = ()
    contact: bool | None = None  # whether the sensor touches the skin; None: it cannot tell
    kind = Kind.HEART_RATE


@dataclass(frozen=True, slots=True)
class SkinConductance:
    """Of two electrodes, in microsiemens."""

    at: float
    us: float
    contact: bool | None = None
    kind = Kind.SKIN_CONDUCTANCE


@dataclass(frozen=True, slots=True)
class Respiration:
    """Of a belt or a bed: breaths a minute."""

    at: float
    breaths_per_minute: float
    kind = Kind.RESPIRATION


@dataclass(frozen=True, slots=True)
class Motion:
    """How much the wearer moves: the RMS of acceleration without gravity over the last second or so, in g."""

    at: float
    g: float
    kind = Kind.MOTION


Reading = HeartRate | SkinConductance | Respiration | Motion


def parse_reading(kind: Any, body: dict[str, Any]) -> Reading:
    """A reading from outside. Raises `InvalidInput` that names field, value and what is accepted."""
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise InvalidInput(f"kind: {shown(kind)} is none of {', '.join(_PARSERS)}", "kind", "unknown_kind")
    return parse(body)


def _heart_rate(body: dict[str, Any]) -> Reading:
    check_keys(body, ("at", "bpm", "rr_ms", "contact"))
    contact = _contact(body)
    bpm = None if _is_untold(body.get("bpm"), contact) else _number(body, "bpm", BPM)
    rr_ms = _intervals(body.get("rr_ms", []))
    if bpm is None and not rr_ms and contact is not False:
        raise InvalidInput("heart_rate: neither bpm nor rr_ms; one of them is needed", "bpm")
    if bpm is not None and len(rr_ms) > 1:
        _check_sum(rr_ms, bpm)
    return HeartRate(_at(body), bpm, rr_ms, contact)


def _is_untold(bpm: Any, contact: bool | None) -> bool:
    """Whether no rate is told. Some relays say 0 where nothing is worn."""
    return bpm is None or (contact is False and is_number(bpm) and bpm == 0)


def _check_sum(rr_ms: tuple[float, ...], bpm: float) -> None:
    """Intervals that make another rate than the one beside them are of another time, or of nobody.

    Artefacts are left to physiology.py: a missed or an invented beat in each five changes the mean by less.
    """
    mean = 60_000 / bpm
    found = sum(rr_ms) / len(rr_ms)
    if abs(found - mean) * len(rr_ms) > RR_SLACK_MS and not 0.5 <= found / mean <= 2.0:
        raise InvalidInput(
            f"rr_ms: {len(rr_ms)} intervals of {found:.0f} ms do not add up with bpm {bpm:g}: {mean:.0f} ms",
            "rr_ms",
        )


def _intervals(value: Any) -> tuple[float, ...]:
    low, high = RR_MS
    if not isinstance(value, list) or len(value) > MAX_RR:
        raise InvalidInput(f"rr_ms: {shown(value)} is not a list of at most {MAX_RR} intervals in ms", "rr_ms")
    for interval in value:
        if not is_number(interval) or not low <= interval <= high:
            raise InvalidInput(f"rr_ms: {shown(interval)} is not a number from {low:g} to {high:g}", "rr_ms")
    if sum(value) > RR_SUM_MS:
        raise InvalidInput(
            f"rr_ms: {sum(value) / 1000:.0f} s of beats; at most {RR_SUM_MS / 1000:g} s at once", "rr_ms"
        )
    return tuple(float(interval) for interval in value)


def _skin_conductance(body: dict[str, Any]) -> Reading:
    check_keys(body, ("at", "us", "contact"))
    return SkinConductance(_at(body), _number(body, "us", MICROSIEMENS), _contact(body))


def _respiration(body: dict[str, Any]) -> Reading:
    check_keys(body, ("at", "breaths_per_minute"))
    return Respiration(_at(body), _number(body, "breaths_per_minute", BREATHS_PER_MINUTE))


def _motion(body: dict[str, Any]) -> Reading:
    check_keys(body, ("at", "g"))
    return Motion(_at(body), _number(body, "g", G))


_PARSERS: dict[str, Callable[[dict[str, Any]], Reading]] = {
    Kind.HEART_RATE: _heart_rate,
    Kind.SKIN_CONDUCTANCE: _skin_conductance,
    Kind.RESPIRATION: _respiration,
    Kind.MOTION: _motion,
}


def _at(body: dict[str, Any]) -> float:
    return _number(body, "at", EPOCH_SECONDS)


def _number(body: dict[str, Any], field: str, bounds: tuple[float, float]) -> float:
    value = body.get(field)
    if not is_number(value) or not bounds[0] <= value <= bounds[1]:
        raise InvalidInput(f"{field}: {shown(value)} is not a number from {bounds[0]:g} to {bounds[1]:g}", field)
    return float(value)


def _contact(body: dict[str, Any]) -> bool | None:
    contact = body.get("contact")
    if contact is not None and not isinstance(contact, bool):
        raise InvalidInput(f"contact: {shown(contact)} is not true, false or null", "contact")
    return contact
