"""Whether a source says what a living body says, or the very same again and again."""

from musicmed_live.core.readings import HeartRate, Motion, Reading, Respiration, SkinConductance

STUCK_SECONDS = 8.0  # the very same values for so long are nobody's
MOTION_STUCK_SECONDS = 60.0  # movement that never changes is nobody's for that long,
RATE_STUCK_SECONDS = 300.0  # but a rate in whole numbers may well be the same for a while
STUCK_READINGS = 3
BEATLESS_SECONDS = 5.0  # a reading without intervals so soon after one with them is only a pause between two beats


class Sameness:
    """For how long a source has said the very same."""

    def __init__(self) -> None:
        self._value: object = None
        self._limit_seconds = STUCK_SECONDS
        self._since = self._until = 0.0
        self._readings = 0

    @property
    def seconds(self) -> float:
        """From the first to the last of the readings that are the same."""
        return self._until - self._since

    @property
    def stuck(self) -> bool:
        """Whether that is longer than a living body does."""
        return self._readings >= STUCK_READINGS and self.seconds >= self._limit_seconds

    def note(self, reading: Reading) -> None:
        """Another reading, of a later time."""
        value = _telling(reading)
        beatless = isinstance(self._value, frozenset) and not isinstance(value, frozenset)
        if beatless and reading.at - self._until < BEATLESS_SECONDS:
            return
        if self._readings == 0 or value != self._value:
            self._value, self._since, self._readings = value, reading.at, 0
            self._limit_seconds = _limit_seconds(reading)
        elif value == 0.0:
            self._since = reading.at  # nobody stirs: that can be so for hours
        self._until = reading.at
        self._readings += 1


def _limit_seconds(reading: Reading) -> float:
    match reading:
        case Motion():
            return MOTION_STUCK_SECONDS
        case Respiration() | HeartRate(rr_ms=()):
            return RATE_STUCK_SECONDS
        case _:
            return STUCK_SECONDS


def _telling(reading: Reading) -> object:
    """Of a reading what a living body changes all the time: of heart beats the intervals, in packets of any size."""
    match reading:
        case HeartRate(bpm=bpm, rr_ms=rr_ms):
            return frozenset(rr_ms) if rr_ms else bpm
        case SkinConductance(us=us):
            return us
        case Respiration(breaths_per_minute=rate):
            return rate
        case Motion(g=g):
            return g
