"""Rhythm: patterns whose every hit knows from which arousal on it is heard.

A hit is faded in from there. So a pattern fills up gradually as arousal rises, and nothing is ever switched on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from musicmed_live.composer.expression import SILENT_DB, decibels, ramp

ALWAYS = -9.0
FADE_WIDTH = 0.3  # of arousal, over which a hit is faded in


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in the bar (in beats), the arousal from which on it is heard, and its accent."""

    beat: float
    enters_at: float
    accent_db: float = 0.0


BASS = (
    Hit(0, ALWAYS),
    Hit(0.5, 0.55, -5),
    Hit(1, 0.05, -3),
    Hit(1.5, 0.55, -5),
    Hit(2, -0.55, -1.5),
    Hit(2.5, 0.55, -5),
    Hit(3, 0.05, -3),
    Hit(3.5, 0.55, -5),
)
FIGURE = (
    *(Hit(beat, ALWAYS, 0.0) for beat in (0, 2)),
    *(Hit(beat, -0.75, -1.0) for beat in (1, 3)),
    *(Hit(beat, -0.35, -2.0) for beat in (0.5, 1.5, 2.5, 3.5)),
    *(Hit(beat, 0.5, -4.0) for beat in (0.75, 1.75, 2.75, 3.75)),
    *(Hit(beat, 0.95, -5.0) for beat in (0.25, 1.25, 2.25, 3.25)),
)
OFFBEATS = tuple(Hit(beat, -0.05, -1.0) for beat in (0.5, 1.5, 2.5, 3.5))
CROTCHETS = tuple(Hit(beat, 0.4) for beat in (0, 1, 2, 3))
OSTINATO = (
    *(Hit(beat, 0.15) for beat in (0, 1, 2, 3)),
    *(Hit(beat, 0.3, -3.0) for beat in (0.5, 1.5, 2.5, 3.5)),
)
TIMPANI = (Hit(0, 0.2), Hit(2.5, 0.35, -2.0), Hit(1.5, 0.6, -3.0), Hit(3.5, 0.7, -3.0))
CYMBALS = (
    *(Hit(beat, -0.05) for beat in (0, 1, 2, 3)),
    *(Hit(beat, 0.1, -3.0) for beat in (0.5, 1.5, 2.5, 3.5)),
    *(Hit(beat, 0.6, -6.0) for beat in (0.75, 1.75, 2.75, 3.75)),
    *(Hit(beat, 0.95, -6.0) for beat in (0.25, 1.25, 2.25, 3.25)),
)
KICKS_AT_EASE = (Hit(0, 0.3), Hit(2, 0.35))
KICKS_IN_TENSION = (Hit(0, 0.3), Hit(1.5, 0.5, -2.0), Hit(3, 0.4, -1.0))
BACKBEAT = (Hit(1, 0.4), Hit(3, 0.4))
TAMBOURINES = tuple(Hit(beat, 0.5) for beat in (0.5, 1.5, 2.5, 3.5))


def sounding(hits: Sequence[Hit], arousal: float, span: tuple[float, float]) -> Iterator[tuple[float, float, float]]:
    """(beat, beats until the next hit, level in dB) of the hits heard at this arousal within (beat, beats)."""
    start, end = span[0], span[0] + span[1]
    heard = []
    for hit in sorted(hits, key=lambda one: one.beat):
        level_db = decibels(ramp(arousal, hit.enters_at - FADE_WIDTH / 2, hit.enters_at + FADE_WIDTH / 2))
        if start <= hit.beat < end and level_db > SILENT_DB:
            heard.append((hit.beat, level_db + hit.accent_db))
    for (beat, level_db), (following, _) in pairwise([*heard, (end, 0.0)]):
        yield beat, following - beat, level_db
