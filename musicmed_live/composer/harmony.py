"""Harmony: modes, progressions, chords, and chords led from one to the next by the least motion."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from random import Random

from musicmed_live.composer.expression import chord_centre, ramp, tension
from musicmed_live.core.emotion import Emotion

MODES: dict[str, tuple[int, ...]] = {  # semitones above the tonic, from dark to bright
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
}

Progression = tuple[int, int, int, int]  # scale degrees (0 is the tonic) of the four bars of a phrase

PROGRESSIONS: dict[str, tuple[Progression, ...]] = {
    "phrygian": ((0, 1, 0, 6), (0, 5, 1, 0), (0, 3, 1, 0), (0, 6, 1, 3)),
    "aeolian": (
        (0, 3, 0, 5),
        (0, 0, 3, 4),
        (0, 5, 3, 0),
        (0, 5, 2, 6),
        (0, 3, 5, 6),
        (0, 6, 5, 6),
        (0, 5, 3, 4),
        (0, 2, 5, 3),
        (0, 3, 0, 4),
        (0, 3, 4, 3),
    ),
    "dorian": ((0, 3, 0, 6), (0, 1, 2, 3), (0, 6, 3, 4), (0, 2, 6, 3)),
    "mixolydian": ((0, 6, 3, 0), (0, 3, 6, 3), (0, 4, 3, 6), (0, 1, 3, 6)),
    "ionian": (
        (0, 3, 4, 0),
        (0, 0, 3, 4),
        (0, 4, 3, 0),
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (0, 3, 0, 4),
        (5, 3, 0, 4),
        (0, 2, 3, 4),
        (3, 0, 1, 4),
        (0, 3, 1, 4),
    ),
    "lydian": ((0, 1, 0, 1), (0, 1, 0, 4), (0, 4, 1, 0), (0, 2, 5, 1), (0, 5, 1, 4)),
}

MODE_SPREAD = 0.08  # of valence, by which themes differ in where they change their mode

_DOMINANTS = {"phrygian": 1, "aeolian": 4, "dorian": 3, "mixolydian": 6, "ionian": 4, "lydian": 4}
_DARKEST_VALENCES = (  # a mode is used from this valence on
    ("ionian", 0.2),
    ("mixolydian", 0.0),
    ("dorian", -0.25),
    ("aeolian", -0.8),
    ("phrygian", -math.inf),
)
_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

Voicing = tuple[int, ...]  # MIDI keys of the sounding chord, rising


@dataclass(frozen=True, slots=True)
class Scale:
    """A tonic (pitch class 0..11, C is 0) and a name of `MODES`."""

    tonic: int
    mode: str

    @property
    def name(self) -> str:
        """Such as "D dorian"."""
        return f"{_NAMES[self.tonic]} {self.mode}"

    @property
    def dominant(self) -> int:
        """The degree that leads home in this mode."""
        return _DOMINANTS[self.mode]

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The seven pitch classes, from the tonic up."""
        return tuple((self.tonic + step) % 12 for step in MODES[self.mode])

    def has_fifth(self, degree: int) -> bool:
        """Whether the triad on the degree has a perfect fifth; the other one is diminished."""
        return self.semitones(degree + 4) - self.semitones(degree) == 7

    def semitones(self, degree: int) -> int:
        """Height of a scale degree above the tonic; degree 7 is the octave."""
        octave, step = divmod(degree, 7)
        return MODES[self.mode][step] + 12 * octave


@dataclass(frozen=True, slots=True)
class Chord:
    """Three or four different pitch classes: root, third, fifth (or what replaces it), colour."""

    degree: int
    tones: tuple[int, ...]

    @property
    def root(self) -> int:
        """The root's pitch class."""
        return self.tones[0]

    @property
    def fifth(self) -> int:
        """The pitch class of the fifth, or of what stands in its place."""
        return self.tones[2]


def choose_mode(emotion: Emotion, rng: Random) -> str:
    """A mode by valence; lydian as a colour of calm pleasantness, phrygian as one of tension."""
    valence = emotion.valence + rng.gauss(0, MODE_SPREAD)
    mode = next(name for name, darkest in _DARKEST_VALENCES if valence > darkest)
    if mode == "ionian" and emotion.arousal < 0 and valence < 0.8 and rng.random() < 0.12:
        return "lydian"  # listeners rate it a little below ionian
    if mode == "phrygian" and (emotion.arousal < 0 or rng.random() < 0.5):
        return "aeolian"
    return mode


def choose_progression(mode: str, valence: float, rng: Random) -> Progression:
    """A progression of the mode, the more major chords the pleasanter; by the same draw for like valences."""
    choices = sorted(PROGRESSIONS[mode], key=lambda one: (majorness(mode, one), one))
    bright = min(1.0, max(-1.0, 1.3 * valence))
    weights = [math.exp(3.2 * bright * majorness(mode, one) + 0.8 * (one[0] == 0)) for one in choices]
    return rng.choices(choices, weights)[0]


def majorness(mode: str, progression: Progression) -> float:
    """-1 (all minor or diminished) .. 1 (all major): the mean over the chords, the tonic counted twice."""
    steps = Scale(0, mode)
    signs = {degree: 1 if steps.semitones(degree + 2) - steps.semitones(degree) == 4 else -1 for degree in progression}
    weights = [2 if degree == 0 else 1 for degree in progression]
    return sum(w * signs[degree] for w, degree in zip(weights, progression, strict=True)) / sum(weights)


def build_chord(scale: Scale, degree: int, emotion: Emotion, rng: Random) -> Chord:
    """The triad on `degree` with the colour of the emotion: plain, added ninth, seventh, diminished, augmented."""
    root, third, fifth = (scale.semitones(degree + step) for step in (0, 2, 4))
    draw = rng.random()
    if scale.mode == "aeolian" and degree == 4 and draw < ramp(emotion.arousal, -0.6, 0.4):
        third += 1  # the leading tone, which gloom does without
    if emotion.valence < -0.35 and degree not in (0, 4) and draw < 0.6 * tension(emotion):
        # the tension takes the place of the fifth: a tritone added to it would clash all the time
        fifth = root + (6 if third - root == 3 else 8)
        colour = root
    elif emotion.valence > 0.1:
        colour = root + 14 if emotion.arousal < 0 and draw < 0.4 - 0.3 * emotion.valence else root
        if scale.semitones(degree + 8) - root != 14:
            colour = root  # a minor ninth is no colour of calm
    else:
        colour = scale.semitones(degree + 6) if draw < 0.5 + 0.6 * min(0.0, emotion.valence) else third
        if colour - root == 11:
            colour = root  # a major seventh against the root is too bright here
    pitch_classes = [(scale.tonic + tone) % 12 for tone in (root, third, fifth, colour)]
    return Chord(degree, tuple(dict.fromkeys(pitch_classes)))


def lead_voices(chord: Chord, previous: Voicing, emotion: Emotion) -> Voicing:
    """Voice the chord near the emotion's register, moving as little as possible from `previous` (may be empty).

    Seconds at close quarters, wide gaps and parallel fifths and octaves are avoided.
    """
    centre = round(chord_centre(emotion))
    return _lead_voices(chord.tones, previous, centre)


@lru_cache(maxsize=4096)
def _lead_voices(tones: tuple[int, ...], previous: Voicing, centre: int) -> Voicing:
    keys = [[key for key in range(centre - 9, centre + 11) if key % 12 == tone] for tone in tones]
    candidates = sorted({tuple(sorted(choice)) for choice in product(*keys)})
    return min(candidates, key=lambda voicing: sum(_costs(voicing, previous, centre)))


def _costs(voicing: Voicing, previous: Voicing, centre: int) -> Iterator[float]:
    yield 0.3 * len(voicing) * abs(sum(voicing) / len(voicing) - centre)
    for lower, upper in pairwise(voicing):
        yield 2.0 if upper - lower < 2 else 3.0 if upper - lower > 12 else 0.0
    if len(previous) != len(voicing):
        yield sum(min(abs(key - old) for old in previous) for key in voicing) if previous else 0.0
        return
    moves = list(zip(previous, voicing, strict=True))
    yield sum(abs(new - old) for old, new in moves)
    for (old_low, low), (old_high, high) in pairwise(moves):
        if old_low != low and (old_high - old_low) == (high - low) and (high - low) % 12 in (0, 7):
            yield 2.5
