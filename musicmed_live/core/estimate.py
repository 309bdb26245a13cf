"""How the patient feels, as far as reports and readings tell: a Kalman filter over valence and arousal.

R. E. Kalman, "A new approach to linear filtering and prediction problems", Journal of Basic Engineering 82 (1960), with
a random walk between observations at irregular times. Drift, reports and readings are independent from axis to axis,
so the covariance stays diagonal and the filter is two scalar ones. That is meant: there is no reliable autonomic sign
of valence (E. H. Siegel et al., "Emotion fingerprints or emotion populations?", Psychological Bulletin 144, 2018), so
readings must not move it, not even by way of a covariance.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from musicmed_live.core.emotion import Emotion

MAX_SD = 1 / math.sqrt(3)  # of somebody of whom nothing is known: a uniform distribution over an axis
DRIFT_PER_SECOND = 0.12**2 / 60  # variance: what a session moves in a minute; a word is forgotten in twenty

REPORT_SD = 0.125  # of a slider of width 2, before anything is known of the patient
REPORT_SD_BOUNDS = (0.05, 0.35)
PRIOR_WEIGHT = 4.0  # differences between reports that outweigh the prior of their noise
SURPRISE_SD = 4.0  # so many SDs of this patient's reports from what was thought, a report is news: .5 to begin with
SURPRISE = 0.75  # as far from what was thought it is news from whomever: a slider must never seem dead
LARGEST_DIFFERENCE_SD = 2.5  # a greater one is a change of mood rather than noise, and counts as this
REMEMBERED_DIFFERENCES = 64  # of either axis: of some half an hour
FITTING_STEPS = 6  # of expectation and maximisation; the next report goes on from there

CORRECTION_SECONDS = 5.0  # a report so soon after another one corrects it: a slider is being dragged
ORIENTED_SECONDS = (8.0, 12.0)  # Bachorik et al. 2009: listeners need 8 s, in the median, to say what music expresses
UNORIENTED_FACTOR = 4.0  # on the variance of a report before that

SENSED_PER_SECOND = 0.05  # as fast as readings may move arousal: a body needs some 20 s from one end to the middle
CORRELATED_SECONDS = 5.0  # readings so near to each other are about the same heart beats
CREDIT_SECONDS = 4.0  # of silence that readings can make up for: the first ones after it are no jump
LEAST_SECONDS = 1e-6  # a reading that has less to speak for says nothing


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where the patient probably is, and how sure that is: SDs in units of the plane, at most `MAX_SD`."""

    emotion: Emotion
    valence_sd: float
    arousal_sd: float
    report_sd: float = REPORT_SD  # of this patient's reports, on either axis

    def is_surprised_by(self, report: Emotion) -> bool:
        """Whether `report` is further off than this patient's reports vary: the mood must have moved."""
        return report.distance(self.emotion) > min(SURPRISE, SURPRISE_SD * self.report_sd)

    def told(self, report: Emotion) -> "Estimate":
        """What it comes to after such a report."""
        if self.is_surprised_by(report):
            return Estimate(report, self.report_sd, self.report_sd, self.report_sd)
        before = _State(
            _Axis(self.emotion.valence, self.valence_sd**2), _Axis(self.emotion.arousal, self.arousal_sd**2)
        )
        return before.told(report, self.report_sd**2).estimate(self.report_sd)


@dataclass(frozen=True, slots=True)
class _Axis:
    """A scalar Gaussian."""

    mean: float
    variance: float

    def drifted(self, seconds: float) -> "_Axis":
        return replace(self, variance=min(MAX_SD**2, self.variance + DRIFT_PER_SECOND * seconds))

    def seen(self, value: float, variance: float, reach: float = math.inf) -> "_Axis":
        """After an observation; the mean moves no further than `reach`.

        Where that lessens the gain, the variance is that of the lesser gain (Joseph's form, which holds for any).
        """
        gain = self.variance / (self.variance + variance)
        innovation = value - self.mean
        if abs(gain * innovation) > reach:
            gain = reach / abs(innovation)
        mean = min(1.0, max(-1.0, self.mean + gain * innovation))
        return _Axis(mean, min(MAX_SD**2, (1 - gain) ** 2 * self.variance + gain**2 * variance))


_UNKNOWN = _Axis(0.0, MAX_SD**2)


@dataclass(frozen=True, slots=True)
class _State:
    """Both axes at one time."""

    valence: _Axis
    arousal: _Axis

    def drifted(self, seconds: float) -> "_State":
        return _State(self.valence.drifted(seconds), self.arousal.drifted(seconds))

    def told(self, emotion: Emotion, variance: float) -> "_State":
        return _State(self.valence.seen(emotion.valence, variance), self.arousal.seen(emotion.arousal, variance))

    def sensed(self, arousal: float, variance: float, reach: float) -> "_State":
        return replace(self, arousal=self.arousal.seen(arousal, variance, reach))

    def estimate(self, report_sd: float) -> Estimate:
        emotion = Emotion(self.valence.mean, self.arousal.mean)
        return Estimate(emotion, math.sqrt(self.valence.variance), math.sqrt(self.arousal.variance), report_sd)


@dataclass(frozen=True, slots=True)
class _ReportNoise:
    """What is known of the variance of a patient's reports on either axis, from how successive ones differ.

    Such a difference has the variance of two reports and of the drift between them. Its square, and its weight, are
    shared out between the two: expectation-maximisation, as R. H. Shumway and D. S. Stoffer have it for such filters
    (Journal of Time Series Analysis 3, 1982), with an inverse-gamma prior of weight `PRIOR_WEIGHT`.
    """

    prior: float
    variance: float
    differences: tuple[tuple[float, float], ...] = ()  # on one axis, and the seconds between the two reports

    def learned(self, found: Iterable[tuple[float, float]]) -> "_ReportNoise":
        """After more such differences; one that is out of all proportion counts as `LARGEST_DIFFERENCE_SD`."""
        largest = LARGEST_DIFFERENCE_SD * math.sqrt(2 * self.variance)
        within = ((min(largest, abs(difference)), seconds) for difference, seconds in found)
        differences = (*self.differences, *within)[-REMEMBERED_DIFFERENCES:]
        low, high = REPORT_SD_BOUNDS
        variance = self.variance
        for _ in range(FITTING_STEPS):
            variance = min(high**2, max(low**2, self._fitted(variance, differences)))
        return replace(self, variance=variance, differences=differences)

    def _fitted(self, variance: float, differences: Iterable[tuple[float, float]]) -> float:
        weight, total = PRIOR_WEIGHT, PRIOR_WEIGHT * self.prior
        for difference, seconds in differences:
            share = 2 * variance / (2 * variance + DRIFT_PER_SECOND * seconds)
            weight += share
            total += share * difference**2 * share / 2
        return total / weight


@dataclass(frozen=True, slots=True)
class _Word:
    """The last report, and what it needs to be corrected."""

    emotion: Emotion
    now: float
    factor: float  # on its variance; of the first of the reports that correct one another
    noise_before: _ReportNoise
    previous: "tuple[Emotion, float] | None"  # the report before, and when, if the music has not changed since


class Estimator:
    """One patient's estimate in one session. `now` is in seconds of a steady clock, and never goes back."""

    def __init__(self, start: Emotion | None, now: float, report_sd: float = REPORT_SD) -> None:
        self._noise = _ReportNoise(report_sd**2, report_sd**2)
        self._state: _State | None = None
        self._untold: _State | None = None  # what the state would be without the last report
        self._now = now
        self._word: _Word | None = None
        self._changed_at: float | None = None  # when the music did
        self._unsensed_seconds = 0.0  # at most `CREDIT_SECONDS`
        if start is not None:
            self.report(start, now)

    @property
    def report_sd(self) -> float:
        """SD of this patient's reports on either axis, as learned so far, within `REPORT_SD_BOUNDS`."""
        return math.sqrt(self._noise.variance)

    def at(self, now: float) -> Estimate | None:
        """The estimate; None before the first report or reading."""
        if self._state is None:
            return None
        return self._state.drifted(max(0.0, now - self._now)).estimate(self.report_sd)

    def music_changed(self, now: float) -> None:
        """The music has turned to something else: who listens needs a while to know what."""
        self._changed_at = now

    def report(self, emotion: Emotion, now: float) -> None:
        """The patient says how they feel. Within `CORRECTION_SECONDS` of the last report it takes that one's place."""
        self._advance(now)
        word = self._word
        if word is not None and now - word.now <= CORRECTION_SECONDS:
            word = replace(word, emotion=emotion, now=now)
        else:
            self._untold = self._state
            word = _Word(emotion, now, self._factor(now), self._noise, self._comparable(word))
        self._word = word
        self._noise = _learned(word)
        variance = word.noise_before.variance * word.factor
        alone = _State(_Axis(emotion.valence, variance), _Axis(emotion.arousal, variance))
        thought = None if self._untold is None else self._untold.estimate(math.sqrt(word.noise_before.variance))
        news = thought is None or thought.is_surprised_by(emotion)  # then what was thought before counts no more
        self._state = alone if news or self._untold is None else self._untold.told(emotion, variance)

    def observe_arousal(self, arousal: float, sd: float, now: float) -> None:
        """Readings speak for `arousal` (-1 .. 1), give or take `sd` (> 0).

        They move the estimate by no more than `SENSED_PER_SECOND`, and what comes often weighs no more than what comes
        each `CORRELATED_SECONDS`: ten readings of one heart beat are one. Each takes half of the seconds that nobody
        has spoken for yet, so that of two sources that speak at once both are heard.
        """
        self._advance(now)
        if self._state is None:
            self._state = _State(_UNKNOWN, _UNKNOWN)
        seconds = self._unsensed_seconds / 2
        if seconds < LEAST_SECONDS:
            return
        self._unsensed_seconds -= seconds
        reach = SENSED_PER_SECOND * seconds
        variance = sd**2 * max(1.0, CORRELATED_SECONDS / seconds)
        self._state = self._state.sensed(arousal, variance, reach)
        if self._untold is not None:
            self._untold = self._untold.sensed(arousal, variance, reach)

    def _advance(self, now: float) -> None:
        seconds = max(0.0, now - self._now)
        self._now += seconds
        self._unsensed_seconds = min(CREDIT_SECONDS, self._unsensed_seconds + seconds)
        if self._state is not None:
            self._state = self._state.drifted(seconds)
        if self._untold is not None:
            self._untold = self._untold.drifted(seconds)

    def _factor(self, now: float) -> float:
        """On the variance of a report that comes so soon after a change of the music."""
        if self._changed_at is None:
            return 1.0
        low, high = ORIENTED_SECONDS
        oriented = min(1.0, max(0.0, (now - self._changed_at - low) / (high - low)))
        return UNORIENTED_FACTOR + (1.0 - UNORIENTED_FACTOR) * oriented

    def _comparable(self, word: _Word | None) -> tuple[Emotion, float] | None:
        if word is None:
            return None
        return word.emotion, word.now


def _learned(word: _Word) -> _ReportNoise:
    if word.previous is None:
        return word.noise_before
    emotion, then = word.previous
    differences = word.emotion.valence - emotion.valence, word.emotion.arousal - emotion.arousal
    return word.noise_before.learned((difference, word.now - then) for difference in differences)
