"""Every error that this package raises on purpose. A message names the value and the way out."""

import json
import math
from typing import Any


class MusicmedError(Exception):
    """Root of the tree: catching it catches what the package foresaw, and nothing else."""


class InvalidInput(MusicmedError):
    """Somebody outside sent something that cannot be used.

    `code` is a stable word for programs, `field` names the offending part ("" where there is none),
    the message is for people: the value, then what is accepted.
    """

    def __init__(self, message: str, field: str = "", code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code


class TooManyCalls(InvalidInput):
    """Somebody calls more often than anybody needs to; after `wait_seconds` the next call will be answered."""

    def __init__(self, what: str, wait_seconds: float) -> None:
        self.wait_seconds = math.ceil(wait_seconds)
        super().__init__(f"{what}; try again in {self.wait_seconds} s", code="too_many_calls")


class BadWeights(InvalidInput):
    """A checkpoint cannot be used: it is not one, is not complete, or is of another model."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "model", "bad_weights")


class IllegalTransition(MusicmedError):
    """The session was asked for something that its phase does not allow."""


class GeneratorFailed(MusicmedError):
    """A generator cannot make music: its font or weights are missing, or it was asked for what it cannot do."""


class ForeignMemory(GeneratorFailed):
    """A voice cannot go on from this memory: it is of another model, or of another version."""


class DeviceFailed(GeneratorFailed):
    """A GPU has failed, and nothing will work on it in this process any more; another process can try again."""


class WorkerDied(GeneratorFailed):
    """The process that a generator worked in is gone; another one can try again."""


class CannotJudge(MusicmedError):
    """A recognizer can say nothing of a sound: it is too short, silent or none."""


class CannotServe(MusicmedError):
    """A resource of this machine is not to be had: a port in use, an unwritable file, no sound card."""


def shown(value: Any) -> str:
    """A value from outside as a message names it: as JSON has it, not too long."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    try:
        text = json.dumps(value, ensure_ascii=True, default=repr)
    except RecursionError:  # nested as deeply as could just be read
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."
