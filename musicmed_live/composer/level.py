"""Level: bring every bar near the loudness that its emotion asks for, however many play in it.

All instruments are calibrated to the same loudness at the same velocity, so the energy of a bar can be told from its
score before anybody plays it.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from musicmed_live.composer.score import Note
from musicmed_live.core.generator import SAMPLE_RATE

REFERENCE_VELOCITY = 80.0
REFERENCE_LUFS = -26.0  # of one note held at that velocity and 0 dB (benchmarks/calibrate.py)
VELOCITY_EXPONENT = 1.7  # amplitude grows with this power of velocity
LARGEST_TRIM_DB = 24.0

_RINGING_SECONDS = {  # of a note that decays: for how long its loudest 0.4 s would have to last to be all its energy
    "piano": 0.69,
    "celesta": 0.55,
    "glockenspiel": 0.51,
    "harp": 0.56,
    "guitar": 0.68,
    "bass": 0.52,
    "pizzicato": 0.52,
    "timpani": 0.53,
    "percussion": 0.40,
}
_DAMPING_SECONDS = {"piano": 0.3, "guitar": 0.3, "bass": 0.25}  # how fast an early release takes energy away
_QUICKLY_DAMPED_SECONDS = 0.1
_SUSTAINED = {  # seconds that a note takes to speak; its energy per second then, over that of its loudest 0.4 s
    "strings": (0.25, 0.8),
    "violins": (0.18, 0.75),
    "tremolo": (0.0, 0.6),
    "cello": (0.35, 0.7),
    "choir": (0.2, 0.9),
    "pad": (0.55, 1.0),
    "flute": (0.05, 0.95),
    "oboe": (0.25, 1.0),
    "clarinet": (0.05, 1.1),
    "horn": (0.0, 0.95),
}


def level_bar(notes: Sequence[Note], frames: int, loudness_lufs: float) -> tuple[Note, ...]:
    """The notes of a bar of `frames`, by onset, with their levels moved so that the bar has this loudness."""
    if not notes:
        return ()
    trim_db = loudness_lufs - predict_lufs(notes, frames)
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
    """For how long the note's loudest 0.4 s would have to last to have its energy."""
    held = note.frames / SAMPLE_RATE
    if note.instrument in _SUSTAINED:
        speaking, share = _SUSTAINED[note.instrument]
        return share * held * held / (held + speaking)
    damping = _DAMPING_SECONDS.get(note.instrument, _QUICKLY_DAMPED_SECONDS)
    return _RINGING_SECONDS[note.instrument] * (1 - math.exp(-(held + 0.06) / damping))
