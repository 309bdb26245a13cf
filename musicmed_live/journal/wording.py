"""What somebody did, in words: who that was, and what they changed."""

from collections.abc import Mapping
from typing import Any

_SAID = ("event", "by", "name")
_LIMITS = {  # what is limited, and how a limit of it is told
    "tempo_bpm": ("tempo", "{} bpm"),
    "loudest_lufs": ("loudness", "at most {} LUFS"),
    "loudest_dba": ("sound level", "at most {} dB(A)"),
}


def who(body: Mapping[str, Any]) -> str:
    """Whose an event is: `therapist (Ada)`; "" of what nobody did."""
    named = f" ({body['name']})" if "name" in body else ""
    return f"{body.get('by', '')}{named}"


def changes(body: Mapping[str, Any]) -> str:
    """What an event says beside itself: `tempo 50 to 80 bpm, loudness free`."""
    return ", ".join(_told(name, value) for name, value in body.items() if name not in _SAID)


def _told(name: str, value: Any) -> str:
    words, limit = _LIMITS.get(name, (name.replace("_", " "), "{}"))
    return f"{words} {_shown(value) if value is None else limit.format(_shown(value))}"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "free"
        case float():
            return f"{value:g}"
        case dict():
            return " and ".join(f"{name} {_shown(item)}" for name, item in value.items())
        case [int() | float() as lowest, int() | float() as highest]:
            return f"{lowest:g} to {highest:g}"
        case list():
            return " and ".join(map(str, value)) or "nothing"
    return str(value)
