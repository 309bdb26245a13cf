"""The play-head of a live session: what is being heard, by the clock."""

import time

from musicmed_live.core.transport import Transport


class Playhead:
    """Goes, stands still, and may be waiting to go."""

    def __init__(self, end: int | None, position: int = 0) -> None:
        """It stands at `position`, and never passes `end`."""
        self._transport = Transport(end, position)
        self.started = position > 0  # whether it has ever been set going
        self.waiting_since: float | None = None  # it is to go as soon as there is music; by `time.monotonic`

    @property
    def heard(self) -> int:
        """The frame being heard now."""
        return self._transport.position(time.monotonic())

    @property
    def playing(self) -> bool:
        """Whether it moves."""
        return self._transport.moves(time.monotonic())

    @property
    def halts_at(self) -> int | None:
        """Position beyond which nothing will be heard for now; None while it is free."""
        return self._transport.halts_at

    @property
    def waited_seconds(self) -> float:
        """For how long it has been waiting to go."""
        return 0.0 if self.waiting_since is None else time.monotonic() - self.waiting_since

    def wait(self) -> None:
        """Go later."""
        self.waiting_since = time.monotonic() if self.waiting_since is None else self.waiting_since

    def go(self) -> None:
        """Go (on)."""
        self._transport.run(time.monotonic())
        self.started, self.waiting_since = True, None

    def halt(self, position: int) -> None:
        """Stand still as soon as `position` is reached."""
        self._transport.halt(position)
        self.waiting_since = None

    def end_at(self, position: int) -> None:
        """From now on it never passes `position`."""
        self._transport.end_at(position)

    def follow(self, position: int) -> None:
        """A sound card says that it plays `position`: its clock rules."""
        self._transport.follow(position, time.monotonic())
