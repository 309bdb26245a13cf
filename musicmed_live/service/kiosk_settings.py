"""What a bedside kiosk is set to, and the file that keeps it. The calls block: not for an event loop."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from musicmed_live.composer.preferences import check_preferences
from musicmed_live.core.checks import check_keys, is_number
from musicmed_live.core.messages import parse_object, parse_patient
from musicmed_live.core.plan import parse_plan
from musicmed_live.errors import InvalidInput, shown
from musicmed_live.service.pin import Pin
from musicmed_live.service.profiles import put_aside, replace_file

log = logging.getLogger(__name__)

VERSION = 1
LANGUAGES = ("en", "de")
BRIGHTNESS = (0.05, 1.0)
VOLUME_PERCENT = (1, 100)
CEILING_LUFS = -23.0  # short-term, where the output's level in dB(A) is not known: EBU R128's programme level
HEADPHONES = "-headphones"  # ends the name under which an output is calibrated with headphones

_TIME = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")
_OUTPUT = re.compile(r"\S(.{0,62}\S)?")


@dataclass(frozen=True, slots=True)
class Night:
    """When the screen is dim: by the machine's clock, "HH:MM"; `until` may be the next morning."""

    since: str = "21:00"
    until: str = "06:30"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a nurse sets."""

    session: Mapping[str, Any] = field(default_factory=lambda: {"goal": "calm", "minutes": 15, "control": "faces"})
    output: str | None = None  # the calibrated output that is not headphones
    night: Night | None = Night()
    brightness: float = 0.3  # of the screen at night, where 1 is by day
    language: str | None = None  # None: the browser's
    volume_percent: int | None = None  # of the system, set when the kiosk starts; None: as it is

    def output_with(self, *, headphones: bool) -> str:
        """The name under which what it is heard by is calibrated, if it is."""
        return f"{self.output or ''}{HEADPHONES if headphones else ''}"

    def body(self, output: str | None) -> dict[str, Any]:
        """The session's body, for the calibrated `output`, or None. Only there `loudest_dba` can be kept.

        Elsewhere its loudness is limited instead: `CEILING_LUFS`, or lower where the settings say so.
        """
        body = dict(self.session)
        if output is not None:
            return {**body, "output": output}
        body.pop("loudest_dba", None)
        wished = body.get("loudest_lufs")
        return {**body, "loudest_lufs": CEILING_LUFS if wished is None else min(wished, CEILING_LUFS)}

    def changed(self, wishes: dict[str, Any]) -> "Settings":
        """These with what is named changed. Raises `InvalidInput` that names the field."""
        check_keys(wishes, tuple(_PARSERS))
        return replace(self, **{key: _PARSERS[key](value) for key, value in wishes.items()})


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that outlives a restart."""

    settings: Settings = field(default_factory=Settings)
    pin: Pin | None = None
    wrong_pins: int = 0
    session: str | None = None  # the one that plays


class Store:
    """The file `path`, for its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Memory:
        """What was kept; the defaults where that is nothing, or cannot be read. A damaged file is put aside."""
        try:
            return _parse_memory(parse_object(self._path.read_bytes()))
        except FileNotFoundError:
            pass
        except InvalidInput as fault:
            put_aside(self._path, fault)
        except OSError as fault:
            log.error("%s cannot be read; the kiosk begins with its defaults: %s", self._path.name, fault.strerror)
        return Memory()

    def save(self, memory: Memory) -> None:
        """Keep it: after a power cut the old one is there or the new one, whole. Raises `OSError`."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._path, json.dumps(_memory_object(memory), indent=1))


def settings_object(settings: Settings) -> dict[str, Any]:
    """As JSON has them: `Settings.changed` takes it."""
    night = settings.night
    return {
        "session": dict(settings.session),
        "output": settings.output,
        "night": None if night is None else {"since": night.since, "until": night.until},
        "brightness": settings.brightness,
        "language": settings.language,
        "volume_percent": settings.volume_percent,
    }


def _memory_object(memory: Memory) -> dict[str, Any]:
    pin = memory.pin
    return {
        "version": VERSION,
        "settings": settings_object(memory.settings),
        "pin": None if pin is None else {"salt": pin.salt.hex(), "digest": pin.digest.hex()},
        "wrong_pins": memory.wrong_pins,
        "session": memory.session,
    }


def _parse_memory(kept: dict[str, Any]) -> Memory:
    check_keys(kept, ("version", "settings", "pin", "wrong_pins", "session"))
    settings, wrong, session = kept.get("settings", {}), kept.get("wrong_pins", 0), kept.get("session")
    if kept.get("version") != VERSION or not isinstance(settings, dict):
        raise InvalidInput(f"version: {shown(kept.get('version'))} is not {VERSION}", "version")
    if not isinstance(wrong, int) or isinstance(wrong, bool) or wrong < 0:
        raise InvalidInput(f"wrong_pins: {shown(wrong)} is not a number", "wrong_pins")
    if session is not None and not isinstance(session, str):
        raise InvalidInput(f"session: {shown(session)} is not an id", "session")
    return Memory(Settings().changed(settings), _pin(kept.get("pin")), wrong, session)


def _pin(value: Any) -> Pin | None:
    if value is None:
        return None
    try:
        return Pin(bytes.fromhex(value["salt"]), bytes.fromhex(value["digest"]))
    except (TypeError, ValueError, LookupError):
        raise InvalidInput("pin: not a salt and a digest", "pin") from None


def _session(value: Any) -> Mapping[str, Any]:
    """The body of `POST /api/sessions`, but for what the kiosk says itself: the output, and chance."""
    if not isinstance(value, dict):
        raise InvalidInput(f"session: {shown(value)} is not the body of a session", "session")
    for key in ("output", "seed"):
        if key in value:
            raise InvalidInput(f"session.{key}: the kiosk sets it; leave it out", f"session.{key}")
    try:
        plan = parse_plan({**value, "output": "any"}, lambda: 0)
        check_preferences(plan.instruments, plan.style)
        parse_patient(value)
    except InvalidInput as fault:
        raise InvalidInput(f"session.{fault.message}", f"session.{fault.field}", fault.code) from None
    return value


def _output(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and _OUTPUT.fullmatch(value)):
        raise InvalidInput(f"output: {shown(value)} is not the name of an output, or null", "output")
    return value


def _night(value: Any) -> Night | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"since", "until"}:
        raise InvalidInput(f'night: {shown(value)} is not such as {{"since": "21:00", "until": "06:30"}}', "night")
    for key, time in value.items():
        if not isinstance(time, str) or _TIME.fullmatch(time) is None:
            raise InvalidInput(f'night.{key}: {shown(time)} is not a time such as "21:00"', f"night.{key}")
    return Night(**value)


def _brightness(value: Any) -> float:
    if not is_number(value) or not BRIGHTNESS[0] <= value <= BRIGHTNESS[1]:
        raise InvalidInput(f"brightness: {shown(value)} is not from {BRIGHTNESS[0]} to {BRIGHTNESS[1]:g}", "brightness")
    return float(value)


def _language(value: Any) -> str | None:
    if value is not None and value not in LANGUAGES:
        raise InvalidInput(f"language: {shown(value)} is none of {', '.join(LANGUAGES)}, or null", "language")
    return None if value is None else str(value)


def _volume(value: Any) -> int | None:
    least, most = VOLUME_PERCENT
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidInput(
            f"volume_percent: {shown(value)} is not a whole number from {least} to {most}, or null", "volume_percent"
        )
    return value


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "session": _session,
    "output": _output,
    "night": _night,
    "brightness": _brightness,
    "language": _language,
    "volume_percent": _volume,
}
