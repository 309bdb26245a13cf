"""The fader: gains over time that somebody asked for, and the end of a session."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.generator import frames_of

END_FRAMES = frames_of(2.5)  # a session that ends fades out for so long unless told otherwise


@dataclass(frozen=True, slots=True)
class _Fade:
    position: int
    frames: int
    before: float
    after: float

    def gain_at(self, positions: Any) -> Any:
        """Half a cosine from `before` to `after`."""
        share = np.clip((positions - self.position) / max(1, self.frames), 0.0, 1.0)
        return self.before + (self.after - self.before) * (0.5 - 0.5 * np.cos(np.pi * share))


class Fader:
    """Each fade is half a cosine from the gain that holds to another; an ending is one to silence, and for good."""

    def __init__(self) -> None:
        self.end: int | None = None  # silence is meant from here on
        self._fades: list[_Fade] = []
        self._endings: list[_Fade] = []

    @property
    def gain(self) -> float:
        """Where the last fade leads, whatever the ending does."""
        return self._fades[-1].after if self._fades else 1.0

    @property
    def endings(self) -> tuple[tuple[int, int], ...]:
        """Where each of them gets to silence, and within how many frames; the first that was planned comes first."""
        return tuple((ending.position + ending.frames, ending.frames) for ending in self._endings)

    def fade(self, position: int, frames: int, gain: float) -> None:
        """From `position` on move to `gain` (0..1) within `frames`; replaces later fades."""
        self._fades = [fade for fade in self._fades if fade.position < position]
        before = float(self._fades[-1].gain_at(position)) if self._fades else 1.0
        self._fades.append(_Fade(position, frames, before, gain))

    def end_at(self, position: int, frames: int) -> bool:
        """Fade out within the `frames` before `position`. Whether that is news: a later end than the one that holds is
        none. An ending that has begun goes on below the new one, so that the gain never jumps."""
        if self.end is not None and position >= self.end:
            return False
        self.end = position
        self._endings.append(_Fade(position - frames, frames, 1.0, 0.0))
        return True

    def end_as(self, endings: Iterable[tuple[int, int]]) -> None:
        """Take over another one's `endings`, in place of those that were planned."""
        self.end, self._endings = None, []
        for position, frames in endings:
            self.end_at(position, frames)

    def forget(self, position: int) -> None:
        """Nothing before `position` is asked for any more."""
        passed = bisect_right(self._fades, position, key=lambda fade: fade.position)
        del self._fades[: max(0, passed - 1)]

    def gains(self, start: int, frames: int) -> NDArray[np.float32]:
        """The gain at each of `frames` from `start` on, shape (frames,)."""
        positions = np.arange(start, start + frames)
        gains = np.ones(frames)
        begun = bisect_right(self._fades, start, key=lambda fade: fade.position)
        until = bisect_right(self._fades, start + frames, key=lambda fade: fade.position)
        for fade in self._fades[max(0, begun - 1) : until]:
            gains = np.where(positions >= fade.position, fade.gain_at(positions), gains)
        endings = [ending.gain_at(positions) for ending in self._endings if start + frames > ending.position]
        ending = np.minimum.reduce(endings) if endings else np.ones(frames)
        return (ending.astype(np.float32) * gains).astype(np.float32)
