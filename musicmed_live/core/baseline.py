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
KEPT_REACH = 2.5  # SD floors: as far may the body at rest be off from one day to another, assumed; 10 bpm of a heart
REMEMBERED_SECONDS = 600.0  # a baseline moves with this time constant once it is taken
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


class Rest:
    """One feature's baseline as it is being taken.

    It stands for the arousal that the patient reports meanwhile; without a report, for 0.
    """

    def __init__(self, feature: Feature, kept: Baseline | None) -> None:
        self._feature, self._norm = feature, NORMS[feature]
        self._mean, self._variance, self._arousal, self._seconds = 0.0, 0.0, 0.0, 0.0
        self._taken_seconds = 0.0  # of this session, and
        self._untold_seconds = 0.0  # of these, before there was a report
        self._bounds = (-math.inf, math.inf)  # of what counts in the first minutes
        if kept is not None:
            reach = KEPT_REACH * self._norm.sd_floor
            self._bounds = (kept.mean - reach, kept.mean + reach)
            self._mean, self._variance, self._arousal = kept.mean, kept.sd**2, kept.arousal
            self._seconds = min(kept.seconds, KEPT_SECONDS)

    @property
    def baseline(self) -> Baseline:
        """As it is kept: within the bounds of what can be kept, whatever rounding did."""
        low, high = MEANS[self._feature]
        mean, arousal = min(high, max(low, self._mean)), min(1.0, max(-1.0, self._arousal))
        return Baseline(mean, self._sd, self._seconds, arousal)

    @property
    def speaks(self) -> bool:
        """Whether there is enough of it for a comparison."""
        return self._seconds >= SPEAKS_FROM_SECONDS

    def take(self, value: float, seconds: float, arousal: float | None) -> None:
        """The feature has been at `value` for `seconds`; `arousal` is the patient's last word, None before the first.

        While the first minutes last each second weighs the same; later only calm ones count, and slowly. Where there is
        a kept baseline, whoever comes in excitement is not taken to be at rest: what is far off it counts as less far.
        Mean and variance by D. H. D. West, Communications of the ACM 22 (1979).
        """
        taking = self._taken_seconds < TAKING_SECONDS
        if not taking and abs(self.arousal(value)[0] - self._arousal) > CALM_AROUSAL:
            return
        self._seconds = min(REMEMBERED_SECONDS, self._seconds + seconds)
        share = seconds / self._seconds
        off = (min(self._bounds[1], max(self._bounds[0], value)) if taking else value) - self._mean
        self._mean += share * off
        self._variance = (1 - share) * (self._variance + share * off**2)
        if taking:
            self._taken_seconds += seconds
            self._place(share, seconds, arousal)

    def arousal(self, value: float) -> tuple[float, float]:
        """The arousal that `value` speaks for, -1 .. 1, and its SD: that of the feature and that of its baseline."""
        norm = self._norm
        anchor = min(LARGEST_ANCHOR, max(-LARGEST_ANCHOR, self._arousal))
        arousal = math.tanh(math.atanh(anchor) + norm.gain * (value - self._mean) / self._sd)
        of_baseline = norm.gain * math.sqrt(CORRELATED_SECONDS / max(self._seconds, 1.0))
        return arousal, math.hypot(norm.noise_sd, of_baseline)

    def _place(self, share: float, seconds: float, arousal: float | None) -> None:
        """Stand for the mean of the arousal meanwhile. The first word holds for what was taken before it, too."""
        self._arousal -= share * self._arousal
        self._untold_seconds += seconds
        if arousal is not None:
            self._arousal += arousal * self._untold_seconds / self._seconds
            self._untold_seconds = 0.0

    @property
    def _sd(self) -> float:
        floor = self._norm.sd_floor
        return min(LARGEST_SD * floor, max(floor, math.sqrt(self._variance)))
