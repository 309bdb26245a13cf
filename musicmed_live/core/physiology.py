"""What the body's signals say, each for itself; what it means for this patient is for sensing.py to say.

All of them take `now`, the seconds of a steady clock, keep no more than about a minute, and give None where that
minute has too little to say. `docs/physiology.md` has the formulas and where they are from.
"""

import math

from musicmed_live.core.heart import HeartSignal
from musicmed_live.core.skin import SkinSignal

__all__ = ["HeartSignal", "MotionSignal", "SkinSignal"]

MOVING_G = 0.1  # Hildebrand et al. (2014): from about 100 mg at the wrist on, adults move with moderate effort
SETTLE_SECONDS = 10.0  # heart, skin and electrodes need a while after a movement


class MotionSignal:
    """Whether somebody moves, or has just moved, so that heart and skin speak of that instead of feeling."""

    def __init__(self) -> None:
        self._moved = -math.inf

    def add(self, g: float, now: float) -> None:
        """Acceleration without gravity, RMS over the last second or so, in g."""
        if g >= MOVING_G:
            self._moved = max(self._moved, now)

    def moving(self, now: float) -> bool:
        """Whether there was a movement in the last 10 s."""
        return now - self._moved < SETTLE_SECONDS
