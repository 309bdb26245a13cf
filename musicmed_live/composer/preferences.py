"""Preferences: what a patient or therapist wants to hear and must not hear, as weights on instruments and layers."""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.core.generator import Preference
from musicmed_live.errors import InvalidInput


class Layer(StrEnum):
    """A strand of the texture, with a fader of its own."""

    MELODY = "melody"
    COUNTER = "counter"
    FIGURE = "figure"
    BED = "bed"
    BASS = "bass"
    PULSE = "pulse"
    SHIMMER = "shimmer"
    DRUMS = "drums"


@dataclass(frozen=True, slots=True)
class Style:
    """A texture: instruments that are typical of it (weight > 1) or foreign to it (< 1), and faders in dB."""

    instruments: dict[str, float]
    faders_db: dict[Layer, float] = field(default_factory=dict)


STYLES: dict[str, Style] = {
    "ambient": Style(
        {"pad": 6, "choir": 4, "strings": 2, "celesta": 3, "harp": 2, "bass": 0.4, "percussion": 0.1, "timpani": 0.2},
        {Layer.BED: 5, Layer.DRUMS: -18, Layer.PULSE: -8, Layer.MELODY: -2},
    ),
    "chamber": Style(
        {"piano": 4, "cello": 4, "flute": 3, "clarinet": 3, "oboe": 3, "pad": 0.1, "choir": 0.2, "percussion": 0.2},
        {Layer.BED: -5, Layer.DRUMS: -14, Layer.COUNTER: 4},
    ),
    "folk": Style(
        {"guitar": 8, "flute": 3, "clarinet": 2, "bass": 3, "pad": 0.2, "choir": 0.2, "timpani": 0.2, "horn": 0.3},
        {Layer.BED: -5, Layer.FIGURE: 3, Layer.PULSE: 2},
    ),
    "minimal": Style(
        {"piano": 6, "celesta": 3, "pad": 2, "horn": 0.3, "timpani": 0.2, "percussion": 0.2},
        {Layer.FIGURE: 5, Layer.MELODY: -3, Layer.COUNTER: -6, Layer.DRUMS: -14},
    ),
    "orchestral": Style(
        {"strings": 4, "violins": 4, "horn": 4, "oboe": 3, "timpani": 3, "cello": 2, "guitar": 0.2, "pad": 0.2},
        {Layer.BED: 3, Layer.COUNTER: 3, Layer.FIGURE: -3},
    ),
}

_WANTED = 12.0  # weight of an instrument that somebody asked for
_FREE = Preference()


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Who may play: a weight for each instrument that is not forbidden, and faders by style."""

    weights: MappingProxyType[str, float]
    wanted: frozenset[str]
    faders_db: MappingProxyType[Layer, float]

    def allows(self, instrument: str) -> bool:
        """Whether the instrument may sound at all."""
        return instrument in self.weights

    def first_allowed(self, instruments: tuple[str, ...]) -> str | None:
        """The first of these that may sound."""
        return next(filter(self.allows, instruments), None)

    def fader_db(self, layer: Layer) -> float:
        """Level that the styles add to a layer."""
        return self.faders_db.get(layer, 0.0)


def check_preferences(instruments: Preference, style: Preference) -> None:
    """Raise `InvalidInput` for names that do not exist, or if every instrument is forbidden."""
    _check_names(instruments.prefer, INSTRUMENTS, "instruments.prefer")
    check_forbidden(instruments.forbid, "instruments.forbid")
    _check_names(style.prefer, STYLES, "style.prefer")
    _check_names(style.forbid, STYLES, "style.forbid")


def check_forbidden(names: Collection[str], field: str) -> None:
    """Raise `InvalidInput` that names `field` for instruments that do not exist, or if all of them are forbidden."""
    _check_names(names, INSTRUMENTS, field)
    if set(INSTRUMENTS) <= set(names):
        accepted = f"leave at least one of {', '.join(INSTRUMENTS)}"
        raise InvalidInput(f"{field}: every instrument is forbidden; {accepted}", field)


@lru_cache(maxsize=256)
def choose_ensemble(instruments: Preference = _FREE, style: Preference = _FREE) -> Ensemble:
    """Turn preferences into an ensemble. What is both preferred and forbidden is forbidden. Raises `InvalidInput`."""
    check_preferences(instruments, style)
    weights = {name: 1.0 for name in INSTRUMENTS if name not in instruments.forbid}
    faders_db = dict.fromkeys(Layer, 0.0)
    for name in (name for name in style.prefer if name not in style.forbid):
        for instrument in weights:
            weights[instrument] *= STYLES[name].instruments.get(instrument, 1.0)
        for layer, level_db in STYLES[name].faders_db.items():
            faders_db[layer] += level_db
    for name in style.forbid:
        for instrument in weights:
            weights[instrument] /= max(1.0, STYLES[name].instruments.get(instrument, 1.0)) ** 2
        for layer, level_db in STYLES[name].faders_db.items():
            faders_db[layer] -= max(0.0, level_db)
    wanted = frozenset(instruments.prefer) & frozenset(weights)
    for instrument in wanted:
        weights[instrument] *= _WANTED
    return Ensemble(MappingProxyType(weights), wanted, MappingProxyType(faders_db))


def _check_names(names: Collection[str], known: Collection[str], field: str) -> None:
    for name in names:
        if name not in known:
            raise InvalidInput(f"{field}: unknown name {name[:40]!r}; known: {', '.join(known)}", field)
