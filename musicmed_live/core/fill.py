"""What is heard while the generator is late: the last bars, fading."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.generator import Samples, frames_of
from musicmed_live.core.timeline import Floats, crossfade_gains

FILL_FRAMES = frames_of(20.0)  # the last bars repeat, fading, for so long
SEAM_FRAMES = frames_of(0.03)
RESUME_FRAMES = frames_of(0.1)  # at least, and
SLOWEST_RESUME_FRAMES = frames_of(3.0)  # at most, after silence: so long music that is back fades in


@dataclass(frozen=True, slots=True)
class Fill:
    """A bar that repeats from `since` on."""

    since: int
    loop: Samples  # the last bar, its end running into its beginning
    step: Samples  # from the loop's beginning to the last frame heard: decays, so that nothing clicks
    resume: int | None = None  # where music is back
    level: float = 1.0  # at which it begins: less where the music before it was still fading in

    def sound(self, start: int, frames: int) -> Samples:
        """The fill alone, shape (frames, 2)."""
        passed = np.arange(start - self.since, start - self.since + frames)
        fade = np.maximum(0.0, 1.0 - passed / FILL_FRAMES)[:, None]
        decay = np.exp(-passed / (SEAM_FRAMES / 6))[:, None]
        loop = self.level * self.loop[passed % len(self.loop)]
        return ((loop + self.step * decay) * fade).astype(np.float32)

    def level_at(self, position: int) -> float:
        """How loud that is which is heard at `position`, over the music's own level."""
        own = self._own_level(position)
        if self.resume is None:
            return own
        out_gain, in_gain = self._gains(np.array([position]), self.resume)
        return float(np.hypot(out_gain[0] * own, in_gain[0]))

    def gives_way_at(self, position: int) -> bool:
        """Whether it is still heard at `position` under the music that is back."""
        return self.resume is not None and position < self.resume + self._resume_frames(self.resume)

    def over(self, music: Samples, start: int) -> Samples:
        """`music`, which begins at `start`, with the fill from where it is missing to where it is back."""
        a = max(0, self.since - start)
        music = music.copy()
        instead = self.sound(start + a, len(music) - a)
        if self.resume is None:
            music[a:] = instead
            return music
        out_gain, in_gain = self._gains(np.arange(start + a, start + len(music)), self.resume)
        music[a:] = music[a:] * in_gain[:, None] + instead * out_gain[:, None]
        return music

    def _own_level(self, position: int) -> float:
        return self.level * max(0.0, 1.0 - (position - self.since) / FILL_FRAMES)

    def _gains(self, positions: NDArray[np.int64], resume: int) -> tuple[Floats, Floats]:
        """Of the fill and of the music that is back."""
        return crossfade_gains(np.clip((positions - resume) / self._resume_frames(resume), 0.0, 1.0), 0.0)

    def _resume_frames(self, resume: int) -> int:
        """For how long music that is back at `resume` fades in: the longer, the further the fill has faded by then.

        No longer than a bar, for so long the mixer keeps a fill after that.
        """
        slowest = max(RESUME_FRAMES, min(SLOWEST_RESUME_FRAMES, len(self.loop)))
        return round(RESUME_FRAMES + (1.0 - self._own_level(resume)) * (slowest - RESUME_FRAMES))
