"""From readings to arousal: what the body says, how far it is to be trusted, and what is wrong with its sources.

Sensors speak of arousal only, relative to the same patient's body at rest (baseline.py). What they say is worth as much
as its source (sources.py).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from musicmed_live.core.baseline import Rest
from musicmed_live.core.estimate import SENSED_PER_SECOND
from musicmed_live.core.physiology import HeartSignal, MotionSignal, SkinSignal
from musicmed_live.core.profile import MEANS, Feature, Profile
from musicmed_live.core.readings import HeartRate, Kind, Motion, Reading, Respiration, SkinConductance
from musicmed_live.core.sources import Source, SourceState

SPEAKS_EACH_SECONDS = 2.0  # readings nearer to each other share nearly all their beats: they are no further evidence
LONGEST_MOVE_SECONDS = 10.0  # after a silence they go on from where they were
LEAST_TRUST = 0.1  # below it a source is not heard
BASELINE_TRUST = 0.5  # below it nothing is learned of it
HEART_NOISE_SECONDS = 12.0  # of the latest beats tell of it: those that make the heart rate
SKIN_NOISE_SECONDS = 20.0  # of the skin, of which each spike takes 5 s
SHARED = 0.5  # correlation of what is not arousal in two features: one heart, one breath, one posture

_FEATURES_OF = {
    Kind.HEART_RATE: (Feature.HEART_RATE, Feature.LN_RMSSD),
    Kind.SKIN_CONDUCTANCE: (Feature.LN_SKIN_LEVEL, Feature.SKIN_RESPONSES),
    Kind.RESPIRATION: (Feature.RESPIRATION,),
}


@dataclass(frozen=True, slots=True)
class ArousalObservation:
    """The arousal that the body speaks for, -1 .. 1, and its SD (> 0), in units of the plane.

    It is what the features of this moment say; how much observations in a row have in common is the estimator's matter.
    """

    value: float
    sd: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a page shows of the body; None where it is not known."""

    heart_rate_bpm: float | None
    rmssd_ms: float | None
    respiration_per_minute: float | None
    skin_conductance_us: float | None


class Sensing:
    """The sources of one patient in one session. `now` is in seconds of any steady clock."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._sources: dict[Kind, Source] = {}
        self._heart, self._skin, self._motion = HeartSignal(), SkinSignal(), MotionSignal()
        self._breaths_per_minute = 0.0  # as a belt said last; as current as its source
        self._rests = {feature: Rest(feature, profile.baselines.get(feature)) for feature in Feature}
        self._looked_at = -math.inf
        self._said = 0.0  # the last observation or report, and when an observation was made
        self._said_at: float | None = None

    @property
    def profile(self) -> Profile:
        """The patient's profile with the baselines as they are now."""
        baselines = {feature: rest.baseline for feature, rest in self._rests.items()}
        return replace(self._profile, baselines={f: kept for f, kept in baselines.items() if kept.seconds > 0})

    def anchor(self, arousal: float) -> None:
        """The patient reports `arousal` (-1 .. 1): the present body stands for it, and readings go on from there."""
        self._said = arousal
        for rest in self._rests.values():
            rest.told(arousal)

    def take(self, reading: Reading, age_seconds: float, now: float) -> ArousalObservation | None:
        """What `reading` and those before it say of arousal; None where that is nothing, or nothing further yet.

        `age_seconds` is the server's clock minus `reading.at`; negative: in the future.
        """
        source = self._sources.get(reading.kind)
        if source is None:
            source = self._sources[reading.kind] = Source(reading.kind, now)
        measured = source.admit(reading, age_seconds, now)
        if measured is None:
            return None
        self._feed(reading, measured)
        seconds = now - self._looked_at
        if seconds < SPEAKS_EACH_SECONDS:
            return None
        self._looked_at = now
        evidence = list(self._evidence(now, min(seconds, 2 * SPEAKS_EACH_SECONDS)))
        return self._say(*fused(evidence), now) if evidence else None

    def sources(self, now: float) -> tuple[SourceState, ...]:
        """What every source that was ever heard is worth at `now`."""
        moving = self._motion.moving(now)
        return tuple(self._state(self._sources[kind], now, moving) for kind in Kind if kind in self._sources)

    def vitals(self, now: float) -> Vitals:
        """The body's signs at `now`, of sources that are trusted; a belt's breath comes before the heart's."""
        trusted = {state.kind for state in self.sources(now) if state.trust > 0}
        heart = self._heart if Kind.HEART_RATE in trusted else None
        belted = Kind.RESPIRATION in trusted
        of_heart = None if heart is None else heart.respiration_per_minute(now)
        return Vitals(
            None if heart is None else heart.heart_rate_bpm(now),
            None if heart is None else heart.rmssd_ms(now),
            self._breaths_per_minute if belted else of_heart,
            self._skin.tonic_us(now) if Kind.SKIN_CONDUCTANCE in trusted else None,
        )

    def _feed(self, reading: Reading, measured: float) -> None:
        match reading:
            case HeartRate(bpm=bpm, rr_ms=rr_ms):
                self._heart.add(rr_ms, bpm, measured)
            case SkinConductance(us=us):
                self._skin.add(us, measured)
            case Respiration(breaths_per_minute=rate):
                self._breaths_per_minute = rate
            case Motion(g=g):
                self._motion.add(g, measured)

    def _state(self, source: Source, now: float, moving: bool) -> SourceState:
        match source.kind:
            case Kind.HEART_RATE:
                false_share = self._heart.artefact_share(now, HEART_NOISE_SECONDS)
                return source.state(now, false_share, moving, self._heart.contradiction(now))
            case Kind.SKIN_CONDUCTANCE:
                return source.state(now, self._skin.artefact_share(now, SKIN_NOISE_SECONDS), moving)
            case Kind.RESPIRATION:
                return source.state(now, 0.0, moving)  # whoever walks breathes faster, too
            case Kind.MOTION:
                return source.state(now, 0.0, False)

    def _evidence(self, now: float, seconds: float) -> Iterator[tuple[float, float]]:
        """Arousal and SD of every feature that can be compared. Those that are trusted become part of the baseline."""
        moving = self._motion.moving(now)
        for kind, features in _FEATURES_OF.items():
            source = self._sources.get(kind)
            trust = 0.0 if source is None else self._state(source, now, moving).trust
            if trust < LEAST_TRUST:
                continue
            for feature in features:
                value = self._value(feature, now)
                if value is None:
                    continue
                rest = self._rests[feature]
                rest.meet(value, seconds)
                if trust >= BASELINE_TRUST:
                    rest.take(value, seconds)
                if rest.speaks:
                    arousal, sd = rest.arousal(value)
                    yield arousal, sd / trust

    def _value(self, feature: Feature, now: float) -> float | None:
        match feature:
            case Feature.HEART_RATE:
                value = self._heart.heart_rate_bpm(now)
            case Feature.LN_RMSSD:
                value = self._heart.ln_rmssd(now)
            case Feature.LN_SKIN_LEVEL:
                level = self._skin.tonic_us(now)
                value = None if level is None or level <= 0 else math.log(level)
            case Feature.SKIN_RESPONSES:
                value = self._skin.responses_per_minute(now)
            case Feature.RESPIRATION:
                value = self._breaths_per_minute
        low, high = MEANS[feature]
        return None if value is None else min(high, max(low, value))

    def _say(self, arousal: float, sd: float, now: float) -> ArousalObservation:
        """An observation that is no further from the one before than a body gets in that time."""
        since = SPEAKS_EACH_SECONDS if self._said_at is None else min(LONGEST_MOVE_SECONDS, now - self._said_at)
        reach = SENSED_PER_SECOND * since  # what jumps further is no body
        self._said = min(self._said + reach, max(self._said - reach, arousal))
        self._said_at = now
        return ArousalObservation(self._said, sd)


def fused(evidence: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The mean of values with SDs, weighted by their inverse variances, and its SD.

    The errors of any two are correlated by `SHARED`: they are of one body. So the SD falls with each further one, but
    never below what they have in common. (The variance of a weighted sum of correlated variables.)
    """
    weights = [1 / sd**2 for _, sd in evidence]
    total = sum(weights)
    mean = sum(weight * value for weight, (value, _) in zip(weights, evidence, strict=True)) / total
    spreads = [weight / total * sd for weight, (_, sd) in zip(weights, evidence, strict=True)]
    variance = SHARED * sum(spreads) ** 2 + (1 - SHARED) * sum(spread**2 for spread in spreads)
    return mean, math.sqrt(variance)
