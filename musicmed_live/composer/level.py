"""Level: bring every bar near the loudness that its emotion asks for, however many play in it.

All instruments are calibrated to the same loudness at the same velocity, so the energy of a bar can be told from its
score. Most of what a bar would be off is evened out; the rest is left, so that the music still breathes.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from musicmed_live.composer.expression import loudness_lufs
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.score import Note
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE

REFERENCE_VELOCITY = 80.0
REFERENCE_LUFS = -26.0  # of one note held at that velocity and 0 dB
VELOCITY_EXPONENT = 1.7  # amplitude grows with this power of velocity
LARGEST_TRIM_DB = 18.0

_RINGING_SECONDS = {  # for which a struck or plucked note of 0 dB would have to be held to give the same energy
    "piano": 0.9,
    "celesta": 0.5,
    "glockenspiel": 0.6,
    "harp": 0.6,
    "guitar": 0.6,
    "bass": 0.7,
    "pizzicato": 0.15,
    "timpani": 0.5,
    "percussion": 0.08,
}
_RELEASE_SECONDS = 0.15  # that a held note goes on after its key is released


def level_bar(notes: Sequence[Note], frames: int, emotion: Emotion) -> tuple[Note, ...]:
    """The notes of a bar of `frames`, by onset, with their levels moved so that the bar reaches its loudness."""
    if not notes:
        return ()
    trim_db = loudness_lufs(emotion) - predict_lufs(notes, frames)
    trim_db = min(LARGEST_TRIM_DB, max(-LARGEST_TRIM_DB, trim_db))
    levelled = [replace(note, level_db=note.level_db + trim_db) for note in notes]
    return tuple(sorted(levelled, key=lambda note: (note.position, note.instrument, note.key)))


def predict_lufs(notes: Sequence[Note], frames: int) -> float:
    """The loudness of a bar from the energies of its notes, which are taken to add up."""
    seconds = frames / SAMPLE_RATE
    energy = sum(_power(note) * _effective_seconds(note) for note in notes)
    return REFERENCE_LUFS + 10 * math.log10(energy / seconds)


def _power(note: Note) -> float:
    return math.pow(note.velocity / REFERENCE_VELOCITY, 2 * VELOCITY_EXPONENT) * math.pow(10, note.level_db / 10)


def _effective_seconds(note: Note) -> float:
    held = note.frames / SAMPLE_RATE
    if INSTRUMENTS[note.instrument].sustains:
        return held + _RELEASE_SECONDS
    ringing = _RINGING_SECONDS[note.instrument]
    return ringing * (1 - math.exp(-(held + _RELEASE_SECONDS) / ringing))
