"""How the relay is doing, and the line that says it."""

from collections import deque
from dataclasses import dataclass, field

from clients.wearable.reading import HeartRate

QUIET_SECONDS = 5.0  # a strap speaks each second
NOTICES = 16  # between two looks at the display


@dataclass
class Status:
    """Written by the relay, read by the display. `last` is the newest reading, `last_at` when it came, in s."""

    wearable: str
    server: str
    wearable_link: str = "waits for the server"
    server_link: str = "searching"
    last: HeartRate | None = None
    last_at: float = 0.0
    beats: int = 0
    sent: int = 0
    lost: int = 0
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=NOTICES))
    _said: str = ""

    def note(self, text: str) -> None:
        """Something to be told in a line of its own; what was just said is not said again."""
        if text != self._said:
            self._said = text
            self.notices.append(text)

    def take(self, reading: HeartRate, now: float) -> None:
        """A reading has come."""
        self.last, self.last_at = reading, now
        self.beats += len(reading.rr_ms)

    def links(self) -> str:
        """Both links; which server it is, notices say."""
        return f"{self.wearable} {self.wearable_link} | server {self.server_link}"

    def line(self, now: float) -> str:
        """All of it in one line, what matters least at its end: a terminal may have no room for it."""
        return f"{self._heart(now)} | {self.links()} | {self.sent} sent, {self.lost} lost, {self.beats} RR"

    def _heart(self, now: float) -> str:
        if self.last is None:
            return "no beat yet"
        age = now - self.last_at
        if age > QUIET_SECONDS:
            return f"nothing for {age:.0f} s"
        rate = "no rate" if self.last.bpm is None else f"{self.last.bpm:.0f} bpm"
        contact = {True: ", in contact", False: ", no contact", None: ""}[self.last.contact]
        return f"{rate}{contact}"
