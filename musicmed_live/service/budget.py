"""How much one sender may say: a steady rate, and a burst after a silence."""


class Budget:
    """A bucket of `burst` tokens that fills at `per_second`. `now` is in seconds of any steady clock."""

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._at = now

    def spend(self, now: float) -> bool:
        """Take a token; False where there is none."""
        self._fill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait_seconds(self, now: float) -> float:
        """How long until there is a token; 0 where there is one."""
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self._per_second)

    def reserve(self, now: float) -> float:
        """Take a token, though it may not be there yet; how long until it is. Who comes first has the first one."""
        self._fill(now)
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._per_second)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
