"""What every check of something from outside needs."""

import math
from collections.abc import Iterable
from typing import Any, TypeGuard

from musicmed_live.errors import InvalidInput, shown


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether JSON meant a finite number; `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def check_keys(message: dict[str, Any], known: Iterable[str], field: str = "") -> None:
    """Raises `InvalidInput` where `message` has a key that is not `known`; `field` is where it stands."""
    for key in message:
        if key not in known:
            accepted = ", ".join(known) or "no further keys"
            where = f"{field}.{shown(key)}" if field else shown(key)
            named = repr(key[:40])[1:-1]  # escaped: half a surrogate pair could not be sent back
            raise InvalidInput(f"unknown key {where}; accepted: {accepted}", field or named)


def parse_names(value: Any, field: str) -> tuple[str, ...]:
    """A list of at most 64 names, each once. Raises `InvalidInput` that names `field`."""
    if not isinstance(value, list) or len(value) > 64 or not all(isinstance(name, str) for name in value):
        raise InvalidInput(f"{field}: {shown(value)} is not a list of names", field)
    return tuple(dict.fromkeys(value))
