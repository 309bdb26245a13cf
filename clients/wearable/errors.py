"""What can go wrong, told apart by what the relay does about it. Messages are for people."""

import re


class WearableError(Exception):
    """Root of the tree."""


class Refused(WearableError):
    """It cannot work this way, however often it is tried: the relay ends and says so."""


class Unknown(Refused):
    """The server knows no such session."""


class Over(WearableError):
    """There is nothing left to do, in good order: the session has ended."""


class Lost(WearableError):
    """The wearable or the server is out of reach for now: the relay tries again."""


class Malformed(WearableError):
    """One packet is none; those before and after it may be."""


def sentence(fault: Exception) -> str:
    """What an error of the system or of a library says, for people."""
    if isinstance(fault, TimeoutError):
        return "no answer"
    return shown(re.sub(r"\[(Errno |code:)-?\d+\] ", "", str(fault)) or type(fault).__name__)


def shown(text: object, longest: int = 120) -> str:
    """Text from outside as it may stand in a terminal: no control characters, not too long."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in str(text)[: longest + 1])
    return plain if len(plain) <= longest else plain[: longest - 3] + "..."
