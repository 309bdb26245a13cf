"""The play-head: which frame is being heard at a moment."""

import math

from musicmed_live.core.generator import SAMPLE_RATE


class Transport:
    """Turns a clock into a position. `now` is in seconds of any steady clock; the position never goes back."""

    def __init__(self, end: int | None = None, position: int = 0) -> None:
        """It stands at `position`, and never passes `end`."""
        self._end = end
        self._base = position  # at `_since`, or where it stands
        self._since: float | None = None  # None: standing
        self._halt: int | None = None
        self._floor = 0  # it never goes back before this
        self._seen = position  # where it was when somebody looked last

    def moves(self, now: float) -> bool:
        """Whether the play-head is on its way at `now`: set going, and not standing still yet."""
        return self._since is not None and self.position(now) < self._stop()

    @property
    def halts_at(self) -> int | None:
        """Where the play-head stands or will stand still; None while it is free."""
        return self._base if self._since is None else self._halt

    def position(self, now: float) -> int:
        """The frame being heard at `now`."""
        if self._since is None:
            return self._base
        moved = self._base + max(0, round((now - self._since) * SAMPLE_RATE))
        self._seen = max(self._floor, int(min(moved, self._stop())))
        return self._seen

    def run(self, now: float) -> None:
        """Go (on) from where the play-head is."""
        self._base = self.position(now)
        self._since = now
        self._halt = None

    def halt(self, position: int) -> None:
        """Stand still as soon as `position` is reached. Where it was seen to have halted before, it stays."""
        if self._halt is not None and self._seen >= self._halt:
            self._base, self._since = self._seen, None
        self._halt = position

    def end_at(self, position: int) -> None:
        """From now on it never passes `position`."""
        self._end = position

    def follow(self, position: int, now: float) -> None:
        """Take over what a sound card says is being heard, so that its clock rules."""
        if self._since is not None:
            self._floor = self.position(now)
            self._base = position
            self._since = now

    def _stop(self) -> float:
        return min(stop for stop in (self._halt, self._end, math.inf) if stop is not None)
