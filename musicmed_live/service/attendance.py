"""Who is connected to a session."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

from musicmed_live.core.messages import Role
from musicmed_live.service.budget import Budget

MESSAGES_PER_SECOND, MESSAGES_BURST = 100.0, 100.0  # of all clients of a session: what comes faster has to wait


class Attendance:
    """Counts who is connected and who listens, names therapists apart, and keeps the pace of what all of them say."""

    def __init__(self) -> None:
        self.pace = Budget(MESSAGES_PER_SECOND, MESSAGES_BURST, time.monotonic())
        self._attending = 0
        self._listening = 0
        self._numbers: set[int] = set()  # of therapists without a name who are connected
        self._last_used = time.monotonic()

    @contextmanager
    def attended(self) -> Iterator[None]:
        """While a client is connected."""
        self._attending += 1
        try:
            yield
        finally:
            self._attending -= 1
            self._last_used = time.monotonic()

    @property
    def listening(self) -> int:
        """How many play the sound to the patient."""
        return self._listening

    @contextmanager
    def heard_by_one_more(self) -> Iterator[None]:
        """While a client has the sound sent to it for the patient, or a sound card plays it."""
        self._listening += 1
        try:
            yield
        finally:
            self._listening -= 1

    @contextmanager
    def introduced(self, role: Role, name: str) -> Iterator[str]:
        """The name of a client for as long as it is connected: a therapist whom nobody has named gets a number."""
        if name or role is not Role.THERAPIST:
            yield name
            return
        number = next(n for n in itertools.count(1) if n not in self._numbers)
        self._numbers.add(number)
        try:
            yield f"therapist {number}"
        finally:
            self._numbers.remove(number)

    def idle_seconds(self, now: float) -> float:
        """For how long nobody has been connected."""
        return 0.0 if self._attending else now - self._last_used
