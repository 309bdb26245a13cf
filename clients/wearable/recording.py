"""Recorded hearts: a CSV file with the columns `at,bpm,rr_ms`, or a file of RR intervals in ms, one a line."""

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

from clients.wearable.errors import Malformed, Refused, shown
from clients.wearable.pace import in_time
from clients.wearable.reading import HeartRate, heart_rate
from clients.wearable.relay import Packet

COLUMNS = ("at", "bpm", "rr_ms")
Timed = tuple[float, HeartRate]


def parse(text: str) -> list[Timed]:
    """(second since the beginning, reading) for each line; lines in which no heart beats are left out.

    `at` is in seconds of any clock and never goes back; `bpm` may be empty; `rr_ms` are intervals in ms with spaces
    between them, or nothing. Raises `Refused` with the line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise Refused("the recording is empty")
    first = [name.strip() for name in lines[0][1].removeprefix("\ufeff").split(",")]
    if len(first) == 1 and _is_number(first[0]):
        readings = _intervals(lines)
    elif first == list(COLUMNS):
        readings = _rows(lines[1:])
    else:
        raise Refused(f"line {lines[0][0]}: {shown(lines[0][1], 60)!r} is neither {','.join(COLUMNS)} nor an interval")
    if not readings:
        raise Refused("no heart beats in the recording: rates are 20 to 300 bpm, intervals 100 to 5000 ms")
    return readings


def _rows(lines: list[tuple[int, str]]) -> list[Timed]:
    readings: list[Timed] = []
    start = before = -math.inf
    for number, line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(COLUMNS):
            raise Refused(f"line {number}: {len(cells)} cells; {','.join(COLUMNS)} are {len(COLUMNS)}")
        at = _number(cells[0], number)
        if at < before:
            raise Refused(f"line {number}: at goes back from {before:.3f} to {at:.3f}")
        before = at
        start = at if start == -math.inf else start
        bpm = _number(cells[1], number) if cells[1] else None
        _append(readings, at - start, bpm, [_number(cell, number) for cell in cells[2].split()])
    return readings


def _intervals(lines: list[tuple[int, str]]) -> list[Timed]:
    """Each when its beat comes; one that no heart makes takes its time and is not told."""
    readings: list[Timed] = []
    seconds = 0.0
    for number, line in lines:
        interval_ms = _number(line.removeprefix("\ufeff"), number)
        if interval_ms <= 0:
            raise Refused(f"line {number}: an interval of {interval_ms:g} ms")
        seconds += interval_ms / 1000
        _append(readings, seconds, None, [interval_ms])
    return readings


def _append(readings: list[Timed], second: float, bpm: float | None, rr_ms: list[float]) -> None:
    try:
        readings.append((second, heart_rate(bpm, rr_ms)))
    except Malformed:
        return  # a strap without a heart: as nothing is sent of it live, nothing is sent here


def _number(cell: str, line: int) -> float:
    if not _is_number(cell):
        raise Refused(f"line {line}: {shown(cell, 40)!r} is not a number")
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _rates(readings: list[Timed]) -> Iterator[Timed]:
    """Without intervals: of a heart whose time goes faster they would be more beats than there is time for."""
    for second, reading in readings:
        bpm = reading.bpm or (round(60_000 * len(reading.rr_ms) / sum(reading.rr_ms), 1) if reading.rr_ms else None)
        with suppress(Malformed):
            yield second, heart_rate(bpm, (), reading.contact)


class Recording:
    """A file, played `speed` times as fast as it was recorded, once; the intervals only at their own speed."""

    def __init__(self, path: Path, speed: float) -> None:
        """Raises `Refused` where it cannot be read or is no recording."""
        try:
            self._readings = parse(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as fault:
            reason = fault.strerror if isinstance(fault, OSError) else "it is not text"
            raise Refused(f"{path} cannot be read: {reason}") from None
        except Refused as fault:
            raise Refused(f"{path}, {fault}") from None
        self.name = path.name
        self._speed = speed
        if speed != 1:
            self._readings = list(_rates(self._readings))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Packet]]:
        """From its beginning."""
        async with aclosing(in_time(self._readings, self._speed)) as readings:
            yield readings
