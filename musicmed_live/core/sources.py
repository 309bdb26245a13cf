"""What a source of readings is worth: contact, freshness, false values, and what is wrong with it.

A source is all readings of one kind of one patient. What is said of it is a function of time: one that goes quiet fades
out by itself.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from musicmed_live.core.readings import HeartRate, Kind, Reading, SkinConductance
from musicmed_live.core.sameness import Sameness

OLDEST_SECONDS = 10.0  # an older reading is not used as current
FUTURE_SECONDS = 2.0  # nor one from further ahead: clocks are set to about a second
FRESH_SECONDS = 3.0  # so long a reading is as good as new; then trust fades, to 0 at `OLDEST_SECONDS`
QUIET_SECONDS = 8.0  # with nothing usable for so long a source is said to be quiet
REFUSED_SECONDS = 3.0  # readings that cannot be used for so long have a reason that is told
CLOCK_DRIFT = 0.25  # seconds a second, and
DELAY_SECONDS = 1.0  # so much at once may a clock that is only set wrong seem to gain or lose, by delays
ODD_SECONDS = 30.0  # a reading that differs by more from the one before is of something else, such as retained junk
NOISY_SHARE = 0.3  # of false values: from here on nothing is left to trust
CLEAN_POWER = 5  # trust is (1 - share) to this power: .59 where a tenth of the values is false, .13 where a third is
ELECTRODES_US = (0.05, 60.0)  # I. R. Kleckner et al., IEEE Trans. Biomed. Eng. 65 (2018), rule 1: beyond, none is worn


class Fault(StrEnum):
    """What is wrong with a source."""

    QUIET = "quiet"
    NO_CONTACT = "no_contact"
    NOISY = "noisy"
    STUCK = "stuck"
    CLOCK = "clock"
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class SourceState:
    """What a source is worth at some moment, and why."""

    kind: Kind
    trust: float  # 0 .. 1
    reason: str  # one plain phrase
    age_seconds: float  # of its last good reading; of its first one where there was none
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class _Refused:
    """Readings in a row that could not be used: the first one, and the last."""

    first_now: float
    first_at: float
    now: float
    at: float
    age_seconds: float  # of the last one

    @property
    def seconds(self) -> float:
        return self.now - self.first_now

    @property
    def stands_still(self) -> bool:
        """Whether the source's clock did not go on meanwhile."""
        return self.at - self.first_at <= CLOCK_DRIFT * self.seconds

    @property
    def keeps_time(self) -> bool:
        """Whether it went on as time does: so it is set wrong. What was kept back and comes in a burst goes faster."""
        return abs(self.at - self.first_at - self.seconds) <= DELAY_SECONDS + CLOCK_DRIFT * self.seconds


class Source:
    """The readings of one kind, as they come in."""

    def __init__(self, kind: Kind, now: float) -> None:
        self.kind = kind
        self._heard = now  # when anything came last
        self._since = now
        self._at = float("-inf")  # of the newest current reading, by the source's clock
        self._good: float | None = None  # when the last good reading was measured
        self._refused: _Refused | None = None
        self._contact: bool | None = None
        self._last: Reading | None = None
        self._same = Sameness()

    def admit(self, reading: Reading, age_seconds: float, now: float) -> float | None:
        """When a reading was measured, in seconds of `now`; None where it is not to be used."""
        self._heard = now
        if not -FUTURE_SECONDS <= age_seconds <= OLDEST_SECONDS or reading.at <= self._at:
            self._refuse(reading.at, age_seconds, now)
            return None
        if self._last is not None and _same_beats(self._last, reading):
            return None
        self._refused, self._at, self._last = None, reading.at, reading
        self._contact = _contact(reading)
        if self._contact is False:
            return None
        self._same.note(reading)
        if self._same.stuck:
            return None
        measured = now - max(0.0, age_seconds)
        self._good = measured if self._good is None else max(self._good, measured)
        return self._good

    def state(self, now: float, false_share: float, moving: bool, contradiction: str | None = None) -> SourceState:
        """What the source is worth at `now`.

        `false_share` (0 .. 1) of its values are artefacts; `moving`: whoever wears it moves, which drowns all else;
        `contradiction`: what cannot be true of its values.
        """
        age = now - (self._since if self._good is None else self._good)
        found = self._fault(now, age, false_share, moving, contradiction)
        if found is None or found[0] is Fault.QUIET:
            trust = 0.0 if self._good is None else _freshness(age) * (1 - false_share) ** CLEAN_POWER
        else:
            trust = 0.0
        fault, reason = found or (None, self._well(age))
        return SourceState(self.kind, trust, reason, age, fault)

    def _fault(
        self, now: float, age: float, false_share: float, moving: bool, contradiction: str | None
    ) -> tuple[Fault, str] | None:
        """What is wrong, and how a nurse is told it."""
        silent = now - self._heard
        if silent >= QUIET_SECONDS:
            return Fault.QUIET, f"nothing heard for {spoken(silent)}"
        if self._refused is not None and self._refused.seconds >= REFUSED_SECONDS:
            if self._refused.stands_still:
                return Fault.STUCK, "its time stands still"
            if self._refused.keeps_time:
                return Fault.CLOCK, _clock_reason(self._refused.age_seconds)
        if self._contact is False:
            return Fault.NO_CONTACT, "no skin contact"
        if self._same.stuck:
            return Fault.STUCK, f"the very same value for {spoken(self._same.seconds)}"
        if age >= QUIET_SECONDS:
            return Fault.QUIET, "only late readings come"
        if moving:
            return Fault.MOVING, "moving, which hides the mood"
        if contradiction is not None:
            return Fault.NOISY, contradiction
        if false_share >= NOISY_SHARE:
            what = "beats" if self.kind is Kind.HEART_RATE else "values"
            return Fault.NOISY, f"many false {what} ({false_share:.0%})"
        return None

    def _well(self, age: float) -> str:
        if self._good is None:
            return "waiting for a current reading"
        if age > FRESH_SECONDS:
            return f"last heard {age:.0f} s ago"
        return f"in contact, {age:.0f} s old" if self._contact else f"{age:.0f} s old"

    def _refuse(self, at: float, age_seconds: float, now: float) -> None:
        before = self._refused
        if before is None or abs(age_seconds - before.age_seconds) > ODD_SECONDS:
            self._refused = _Refused(now, at, now, at, age_seconds)
        else:
            self._refused = replace(before, now=now, at=at, age_seconds=age_seconds)


def _contact(reading: Reading) -> bool | None:
    match reading:
        case HeartRate(contact=contact):
            return contact
        case SkinConductance(us=us, contact=contact):
            return contact if ELECTRODES_US[0] <= us <= ELECTRODES_US[1] else False
        case _:
            return None


def _same_beats(before: Reading, after: Reading) -> bool:
    """Whether the very same intervals come again before half of their time has passed: by another way, that is."""
    match before, after:
        case HeartRate(rr_ms=rr_ms), HeartRate(rr_ms=again) if rr_ms:
            return rr_ms == again and after.at - before.at < sum(rr_ms) / 2000
        case _:
            return False


def _freshness(age_seconds: float) -> float:
    return min(1.0, max(0.0, (OLDEST_SECONDS - age_seconds) / (OLDEST_SECONDS - FRESH_SECONDS)))


def _clock_reason(age_seconds: float) -> str:
    if -FUTURE_SECONDS <= age_seconds <= OLDEST_SECONDS:
        return "its clock went back; its readings are not used yet"
    direction = "behind" if age_seconds > 0 else "ahead"
    return f"its clock is {spoken(abs(age_seconds))} {direction}; its readings are not used"


def spoken(seconds: float) -> str:
    """A span as people say it: 8 s, 5 min, 3 h, 12 days."""
    for unit, length, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 36)):
        if round(seconds / length) < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"
