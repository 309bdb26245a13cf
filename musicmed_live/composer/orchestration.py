"""Orchestration: who plays which part in which emotion, and how loud each part is.

Soloists are drawn phrase by phrase, each near its home in the valence-arousal plane. The sustained and pulsing layers
are faded in and out with the emotion.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from musicmed_live.composer.expression import FADED_OUT, ramp
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.preferences import Ensemble
from musicmed_live.core.emotion import Emotion

Homes = Mapping[str, tuple[Emotion, ...]]

MELODISTS: Homes = {
    "piano": (Emotion(0.4, -0.6), Emotion(-0.3, -0.7), Emotion(0.0, -0.1)),
    "flute": (Emotion(0.5, -0.1), Emotion(0.6, 0.5)),
    "celesta": (Emotion(0.6, -0.8),),
    "clarinet": (Emotion(0.2, -0.6), Emotion(-0.6, -0.7), Emotion(-0.2, 0.3)),
    "oboe": (Emotion(-0.4, -0.2), Emotion(0.4, 0.6)),
    "cello": (Emotion(-0.6, -0.4), Emotion(-0.5, 0.3)),
    "horn": (Emotion(-0.4, 0.6), Emotion(0.1, 0.4)),
    "violins": (Emotion(-0.6, 0.8), Emotion(0.4, 0.9)),
    "guitar": (Emotion(0.7, 0.3),),
    "glockenspiel": (Emotion(0.9, 0.8),),
    "harp": (),
    "choir": (),
    "strings": (),
    "pizzicato": (),
    "tremolo": (),
    "pad": (),
}
FIGURISTS: Homes = {
    "piano": (Emotion(-0.6, -0.6), Emotion(-0.6, 0.4), Emotion(0.0, 0.0), Emotion(0.5, 0.7)),
    "harp": (Emotion(0.6, -0.7), Emotion(0.5, 0.0)),
    "guitar": (Emotion(0.6, 0.3),),
    "celesta": (Emotion(0.7, -0.9),),
    "pizzicato": (),
    "glockenspiel": (),
}
BASSISTS: Homes = {
    "piano": (Emotion(0.3, -0.9),),
    "cello": (Emotion(-0.6, -0.4),),
    "bass": (Emotion(0.5, -0.1), Emotion(-0.2, 0.3), Emotion(0.5, 0.8), Emotion(-0.6, 0.8)),
    "strings": (),
    "guitar": (),
    "pizzicato": (),
    "harp": (),
    "timpani": (),
}
ANSWERERS: Homes = {
    "horn": (Emotion(-0.2, 0.2), Emotion(-0.6, 0.6)),
    "clarinet": (Emotion(0.5, -0.2),),
    "cello": (Emotion(0.1, -0.5), Emotion(0.4, 0.5)),
    "oboe": (Emotion(-0.6, -0.5),),
    "flute": (Emotion(0.7, 0.3),),
}

_HOME_RADIUS = 0.45
_SUBSTITUTE = 1e-9  # weight of an instrument far from home: it plays only where nobody else may
_INVITATION = 0.04  # nearness for each step of weight above 1: who is asked for plays far from home, too
_LOYALTY = 0.5  # a soloist stays on while its weight is at least this share of the best one's


@dataclass(frozen=True, slots=True)
class Cast:
    """The soloists of a phrase, None where nobody may play the part."""

    melody: str | None
    figure: str | None
    bass: str | None
    counter: str | None


@dataclass(frozen=True, slots=True)
class Stop:
    """A sustained or pulsing layer at one moment: who plays it and how present it is, above 0 .. 1."""

    instrument: str
    presence: float


def choose_cast(ensemble: Ensemble, emotion: Emotion, previous: Cast | None, rng: Random) -> Cast:
    """Draw the soloists near the emotion; those of `previous` who are still at home there stay."""
    before = previous or Cast(None, None, None, None)
    figure = _choose(FIGURISTS, ensemble, emotion, before.figure, rng)
    melody = _choose(_without(MELODISTS, figure), ensemble, emotion, before.melody, rng) or figure
    bass = _choose(_without(BASSISTS, melody), ensemble, emotion, before.bass, rng)
    counter = _choose(_without(ANSWERERS, melody), ensemble, emotion, before.counter, rng)
    return Cast(melody, figure, bass, counter)


def bed_stops(ensemble: Ensemble, emotion: Emotion) -> list[Stop]:
    """The sustained chords: pad when calm, strings in the middle, choir in gloom, tremolo in tension."""
    v, a = emotion.valence, emotion.arousal
    presences = (
        (("pad", "strings", "choir", "violins"), ramp(a, -0.2, -0.7)),
        (
            ("strings", "violins", "pad", "choir"),
            ramp(a, -0.9, -0.4) * (1 - 0.6 * ramp(a, 0.4, 0.9) * ramp(v, -0.2, 0.3)),
        ),
        (("choir", "strings", "pad"), 0.8 * ramp(v, 0.0, -0.6) * ramp(a, 0.3, -0.3)),
        (("tremolo", "violins", "strings"), ramp(v, 0.05, -0.4) * ramp(a, 0.0, 0.6)),
    )
    stops: dict[str, float] = {}
    for instruments, share in presences:
        instrument = ensemble.first_allowed(instruments)
        if instrument is not None:
            stops[instrument] = math.hypot(stops.get(instrument, 0.0), share)
    for wanted in ("pad", "strings", "choir", "tremolo", "violins"):
        if wanted in ensemble.wanted:
            stops[wanted] = max(stops.get(wanted, 0.0), 0.8)
    heard = {name: min(1.0, share * _eagerness(ensemble, name)) for name, share in stops.items()}
    return [Stop(name, share) for name, share in heard.items() if share > FADED_OUT]


def presence(ensemble: Ensemble, instrument: str, share: float) -> float:
    """How present a layer of one instrument is: `share`, more where it is preferred, 0 where it is forbidden."""
    if not ensemble.allows(instrument):
        return 0.0
    if instrument in ensemble.wanted:
        share = max(share, 0.5)
    return min(1.0, share * _eagerness(ensemble, instrument))


def into_range(key: int, instrument: str) -> int:
    """The key, moved by octaves into the instrument's comfortable range."""
    player = INSTRUMENTS[instrument]
    while key < player.lowest:
        key += 12
    while key > player.highest:
        key -= 12
    return key


def _eagerness(ensemble: Ensemble, instrument: str) -> float:
    """Weights say how often somebody plays; taken gently, how strongly."""
    return min(1.6, math.pow(ensemble.weights[instrument], 0.3))


def _without(homes: Homes, instrument: str | None) -> Homes:
    return {name: points for name, points in homes.items() if name != instrument}


def _choose(homes: Homes, ensemble: Ensemble, emotion: Emotion, current: str | None, rng: Random) -> str | None:
    weights = {
        name: _weight(name, points, ensemble, emotion) for name, points in homes.items() if ensemble.allows(name)
    }
    if not weights:
        return None
    chosen = rng.choices(list(weights), list(weights.values()))[0]
    if current in weights and weights[current] >= _LOYALTY * max(weights.values()):
        return current
    return chosen


def _weight(name: str, homes: tuple[Emotion, ...], ensemble: Ensemble, emotion: Emotion) -> float:
    nearness = sum(math.exp(-((emotion.distance(home) / _HOME_RADIUS) ** 2)) for home in homes)
    weight = ensemble.weights[name]
    return (nearness + _INVITATION * max(0.0, weight - 1) + _SUBSTITUTE) * weight
