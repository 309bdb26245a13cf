"""A feature of the body, and the arousal that it speaks for, relative to the same body at rest.

Which way each feature goes with arousal: S. D. Kreibig, "Autonomic nervous system activity in emotion: A review",
Biological Psychology 84 (2010), table 2; of the skin, W. Boucsein, Electrodermal Activity (2nd ed., 2012), section 3.2.
None says anything of valence: E. H. Siegel et al., Psychological Bulletin 144 (2018), a meta-analysis of 202 studies.
"""

import math
from dataclasses import dataclass

from musicmed_live.core.profile import MEANS, Baseline, Feature

TAKING_SECONDS = 120.0  # of good readings make a baseline
SPEAKS_FROM_SECONDS = 30.0  # before that a baseline is too uncertain to be compared with
KEPT_SECONDS = 60.0  # what a baseline of an earlier session weighs at most: other day, other coffee
KEPT_SHARE = 0.1  # of how far the body at rest is off today is kept: many excited days must not become rest
KEPT_REACH = 2.5  # SD floors: as far may the body at rest be off from one day to another, assumed; 10 bpm of a heart
REMEMBERED_SECONDS = 600.0  # a baseline moves with this time constant once it is taken
WORD_SECONDS = 30.0  # a report so soon after another one corrects it; of readings that tell of the body at a report
WORD_SHARE = 2 / 3  # of the way; one report may be off by SD .125, and in some minutes the body by .2 without a reason
CALM_AROUSAL = 0.15  # it moves only while the feature speaks for no more than this beside it
CORRELATED_SECONDS = 30.0  # features are windows of up to a minute: so much of a baseline is one independent value
LARGEST_SD = 3.0  # in floors: a baseline taken amid artefacts must not make its feature deaf
LARGEST_ANCHOR = 0.95  # of the arousal that a baseline stands for, so that there is room on either side


@dataclass(frozen=True, slots=True)
class Norm:
    """How a feature answers to arousal.

    `sd_floor` is the least SD, in the feature's unit, that a body at rest is believed to have. A feature that is z SDs
    off its baseline adds `gain` * z to the inverse hyperbolic tangent of arousal: bounded, and steep where nothing is
    extreme. `noise_sd` is how far off arousal one feature alone is, of a body at rest and in full trust.

    `noise_sd` has no source that would hold for everybody. It is assumed such that readings say less than reports do
    (SD .15), and heart rate and skin responses more than the rest.
    """

    sd_floor: float
    gain: float
    noise_sd: float


NORMS: dict[Feature, Norm] = {
    # P. Ekman et al., Science 221 (1983): fear and anger raise it by 8 bpm; "afraid" has arousal .64 (Russell 1980).
    Feature.HEART_RATE: Norm(4.0, 0.38, 0.35),
    # D. J. Plews et al., Sports Medicine 43 (2013): ln RMSSD varies by some 6 % from day to day, of about 4.
    Feature.LN_RMSSD: Norm(0.25, -0.2, 0.5),
    # Boucsein 2012: the level differs tenfold between people, so its logarithm; that it drifts by a fifth is assumed.
    Feature.LN_SKIN_LEVEL: Norm(0.2, 0.3, 0.45),
    # M. E. Dawson et al., Handbook of Psychophysiology (3rd ed., 2007), ch. 7: 1 to 3 a minute at rest, up to 20.
    Feature.SKIN_RESPONSES: Norm(2.0, 0.2, 0.4),
    # I. Homma and Y. Masaoka, Experimental Physiology 93 (2008): anxiety raises it; by how much at rest is assumed.
    Feature.RESPIRATION: Norm(2.0, 0.3, 0.45),
}


@dataclass(slots=True)
class _Word:
    """What the patient said, and where the body was."""

    arousal: float
    first: bool  # of this session
    rest_before: float  # the body at rest, as it was thought to be until then
    body: float  # the feature, as it was known after
    body_seconds: float  # of readings; 0: not yet
    seconds: float = 0.0  # of readings since


class Rest:
    """One feature of the body at rest, today: what it is while arousal is that of the baseline that was kept, or 0.

    Without a word that is the mean of the first minutes. What the patient says wins over a body that has not moved:
    from each report on the body at that time stands for what was reported, and the body at rest is where the feature
    would be if arousal went from there to that of the baseline. The first word of a session is taken whole, but the
    body at rest stays within `KEPT_REACH` of other days'; each later word moves it by `WORD_SHARE` of the way, however
    far. Of all that, little goes into what is kept.
    """

    def __init__(self, feature: Feature, kept: Baseline | None) -> None:
        self._feature, self._norm, self._kept = feature, NORMS[feature], kept
        self._mean, self._variance, self._seconds = 0.0, 0.0, 0.0
        self._level = 0.0  # inverse hyperbolic tangent of the arousal of the body at rest
        self._bounds = (-math.inf, math.inf)  # of a body at rest, from one day to another
        self._taken_seconds = 0.0  # of this session
        self._latest: float | None = None
        self._word: _Word | None = None
        if kept is not None:
            reach = KEPT_REACH * self._norm.sd_floor
            self._bounds = (kept.mean - reach, kept.mean + reach)
            self._mean, self._variance, self._level = kept.mean, kept.sd**2, _level(kept.arousal)
            self._seconds = min(kept.seconds, KEPT_SECONDS)

    @property
    def baseline(self) -> Baseline:
        """What is to be kept: a first baseline as it is, and of a later one `KEPT_SHARE` of the difference.

        A difference counts no further than `KEPT_REACH`, and less where the first minutes were not whole.
        """
        rest, kept = _within(MEANS[self._feature], self._rest), self._kept
        if kept is None:
            return Baseline(rest, self._sd, self._seconds, self.arousal(rest)[0])
        share = KEPT_SHARE * min(1.0, self._taken_seconds / TAKING_SECONDS)
        mean = kept.mean + share * (_within(self._bounds, rest) - kept.mean)
        sd = kept.sd + share * (self._sd - kept.sd)
        return Baseline(mean, sd, max(kept.seconds, self._seconds), kept.arousal)

    @property
    def speaks(self) -> bool:
        """Whether there is enough of it for a comparison."""
        return self._seconds >= SPEAKS_FROM_SECONDS

    def told(self, arousal: float) -> None:
        """The patient reports `arousal` (-1 .. 1). So soon after another report it takes that one's place."""
        if self._word is not None and self._word.seconds < WORD_SECONDS:
            self._word.arousal = arousal
        elif self._latest is None:
            self._word = _Word(arousal, self._word is None, self._rest, 0.0, 0.0)
        else:
            self._word = _Word(arousal, self._word is None, self._rest, self._latest, WORD_SECONDS)

    def meet(self, value: float, seconds: float) -> None:
        """The feature is at `value`, and was for `seconds`: the body that a report is about.

        Where nothing was known of it at the report it is that of the readings after it. It moves with what is calm.
        """
        self._latest, word = value, self._word
        if word is None:
            return
        word.seconds += seconds
        if word.body_seconds < WORD_SECONDS or self._is_calm(value):
            word.body_seconds = min(REMEMBERED_SECONDS, word.body_seconds + seconds)
            word.body += seconds / word.body_seconds * (value - word.body)

    def take(self, value: float, seconds: float) -> None:
        """The feature was at `value` for `seconds`, and can be trusted: it makes the baseline.

        While the first minutes last each second weighs the same; later, until there is a word, only calm ones count,
        and slowly. Where there is a kept baseline, whoever comes in excitement is not taken to be at rest: what is far
        off it counts as less far. Mean and variance by D. H. D. West, Communications of the ACM 22 (1979).
        """
        taking = self._taken_seconds < TAKING_SECONDS
        if not taking and (self._word is not None or not self._is_calm(value)):
            return
        self._seconds = min(REMEMBERED_SECONDS, self._seconds + seconds)
        share = seconds / self._seconds
        off = (_within(self._bounds, value) if taking else value) - self._mean
        self._mean += share * off
        self._variance = (1 - share) * (self._variance + share * off**2)
        self._taken_seconds += seconds

    def arousal(self, value: float) -> tuple[float, float]:
        """The arousal that `value` speaks for, -1 .. 1, and its SD: that of the feature and that of its baseline."""
        norm = self._norm
        arousal = math.tanh(self._level + norm.gain * (value - self._rest) / self._sd)
        of_baseline = norm.gain * math.sqrt(CORRELATED_SECONDS / max(self._seconds, 1.0))
        return arousal, math.hypot(norm.noise_sd, of_baseline)

    @property
    def _rest(self) -> float:
        """The feature, in its unit, while arousal is at the level of the baseline."""
        word = self._word
        if word is None:
            return self._mean
        if word.body_seconds == 0:
            return word.rest_before
        said = word.body - self._sd / self._norm.gain * (_level(word.arousal) - self._level)
        return _within(self._bounds, said) if word.first else word.rest_before + WORD_SHARE * (said - word.rest_before)

    @property
    def _sd(self) -> float:
        floor = self._norm.sd_floor
        return min(LARGEST_SD * floor, max(floor, math.sqrt(self._variance)))

    def _is_calm(self, value: float) -> bool:
        """Whether it speaks for hardly more or less arousal than the body that it is compared with."""
        usual = self._mean if self._word is None else self._word.body
        return abs(self.arousal(value)[0] - self.arousal(usual)[0]) <= CALM_AROUSAL


def _level(arousal: float) -> float:
    return math.atanh(_within((-LARGEST_ANCHOR, LARGEST_ANCHOR), arousal))


def _within(bounds: tuple[float, float], value: float) -> float:
    return min(bounds[1], max(bounds[0], value))
