"""Captions: what a text says of a piece, in the words that the player asks MusicGen with, in several phrasings.

A text names moods, a genre and instruments, as in arXiv 2411.09080 and `musicmed_live/musicgen/prompts.py`. Of the
five phrasings of a segment one is exactly the player's; two say the same otherwise; one tells the mood alone; one is
silent about the mood, so that a model which is told the emotion by number as well has to listen to that.
"""

import hashlib
import random
from collections.abc import Sequence

from models.tracks import Track
from musicmed_live.core.emotion import Emotion
from musicmed_live.musicgen.prompts import ANCHORS

_MOST_MOODS = 3
_MOST_GENRES = 2
_MOST_INSTRUMENTS = 3


def captions(track: Track, segment: str) -> tuple[str, ...]:
    """Several texts for a segment of a track, each once; the same for the same track and segment.

    A track of which only the emotion is known is given the moods of the nearest place that the player has words for.
    None where nothing is known.
    """
    chance = random.Random(hashlib.sha256(segment.encode()).digest())
    moods = _some(track.moods or _moods_near(track.emotion), _MOST_MOODS, chance)
    genres = _some(track.genres, _MOST_GENRES, chance)
    instruments = _some(track.instruments, _MOST_INSTRUMENTS, chance)
    if not (moods or genres or instruments):
        return ()
    asked = ", ".join(moods)
    kind = " and ".join(genres)
    played = _listed(instruments)
    phrasings = (
        _asked(asked, kind, played),
        _told(chance.choice(("piece", "track")), moods, kind, played),
        _joined(_joined(kind, "music", played and f"played by {played}"), asked and f"that sounds {_listed(moods)}"),
        _joined(asked, "music") if moods else "",
        _asked("", kind, played) if genres or instruments else "",
    )
    return tuple(dict.fromkeys(text for text in phrasings if text))


def _asked(moods: str, kind: str, played: str) -> str:
    return _joined(moods, kind, "music", played and f"with {played}")


def _told(noun: str, moods: Sequence[str], kind: str, played: str) -> str:
    described = _joined(", ".join(moods), noun)
    article = "an" if described[0] in "aeiou" else "a"
    return _joined(article, described, kind and f"of {kind} music", played and f"with {played}")


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    first, last = ", ".join(names[:-1]), names[-1] if names else ""
    return f"{first} and {last}" if first else last


def _some(names: Sequence[str], most: int, chance: random.Random) -> list[str]:
    return chance.sample(list(names), min(most, len(names)))


def _moods_near(emotion: Emotion | None) -> tuple[str, ...]:
    if emotion is None:
        return ()
    return min(ANCHORS, key=lambda anchor: anchor.emotion.distance(emotion)).moods
