"""Melody: themes that are remembered by their contour and rhythm, and sung on whatever chords there are.

A theme knows how important each of its quavers is. A calm phrase sings only the most important ones, an activated one
fills in the others: the same theme at every density, thinning out and filling up as the emotion moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from random import Random

from musicmed_live.composer.expression import between, legato
from musicmed_live.composer.form import BARS_PER_PHRASE
from musicmed_live.composer.harmony import Chord, Scale
from musicmed_live.composer.instruments import Instrument
from musicmed_live.core.emotion import Emotion

QUAVERS_PER_BAR = 8
SEMITONES_PER_STEP = 1.8  # of a contour, on average over the scale

COMPASS = 4  # scale steps that a theme reaches above and below its centre

_METRE = (1.0, 0.15, 0.45, 0.25, 0.70, 0.18, 0.42, 0.28)  # importance of the quavers of a bar of 4/4
_CHARACTER = 0.45  # how much importance a theme may add of its own


@dataclass(frozen=True, slots=True)
class Theme:
    """Contour: scale steps about the melody's centre at each of 16 beats. Importance: of each of 32 quavers."""

    contour: tuple[int, ...]
    importance: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sung:
    """One note of a melody, in beats of its bar."""

    beat: float
    beats: float
    key: int


@dataclass(frozen=True, slots=True)
class Line:
    """What a bar of melody has to fit: who sings, where, over which chords (one, or one per half bar)."""

    singer: Instrument
    centre: float  # MIDI key
    scale: Scale
    chords: tuple[Chord, ...]
    emotion: Emotion


@lru_cache(maxsize=1024)
def theme(seed: int, label: str) -> Theme:
    """The theme of that label: a motif, the motif shifted, its mirror, a fall to rest."""
    rng = Random(f"{seed}:{label}:theme")
    motif = [rng.choice((-2, 0, 0, 2))]
    for _ in range(3):
        motif.append(_in_compass(motif[-1] + rng.choice((-2, -1, -1, 1, 1, 2))))
    shift = rng.choice((-1, 1, 2))
    mirror = [_in_compass(rng.choice((2, 3)) - step) for step in motif]
    fall = [2, 1, rng.choice((-1, 1)), 0]
    contour = [*motif, *(_in_compass(step + shift) for step in motif[:3]), motif[3], *mirror, *fall]
    bars = [_rhythm(rng), _rhythm(rng), _rhythm(rng)]
    importance = [*bars[0], *bars[0], *bars[1], *bars[2]]
    return Theme(tuple(contour), tuple(importance))


def sing(theme: Theme, bar: int, line: Line, last_key: int | None, closes: bool, rng: Random) -> list[Sung]:
    """Sing bar 0..3 of a theme. `last_key` is what the singer sang last; `closes`: the last bar ends on the tonic."""
    onsets = _onsets(theme, bar, line.emotion, rng)
    sung: list[Sung] = []
    for at, following in pairwise([*onsets, QUAVERS_PER_BAR]):
        target = line.centre + SEMITONES_PER_STEP * _contour_at(theme, bar, at)
        beat, beats = at / 2, (following - at) / 2
        home = closes and bar == BARS_PER_PHRASE - 1 and at == onsets[-1]
        last_key = _choose_key(line, target, beat, beats, last_key, home)
        sung.append(Sung(beat, beats * legato(line.emotion), last_key))
    return sung


def _in_compass(step: int) -> int:
    return min(COMPASS, max(-COMPASS, step))


def _rhythm(rng: Random) -> list[float]:
    return [weight + rng.uniform(0, _CHARACTER) for weight in _METRE]


def _onsets(theme: Theme, bar: int, emotion: Emotion, rng: Random) -> list[int]:
    threshold = between(emotion.arousal, 0.90, 0.42) + rng.uniform(-0.04, 0.04)
    importance = theme.importance[bar * QUAVERS_PER_BAR :]
    breath = _breath(bar, emotion)
    return [quaver for quaver in range(QUAVERS_PER_BAR - breath) if quaver == 0 or importance[quaver] > threshold]


def _breath(bar: int, emotion: Emotion) -> int:
    """Quavers at the end of a bar in which no new note begins, so that phrases end and breathe."""
    if bar == BARS_PER_PHRASE - 1:
        return round(between(emotion.arousal, 5, 2))
    return 1 if bar == 1 else 0


def _contour_at(theme: Theme, bar: int, quaver: int) -> float:
    beat, half = divmod(bar * QUAVERS_PER_BAR + quaver, 2)
    here = theme.contour[beat]
    return here if not half else (here + theme.contour[(beat + 1) % len(theme.contour)]) / 2


def _choose_key(line: Line, target: float, beat: float, beats: float, last_key: int | None, home: bool) -> int:
    chord = line.chords[0] if beat < 2 or len(line.chords) == 1 else line.chords[1]
    strong = beat % 2 == 0 or beats >= 1.5
    if home:
        allowed: tuple[int, ...] = (line.scale.tonic,)
    else:
        allowed = chord.tones if strong else line.scale.pitch_classes
    keys = [key for key in range(line.singer.lowest, line.singer.highest + 1) if key % 12 in allowed]
    return min(keys, key=lambda key: sum(_key_costs(key, target, last_key, chord)))


def _key_costs(key: int, target: float, last_key: int | None, chord: Chord) -> Iterator[float]:
    yield abs(key - target)
    passing = key % 12 not in chord.tones
    if any((key - tone) % 12 == 1 for tone in chord.tones):
        yield 1.5  # a semitone above a chord tone grates
    if last_key is not None:
        leap = abs(key - last_key)
        yield 1.8 if leap == 0 else 0.35 * max(0, leap - 2) + 0.6 * max(0, leap - 7) + 4.0 * max(0, leap - 12)
        yield 2.5 if passing and not 1 <= leap <= 2 else 0.0  # what is no chord tone is reached by step
