"""Expression: how an emotion is played, as smooth curves over the valence-arousal plane.

The directions are those of A. Gabrielsson and E. Lindström, "The role of structure in the musical expression of
emotions", in: Handbook of Music and Emotion (2010): arousal is tempo, loudness, density and short articulation;
valence is mode, register and consonance.
"""

import math

from musicmed_live.core.emotion import Emotion

SILENT_DB = -60.0
PHRASE_ARCH_DB = (-0.5, 0.2, 0.8, -0.5)  # of the bars of a phrase: it swells and comes down again
FADED_OUT = 0.03  # share below which a layer is left out


def ramp(x: float, start: float, full: float) -> float:
    """0 up to `start`, 1 from `full` on, a smooth S between them (`full` may lie below `start`)."""
    share = min(1.0, max(0.0, (x - start) / (full - start)))
    return share * share * (3 - 2 * share)


def between(x: float, at_minus_one: float, at_one: float) -> float:
    """The straight line through the two values, for x in [-1, 1]."""
    return at_minus_one + (at_one - at_minus_one) * (x + 1) / 2


def decibels(share: float) -> float:
    """Amplitude share 0 .. 1 as level; `SILENT_DB` where nothing is left of it."""
    return 20 * math.log10(share) if share > FADED_OUT else SILENT_DB


def velocity(emotion: Emotion) -> float:
    """How hard notes are struck, before accents: 44 .. 98."""
    return between(emotion.arousal, 44, 98)


def loudness_lufs(emotion: Emotion) -> float:
    """The loudness that the music aims at: -22.5 (calm) .. -16.5 LUFS (activated)."""
    return between(emotion.arousal, -22.5, -16.5)


def legato(emotion: Emotion) -> float:
    """Sounding share of a melody note's time: overlapping when calm, detached when activated."""
    return between(emotion.arousal, 1.05, 0.75)


def melody_centre(emotion: Emotion) -> float:
    """The MIDI key around which the melody moves: low in gloom, high in joy."""
    return between(emotion.valence, 60, 80) + 3 * emotion.arousal


def chord_centre(emotion: Emotion) -> float:
    """The MIDI key around which the chords are voiced."""
    return between(emotion.valence, 54, 68) + 2 * emotion.arousal


def tension(emotion: Emotion) -> float:
    """0 .. 1: unpleasant and activated at once."""
    return max(0.0, -emotion.valence) * max(0.0, emotion.arousal)
