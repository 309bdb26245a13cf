"""Level: MusicGen plays as loud as it happens to; a slow gain brings it to the loudness that the emotion asks for."""

from dataclasses import dataclass, replace

import numpy as np

from musicmed_live.core import loudness
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Samples

LEVEL_FRAMES = 960  # samples are measured, and the gain moves, in steps of 20 ms: a frame of the codec

_AVERAGE = 250  # steps: loudness is averaged over about 5 s
_GATE_LUFS = -55.0  # nothing is learned from near silence
_LARGEST_DB = 18.0
_SLOW_DB = 0.02  # per step: 1 dB/s
_FAST_DB = 0.12
_FAST_STEPS = 100  # of the first 2 s that are heard


@dataclass(frozen=True, slots=True)
class Level:
    """All that levelling remembers from one step to the next."""

    target_lufs: float = loudness.REFERENCE_LUFS
    gain_db: float = 0.0
    energy: float = 0.0  # K-weighted, averaged
    heard: int = 0  # steps that were loud enough to learn from

    def towards(self, emotion: Emotion) -> "Level":
        """The same, from now on for that emotion."""
        target_lufs = loudness.REFERENCE_LUFS + loudness.AROUSAL_LU * emotion.arousal
        return replace(self, target_lufs=target_lufs)

    def apply(self, samples: Samples) -> tuple[Samples, "Level"]:
        """Samples at their level, and the state after them. The frames must be a multiple of `LEVEL_FRAMES`.

        The result does not depend on how a stretch is split.
        """
        gains_db, level = [self.gain_db], self
        for step in samples.reshape(-1, LEVEL_FRAMES, samples.shape[1]):
            level = level._learn(loudness.energy(step))
            gains_db.append(level.gain_db)
        if len(gains_db) == 1:
            return samples, self
        at = np.arange(len(samples)) / LEVEL_FRAMES
        gain = 10 ** (np.interp(at, np.arange(len(gains_db)), gains_db) / 20)
        return samples * gain[:, None].astype(np.float32), level

    def _learn(self, energy: float) -> "Level":
        if loudness.loudness(energy) < _GATE_LUFS:
            return self
        heard = self.heard + 1
        average = self.energy + (energy - self.energy) / min(heard, _AVERAGE)
        wanted_db = self.target_lufs - loudness.loudness(average)
        wanted_db = min(_LARGEST_DB, max(-_LARGEST_DB, wanted_db))
        most_db = _FAST_DB if heard <= _FAST_STEPS else _SLOW_DB
        moved_db = min(most_db, max(-most_db, wanted_db - self.gain_db))
        return replace(self, gain_db=self.gain_db + moved_db, energy=average, heard=heard)
