"""Safe sound in one session: the ceilings that hold, how loud it is, and what it adds to the patient's week."""

import math
from collections.abc import Mapping
from typing import Any

from musicmed_live.core.bounds import Bounds
from musicmed_live.core.ceilings import LOWERING_FRAMES, SHORT_TERM_GRIDS, Ceilings
from musicmed_live.core.exposure import WEEK_PA2H, Energy, Week, dbfs_a, mean_energy, pa2h
from musicmed_live.core.generator import frames_of
from musicmed_live.core.loudness import METER_FRAMES, loudness
from musicmed_live.core.mixer import GRID, Mixer

QUIET_DBA = 55.0  # a whole week of it is less than 1 % of a week's dose
QUIETING_FRAMES = frames_of(60.0)  # so long the music takes to get there once the week's dose is used up
INAUDIBLE_LUFS = -70.0  # EBU R 128: below it nothing is measured
_CELL_HOURS = 0.1 / 3600


class SafeSound:
    """Watches over one mixer. Without an output's offset nobody knows how loud it is at the ear."""

    def __init__(self, mixer: Mixer, offset_db: float | None, heard: int, week_pa2h: float = WEEK_PA2H) -> None:
        """`offset_db` leads from a level in dB(A) relative to full scale to that at the ear.

        `week_pa2h` is what a week may have.
        """
        self._mixer, self._offset_db, self._week_pa2h = mixer, offset_db, week_pa2h
        self._week: Week | None = None  # None: of a patient without a name, or not known yet
        self._unkept: dict[int, float] = {}  # Pa2h, by the hour since 1970
        self._begins = self._counted = heard - heard % GRID
        self._ceilings = Ceilings()
        self._limited = False

    def know(self, week: Week, kept_pa2h: Mapping[int, float]) -> None:
        """What the patient has heard in the last week, as it is kept; `kept_pa2h` of what was unkept is in it."""
        self._week = week
        for hour, dose in kept_pa2h.items():
            self._unkept[hour] -= dose

    @property
    def is_calibrated(self) -> bool:
        """Whether it is known how loud the music is at the ear."""
        return self._offset_db is not None

    def hear_through(self, offset_db: float | None) -> None:
        """It is heard by another output from here on; `heed` keeps the ceilings there."""
        self._offset_db = offset_db

    @property
    def unkept_pa2h(self) -> dict[int, float]:
        """Doses that were counted, and are not in the kept week yet; empty without a calibrated output."""
        return {hour: dose for hour, dose in self._unkept.items() if dose > 0}

    def count(self, heard: int, hour: int) -> None:
        """Add what has been heard since the last time; `hour` is that of now, since 1970."""
        line = heard - heard % GRID
        if self._offset_db is not None:
            energies = self._mixer.energies(self._counted, line)
            dose = sum(pa2h(self._offset_db + dbfs_a(energy.a), _CELL_HOURS) for energy in energies)
            if dose > 0:
                self._unkept[hour] = self._unkept.get(hour, 0.0) + dose
        self._counted = max(self._counted, line)
        share = self._week_share(hour)
        self._limited = share is not None and share >= 1.0

    def heed(self, bounds: Bounds, position: int) -> bool:
        """Keep the ceilings that hold now, from `position` on. Whether they are others than before."""
        lufs = math.inf if bounds.loudest_lufs is None else bounds.loudest_lufs
        levels_dba = [] if bounds.loudest_dba is None else [bounds.loudest_dba]
        quieting = self._limited and min(levels_dba, default=math.inf) > QUIET_DBA
        if quieting:
            levels_dba.append(QUIET_DBA)
        offset_db = self._offset_db or 0.0  # without it there is no level in dB(A) to be kept
        ceilings = Ceilings(lufs, min(levels_dba, default=math.inf) - offset_db)
        if ceilings == self._ceilings:
            return False
        slowly = quieting and ceilings.lufs >= self._ceilings.lufs and self._counted > self._begins
        self._mixer.limit(position, ceilings, QUIETING_FRAMES if slowly else LOWERING_FRAMES)
        self._ceilings = ceilings
        return True

    def level_object(self, heard: int | None) -> dict[str, float | None]:
        """How loud the 3 s before `heard` were; null where nothing is heard, or nobody knows."""
        mean = Energy() if heard is None else self._mean(heard)
        lufs = loudness(mean.k)
        if lufs < INAUDIBLE_LUFS:
            return {"lufs": None, "dba": None}
        dba = None if self._offset_db is None else round(self._offset_db + dbfs_a(mean.a), 1)
        return {"lufs": round(lufs, 1), "dba": dba}

    def dose_object(self, hour: int) -> dict[str, Any] | None:
        """How much of the week's dose was used, and whether the music is kept quiet for it; null where nobody knows."""
        share = self._week_share(hour)
        return None if share is None else {"week_share": round(share, 4), "limited": self._limited}

    def _mean(self, heard: int) -> Energy:
        return mean_energy(self._mixer.energies(heard - SHORT_TERM_GRIDS * METER_FRAMES, heard))

    def _week_share(self, hour: int) -> float | None:
        if self._offset_db is None or self._week is None:
            return None
        week = self._week
        for each, dose in self._unkept.items():
            week = week.add(each, dose)
        return week.share(hour, self._week_pa2h)
