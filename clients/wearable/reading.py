"""One packet of a wearable, and what is sent of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clients.wearable.errors import Malformed, shown

BPM = (20.0, 300.0)  # the server takes no other rates,
RR_MS = (100.0, 5000.0)  # no other intervals
MAX_RR = 64  # and no more of them at once


@dataclass(frozen=True, slots=True)
class HeartRate:
    """`bpm` in beats a minute, `rr_ms` the intervals between beats since the packet before, in milliseconds.

    `contact`: whether the sensor touches the skin; None: it cannot tell.
    """

    bpm: float | None
    rr_ms: tuple[float, ...] = ()
    contact: bool | None = None

    def body(self, at: float) -> dict[str, Any]:
        """As the wire protocol has it; `at` in seconds since 1970 (UTC)."""
        rr_ms = [round(interval, 2) for interval in self.rr_ms]
        return {"at": round(at, 3), "bpm": self.bpm, "rr_ms": rr_ms, "contact": self.contact}


def heart_rate(bpm: float | None, rr_ms: Sequence[float], contact: bool | None = None) -> HeartRate:
    """What a wearable says, without what no heart does: a rate of 0 means that it has none.

    One impossible interval would have the server refuse the whole reading, so it is left out; of more than `MAX_RR`
    the newest are kept. Raises `Malformed` where nothing is left and contact is not known to be lost.
    """
    rate = bpm if bpm is not None and BPM[0] <= bpm <= BPM[1] else None
    beats = tuple(interval for interval in rr_ms if RR_MS[0] <= interval <= RR_MS[1])[-MAX_RR:]
    if rate is None and not beats and contact is not False:
        said = "no rate" if bpm is None else f"a rate of {shown(bpm, 20)}"
        raise Malformed(f"a packet with {said} and {len(rr_ms)} intervals, none of them a heart's")
    return HeartRate(rate, beats, contact)
