"""Values written down as JSON, and read again: dataclasses and enums of a closed list, and what they are made of.

A dataclass becomes an object whose `$` is its class's name, an enum's member one with its value, a read-only mapping
and a set ones with their items, a tuple an array; numbers, strings, booleans and None stay what they are. What is read
is built by the classes' own constructors, so their checks hold, and fields that a later version has added take their
defaults. Nothing else is ever built.
"""

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from musicmed_live.errors import InvalidInput

_CLASS, _VALUE = "$", "value"
_MAPPING, _SET = "mapping", "set"


class Notation:
    """Writes and reads values of the classes that it knows."""

    def __init__(self, classes: Iterable[type]) -> None:
        """`classes` are dataclasses and enums, each of another name."""
        self._classes = {known.__name__: known for known in classes}

    def write(self, value: Any) -> str:
        """`value` as text. Raises `TypeError` for what this does not know, `ValueError` for numbers that are none."""
        return json.dumps(self._plain(value), separators=(",", ":"), allow_nan=False)

    def read(self, text: str) -> Any:
        """The value again. Raises `InvalidInput` where the text is damaged, or of a version that this does not know."""
        try:
            return self._built(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
            raise InvalidInput(f"it cannot be read again: {fault!r:.200}", "snapshot") from None

    def _plain(self, value: Any) -> Any:
        match value:
            case Enum():
                return {_CLASS: self._known(value), _VALUE: value.value}
            case None | bool() | int() | float() | str():
                return value
            case tuple():
                return [self._plain(item) for item in value]
            case MappingProxyType():
                return {_CLASS: _MAPPING, _VALUE: [[self._plain(item) for item in pair] for pair in value.items()]}
            case frozenset():
                return {_CLASS: _SET, _VALUE: [self._plain(item) for item in sorted(value)]}
            case _ if is_dataclass(value):
                written = {each.name: self._plain(getattr(value, each.name)) for each in fields(value) if each.init}
                return {_CLASS: self._known(value), **written}
            case dict() if all(type(key) is str and key != _CLASS for key in value):
                return {key: self._plain(item) for key, item in value.items()}
        raise TypeError(f"{type(value).__name__} cannot be written down")

    def _known(self, value: Any) -> str:
        name = type(value).__name__
        if self._classes.get(name) is not type(value):
            raise TypeError(f"{name} is not among the classes that are written down")
        return name

    def _built(self, value: Any) -> Any:
        match value:
            case list():
                return tuple(self._built(item) for item in value)
            case {"$": "mapping", "value": pairs}:
                return MappingProxyType({self._built(key): self._built(item) for key, item in pairs})
            case {"$": "set", "value": items}:
                return frozenset(self._built(item) for item in items)
            case {"$": str(name), **rest}:
                known = self._classes[name]
                if issubclass(known, Enum):
                    return known(rest[_VALUE])
                return known(**{str(key): self._built(item) for key, item in rest.items()})
            case dict():
                return {key: self._built(item) for key, item in value.items()}
        return value
