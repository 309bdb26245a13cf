"""A nurse's PIN: kept as a hash, and guarded against trying all of them."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from musicmed_live.errors import InvalidInput, TooManyCalls

FREE_GUESSES = 3  # a slip of the finger costs nothing
FIRST_WAIT_SECONDS = 30.0  # after the next wrong one, and twice as long after each further one
LONGEST_WAIT_SECONDS = 900.0
SALT_BYTES = 16

_PIN = re.compile("[0-9]{4,8}")


@dataclass(frozen=True, slots=True)
class Pin:
    """What is kept of a PIN: scrypt (RFC 7914) of it, N = 2^14, r = 8, p = 1, which takes a tenth of a second."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, digits: str) -> "Pin":
        """Of a new one. Raises `InvalidInput` where it is not 4 to 8 digits."""
        if _PIN.fullmatch(digits) is None:
            raise InvalidInput("pin: not 4 to 8 digits", "pin")
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(salt, _digest(digits, salt))

    def matches(self, digits: str) -> bool:
        """Whether these are the digits."""
        return _PIN.fullmatch(digits) is not None and hmac.compare_digest(_digest(digits, self.salt), self.digest)


class Guesses:
    """How long to wait after wrong ones. `now` gives seconds of a steady clock.

    Only how many there were outlives a restart: the wait begins anew then, as no clock can be trusted over it.
    """

    def __init__(self, wrong: int, now: Callable[[], float]) -> None:
        self.wrong = wrong
        self._now = now
        self._free_at = now() + _wait_seconds(wrong)

    def check(self) -> None:
        """Raises `TooManyCalls` as long as nobody may guess."""
        if self.wait_seconds > 0:
            raise TooManyCalls("too many wrong PINs", self.wait_seconds)

    @property
    def wait_seconds(self) -> float:
        """For how long nobody may guess."""
        return max(0.0, self._free_at - self._now())

    def count(self) -> None:
        """One more is tried: it is wrong until it is found to be right."""
        self.wrong += 1
        self._free_at = self._now() + _wait_seconds(self.wrong)

    def forgive(self) -> None:
        """It was right."""
        self.wrong, self._free_at = 0, self._now()


def _wait_seconds(wrong: int) -> float:
    doublings = wrong - FREE_GUESSES
    if doublings < 0:
        return 0.0
    return float(min(FIRST_WAIT_SECONDS * 2 ** min(doublings, 16), LONGEST_WAIT_SECONDS))


def _digest(digits: str, salt: bytes) -> bytes:
    return hashlib.scrypt(digits.encode(), salt=salt, n=2**14, r=8, p=1)
