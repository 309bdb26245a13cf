"""What somebody did, in words: who that was, and what they changed."""

from collections.abc import Mapping
from typing import Any

_SAID = ("event", "by", "name")


def who(body: Mapping[str, Any]) -> str:
    """Whose an event is: `therapist (Ada)`; "" of what nobody did."""
    named = f" ({body['name']})" if "name" in body else ""
    return f"{body.get('by', '')}{named}"


def changes(body: Mapping[str, Any]) -> str:
    """What an event says beside itself: `tempo bpm 50 to 80, loudest lufs free`."""
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in body.items() if name not in _SAID)


def _shown(value: Any) -> str:
    match value:
        case None:
            return "free"
        case dict():
            return " and ".join(f"{name} {_shown(item)}" for name, item in value.items())
        case [int() | float() as lowest, int() | float() as highest]:
            return f"{lowest:g} to {highest:g}"
        case list():
            return " and ".join(map(str, value)) or "nothing"
    return str(value)
