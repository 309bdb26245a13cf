"""The skin: from its conductance to the tonic level and the responses that stand out of it.

Samples are first averaged over a quarter of a second, so a fast sensor costs no more memory than a slow one. A mean is
counted when the first sample after it comes.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

CONDUCTANCE_US = (0.05, 60.0)  # Kleckner et al. (2018), rule 1: outside of it the electrodes do not touch
STEEPEST_US_PER_SECOND = 10.0  # Kleckner et al. (2018), rule 2
TRANSITION_SECONDS = 5.0  # Kleckner et al. (2018), rule 4: what is near an artefact is one; here, what comes after it
MEAN_SECONDS = 0.25
GAP_SECONDS = 2.5  # without a sample; a response could pass in a longer one

ONSET_US = 0.05  # Boucsein et al. (2012) name .01 to .05 uS as a response's least amplitude; what is worn is noisy
RISE_SECONDS = 5.0  # Boucsein et al. (2012): a response takes .5 to 5 s from its foot to its peak
DIP_US = ONSET_US / 2  # a response is over, and another may follow, when it has fallen so far

LEVEL_SECONDS = 30.0
LEVEL_MEANS = 3  # at least, for a level
WINDOW_SECONDS = 60.0
SEEN_SECONDS = 20.0  # at least, for a rate
MOST_MEANS = int(WINDOW_SECONDS / MEAN_SECONDS)


@dataclass(frozen=True, slots=True)
class _Mean:
    """A quarter of a second's samples."""

    at: float
    us: float
    covers: float  # seconds since the mean before it; 0 after a gap or an artefact
    valid: bool
    onset: bool  # a response has reached its least amplitude here


class SkinSignal:
    """The conductance of the last minute."""

    def __init__(self) -> None:
        self._means: deque[_Mean] = deque(maxlen=MOST_MEANS)
        self._sum, self._count, self._begin = 0.0, 0, -math.inf  # of the samples that make the next mean
        self._invalid_until = -math.inf
        self._crest: float | None = None  # the highest of the response that is going on
        self._foot_from = -math.inf  # where the next response may begin

    def add(self, us: float, now: float) -> None:
        """A sample in microsiemens."""
        if self._count and not self._begin <= now < self._begin + MEAN_SECONDS:
            self._close(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if not self._count:
            self._begin = now
        self._sum, self._count = self._sum + us, self._count + 1

    def tonic_us(self, now: float) -> float | None:
        """The tonic level in microsiemens: the lower quartile of the last 30 s.

        The level is what lies between the responses (Boucsein et al. 2012), and a response only adds to it. None with
        less than three valid means.
        """
        valid = sorted(mean.us for mean in self._since(now, LEVEL_SECONDS) if mean.valid)
        return valid[len(valid) // 4] if len(valid) >= LEVEL_MEANS else None

    def responses_per_minute(self, now: float) -> float | None:
        """Responses that began in the last 60 s, for each minute of it that was seen (Boucsein et al. 2012: NS.SCR).

        A response rises by .05 uS within 5 s. None where less than 20 s were seen, or samples come too rarely for it.
        """
        seen = onsets = 0.0
        for mean in self._since(now, WINDOW_SECONDS):
            seen += mean.covers
            onsets += mean.onset
        return 60 * onsets / seen if seen >= SEEN_SECONDS else None

    def artefact_share(self, now: float, seconds: float = WINDOW_SECONDS) -> float:
        """How much of the last `seconds`, at most 60, is an artefact, 0 to 1; 0 for nothing.

        An artefact is out of range, too steep, or within 5 s after such (Kleckner et al. 2018).
        """
        valid = [mean.valid for mean in self._since(now, seconds)]
        return valid.count(False) / len(valid) if valid else 0.0

    def _since(self, now: float, seconds: float) -> Iterator[_Mean]:
        begin = now - seconds
        return (mean for mean in self._means if begin < mean.at <= now)

    def _close(self, us: float) -> None:
        at = self._begin
        before = self._means[-1] if self._means else None
        seconds = at - before.at if before is not None and at - before.at <= GAP_SECONDS else 0.0
        steep = before is not None and seconds > 0 and abs(us - before.us) > STEEPEST_US_PER_SECOND * seconds
        if steep or not CONDUCTANCE_US[0] <= us <= CONDUCTANCE_US[1]:
            self._invalid_until = at + TRANSITION_SECONDS
        valid = at >= self._invalid_until
        goes_on = valid and seconds > 0
        if not goes_on:
            self._crest, self._foot_from = None, at
        self._means.append(_Mean(at, us, seconds if goes_on else 0.0, valid, goes_on and self._begins(us, at)))

    def _begins(self, us: float, at: float) -> bool:
        """Whether a response begins with `us`; follows the one that is going on."""
        if self._crest is not None:
            self._crest = max(self._crest, us)
            if us > self._crest - DIP_US:
                return False
            self._crest, self._foot_from = None, at
        foot = us
        for mean in reversed(self._means):
            if mean.at < max(self._foot_from, at - RISE_SECONDS):
                break
            foot = min(foot, mean.us)
        if us - foot < ONSET_US:
            return False
        self._crest = us
        return True
