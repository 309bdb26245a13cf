"""What is known of a piece of music before it is heard: where it lies, how it is tagged, what may be done with it."""

from dataclasses import dataclass

from models.shards import quadrant
from musicmed_live.core.emotion import Emotion


@dataclass(frozen=True, slots=True)
class Track:
    """A sound file of a data set and what its makers say of it. Words are spelled as people write them."""

    id: str
    path: str  # in the folder of sounds
    split: str  # one of `shards.SPLITS`
    emotion: Emotion | None
    moods: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    licence: str = ""  # such as "CC BY-NC-SA 3.0"; "" where nobody says
    credit: str = ""  # whom to name, and where it is from
    seconds: float | None = None  # as its makers say

    @property
    def quadrant(self) -> str:
        """One of `shards.QUADRANTS`, or `shards.UNKNOWN`."""
        if self.emotion is None:
            return quadrant(None, None)
        return quadrant(self.emotion.valence, self.emotion.arousal)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A track, and how many segments are wanted of it at most."""

    track: Track
    segments: int
