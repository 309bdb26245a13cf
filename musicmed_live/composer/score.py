"""The score as data: what is to sound, and when, in frames since the session started."""

from dataclasses import dataclass

from musicmed_live.core.emotion import Emotion


@dataclass(frozen=True, slots=True)
class Note:
    """One note of one instrument."""

    position: int  # onset
    frames: int  # until its key is released; > 0
    instrument: str  # a name of `composer.instruments.INSTRUMENTS`
    key: int  # MIDI key, 0..127
    velocity: float  # 1..127: how hard it is played (loudness and brightness)
    level_db: float = 0.0  # fader of the layer that it belongs to; layers come and go with it


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a grid of beats and the notes that begin in it."""

    beats: tuple[int, ...]  # position of each beat, then the position where the bar ends; strictly rising
    notes: tuple[Note, ...]  # by onset, all within the bar
    tempo_bpm: float  # at the bar line
    key: str  # such as "D dorian"
    emotion: Emotion  # that it was written for

    def notes_within(self, start: int, end: int) -> list[Note]:
        """Those that begin at `start` or later, and before `end`."""
        return [note for note in self.notes if start <= note.position < end]
