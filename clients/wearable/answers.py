"""What servers answer, read with care: it comes from outside."""

import json
from typing import Any

from clients.wearable.errors import shown

LONGEST = 16_384  # bytes or characters; no answer that is meant for a relay is longer


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object that `text` is; None where it is none."""
    try:
        found: Any = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def refusal(error: dict[str, Any]) -> str:
    """An error of the server as a sentence."""
    return shown(f"refused, {error.get('message', 'no reason given')} ({error.get('code', 'no code')})", 200)
