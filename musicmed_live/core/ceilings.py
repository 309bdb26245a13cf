"""How loud the music may be, and the slow gain that keeps it there.

The gain rides on the mixer's grid of 100 ms. It sees the music that is composed ahead, up to 3 s of it, and keeps every
0.8 s below the ceiling; so whatever 3 s one measures (short-term loudness, EBU Tech 3341) are, too, but for what lies
between the lines of the grid (0.3 dB at most). It falls by 2 dB a second where it sees a louder passage early enough,
and as much faster as it must where it does not. It never raises anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.exposure import SILENCE_DB, Energy, dbfs_a
from musicmed_live.core.generator import frames_of
from musicmed_live.core.loudness import METER_FRAMES, loudness

FORESIGHT_GRIDS = 30  # so far ahead a louder passage is seen, where it is composed
SHORT_TERM_GRIDS = 30  # 3 s
TOLERANCE_LU = 0.5  # that the short-term level may be above a ceiling, everything included
LOWERING_FRAMES = frames_of(3.0)  # a ceiling that comes down takes so long, unless told otherwise

_HEADROOM_DB = 0.1  # the ride keeps so far below a ceiling, for what lies between the lines
_WINDOW_GRIDS = 8
_FALL_DB = 0.2  # in a cell of the grid: 2 dB/s
_RISE_DB = 0.05  # 0.5 dB/s


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The loudest that the music may be over 3 s, infinite where that is open.

    Its loudness in LUFS, and its A-weighted level in dB relative to a mean square of 1, channels added.
    """

    lufs: float = math.inf
    dbfs_a: float = math.inf

    @property
    def open(self) -> bool:
        """Whether there is no ceiling at all."""
        return math.isinf(self.lufs) and math.isinf(self.dbfs_a)

    def load(self, energy: Energy) -> float:
        """How many times as much energy as the lower of the ceilings allows, with some headroom."""
        k_db, a_db = self.lufs + 0.691 - _HEADROOM_DB, self.dbfs_a - _HEADROOM_DB
        return max(energy.k / 10 ** (k_db / 10), energy.a / 10 ** (a_db / 10))


OPEN = Ceilings()


@dataclass(frozen=True, slots=True)
class _Change:
    line: int  # of the grid
    wanted: Ceilings
    frames: int


class Plafond:
    """The ceilings over time, by grid line."""

    def __init__(self) -> None:
        self._changes: list[_Change] = []

    @property
    def open(self) -> bool:
        """Whether no ceiling holds, nor will."""
        return all(change.wanted.open for change in self._changes)

    def change(self, line: int, wanted: Ceilings, frames: int) -> None:
        """From `line` on `wanted` holds; where it is lower, it is come to within `frames`. Replaces later changes."""
        self._changes = [change for change in self._changes if change.line < line]
        self._changes.append(_Change(line, wanted, frames))

    def forget(self, line: int) -> None:
        """Nothing before `line` is asked for any more."""
        while len(self._changes) > 1 and self._changes[1].line <= line:
            del self._changes[0]

    def wanted_at(self, line: int) -> tuple[Ceilings, int]:
        """What holds in the cell at `line`, and within how many cells it has to be come to; at least 1."""
        passed = [change for change in self._changes if change.line <= line]
        if not passed:
            return OPEN, 1
        change = passed[-1]
        return change.wanted, max(1, (change.line + change.frames - line) // METER_FRAMES)


@dataclass(frozen=True, slots=True)
class Ride:
    """Where the gain is at a line of the grid."""

    ceilings: Ceilings = OPEN  # that hold at this line, on their way to what is wanted
    gain_db: float = 0.0
    past: tuple[Energy, ...] = ()  # of the last cells, before the gain

    @property
    def at_rest(self) -> bool:
        """Whether the gain does nothing."""
        return self.ceilings.open and self.gain_db == 0.0

    def lower(self, wanted: Ceilings, cells: int, loudest: Energy) -> "Ride":
        """One cell nearer to what is wanted, which is to hold in `cells`.

        A higher ceiling holds at once. A lower one comes down from the `loudest` that was heard, in equal steps.
        """
        down = Ceilings(
            _nearer(self.ceilings.lufs, wanted.lufs, loudness(loudest.k), cells),
            _nearer(self.ceilings.dbfs_a, wanted.dbfs_a, dbfs_a(loudest.a), cells),
        )
        return replace(self, ceilings=down)

    def over(self, this: Energy, ahead: Sequence[Energy]) -> tuple["Ride", float]:
        """The ride after a cell, and the gain in dB with which that cell begins.

        `this` is the cell's energy and `ahead` that of the cells after it, as far as they are known, before the gain.
        """
        past = (*self.past, this)[1 - _WINDOW_GRIDS :]
        if self.ceilings.open:
            return replace(self, gain_db=min(0.0, self.gain_db + _RISE_DB), past=past), self.gain_db
        needs_db = self._needs_db([self.ceilings.load(energy) for energy in (*self.past, this, *ahead)])
        cells = np.arange(1, len(needs_db))
        steps_db = np.maximum(_FALL_DB, (self.gain_db - needs_db[1:]) / cells)
        foreseen_db = float((needs_db[1:] + (cells - 1) * steps_db).min(initial=math.inf))
        after_db = min(0.0, self.gain_db + _RISE_DB, float(needs_db[0]), foreseen_db)
        return replace(self, gain_db=after_db, past=past), min(self.gain_db, float(needs_db[0]))

    def _needs_db(self, loads: list[float]) -> NDArray[np.float64]:
        """The gain in dB that this cell, and each known one after it, needs.

        With it, no window that the cell is in is above the ceiling. What is not known yet is taken to go on as what is.
        """
        known = len(self.past)
        further = [float(np.mean(loads[known:]))] * (_WINDOW_GRIDS - 1)
        before = [0.0] * (_WINDOW_GRIDS - 1 - known)
        means = np.convolve([*before, *loads, *further], np.full(_WINDOW_GRIDS, 1 / _WINDOW_GRIDS), "valid")
        worst = np.lib.stride_tricks.sliding_window_view(means, _WINDOW_GRIDS).max(axis=1)
        return np.asarray(-10 * np.log10(np.maximum(1.0, worst)))


AT_REST = Ride()


def loudest_of(energies: Sequence[Energy]) -> Energy:
    """The most that a window of the ride had on either scale, of cells that were heard."""
    if not energies:
        return Energy()
    width = min(_WINDOW_GRIDS, len(energies))
    means = [np.convolve(each, np.full(width, 1 / width), "valid").max() for each in _columns(energies)]
    return Energy(float(means[0]), float(means[1]))


def _columns(energies: Sequence[Energy]) -> tuple[list[float], list[float]]:
    return [each.k for each in energies], [each.a for each in energies]


def _nearer(holds_db: float, wanted_db: float, loudest_db: float, cells: int) -> float:
    if wanted_db >= holds_db:
        return wanted_db
    begins_db = max(wanted_db, min(holds_db, max(loudest_db, SILENCE_DB)))
    return begins_db + (wanted_db - begins_db) / cells
