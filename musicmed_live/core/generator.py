"""What a generator of music is: the contract between the session and whatever makes its sound."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.bounds import Interval, Region
from musicmed_live.core.emotion import Emotion

SAMPLE_RATE = 48_000  # frames per second, everywhere
CHANNELS = 2

Samples = NDArray[np.float32]  # shape (frames, CHANNELS), full scale is 1.0


def frames_of(seconds: float) -> int:
    """Whole frames of a duration. Seconds become frames once, where they enter."""
    return round(seconds * SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class Preference:
    """Names somebody wants to hear, and names they must not hear. Names not listed are free."""

    prefer: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """One clip to be made. The emotion moves in a straight line from `start` to `end`, within `region`."""

    position: int  # frame at which the clip begins; the voice's end
    frames: int  # length, > 0
    start: Emotion
    end: Emotion
    instruments: Preference = field(default_factory=Preference)
    style: Preference = field(default_factory=Preference)
    final: bool = False  # the piece ends with this clip: come to rest
    tempo_bpm: Interval | None = None  # lowest and highest; None: as the emotion wants it
    region: Region = field(default_factory=Region)  # whoever asks beside the mark stays within it

    def rest(self, position: int) -> "ClipRequest | None":
        """What is left of it from `position` on; None where that is nothing."""
        done = position - self.position
        if done >= self.frames:
            return None
        start = self.start.blend(self.end, done / self.frames)
        return replace(self, position=position, frames=self.frames - done, start=start)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a clip can be made again in another process: what was asked for, and what the voice had in memory then."""

    request: ClipRequest
    memory: str


class Cue(StrEnum):
    """What the first frame of a block is, musically: a place where the music may be cut, or not."""

    NONE = "none"
    FREE = "free"  # nobody knows of a beat: the music may be cut here, and anywhere in the block
    BEAT = "beat"
    BAR = "bar"

    def serves_as(self, kind: "Cue") -> bool:
        """Whether it is what is asked for, or more: a bar line is a beat, a beat is a place to cut."""
        order = list(Cue)
        return order.index(self) >= order.index(kind)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A stretch of sound, as soon as it exists. Blocks of a voice follow each other without a gap."""

    position: int  # of its first frame
    samples: Samples
    cue: Cue
    tempo_bpm: float  # 0 where unknown
    key: str  # such as "D dorian"; "" where unknown
    instruments: tuple[str, ...]  # sorted names of what plays in it
    recipe: Recipe | None = None  # of the clip that begins with it, where the voice has a memory

    @property
    def end(self) -> int:
        """Position after its last frame."""
        return self.position + len(self.samples)


class Voice(Protocol):
    """One session's continuous musical thread inside a generator, with its memory."""

    def compose(self, request: ClipRequest, heard_from: int = 0) -> Iterator[Block]:
        """The clip's blocks in order; together exactly `request.frames` long.

        Those that end by `heard_from` may be left out: nobody hears them.
        """
        ...

    def rehearse(self, request: ClipRequest, takes: int) -> Iterator[Sequence[Block]]:
        """Try how the clip would sound, in up to so many takes: the next block of each, until the takes end.

        A take may be shorter than the clip. The voice stays where it is, and whatever is asked of it next does away
        with the takes, save `settle`. Raises `ValueError` as `compose` does.
        """
        ...

    def settle(self, take: int) -> None:
        """Go on from the end of a take that was rehearsed last, as if it had been composed."""
        ...

    def rewind(self, position: int) -> int:
        """Forget everything from the first cue point at or after `position` on, and return that cue point.

        A voice whose music may be cut anywhere returns `position` itself. The next `compose` begins there and continues
        what sounded before it, without a seam. Iterators of earlier `compose` calls are dead from then on.
        Raises `ValueError` where `position` lies before what the voice still remembers (at least 10 s).
        """
        ...

    def memory(self) -> str | None:
        """What a new voice in another process needs to go on from here; None where it keeps nothing.

        To be asked between clips.
        """
        ...

    def close(self) -> None:
        """Give back what the voice holds of its generator. It is not used any more; closing twice is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a generator is on this machine, measured on one voice that has it to itself."""

    realtime_x: float  # seconds of music that it makes in a second
    first_block_seconds: float  # what the first block of a clip takes, after a rewind and with another emotion


class Generator(Protocol):
    """A maker of voices. The same seed and the same calls give the same samples."""

    @property
    def voices(self) -> int | None:
        """How many voices it has room for; None: as many as there is time for. Known after `warm_up`."""
        ...

    @property
    def takes(self) -> int:
        """How many takes of a clip it can make at once: 1 where others would be the same, 0 where it has no room."""
        ...

    def warm_up(self) -> Pace:
        """Do what the first voice would otherwise wait for, and measure.

        Raises `GeneratorFailed` or `InvalidInput` where it cannot work at all.
        """
        ...

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> Voice:
        """A new voice whose first clip begins at `position`, and goes on from the `memory` of another one.

        Raises `GeneratorFailed` where there is no room for it, `InvalidInput` for a memory that is none of this
        generator's, or of another version.
        """
        ...
