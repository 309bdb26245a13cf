"""The emotion of tags: where in the plane music lies that carries a mood or theme tag of MTG-Jamendo.

`emotion_of_tags.csv` begins with norms for words (Warriner, Kuperman & Brysbaert 2013, Behavior Research Methods 45,
brought from 1..9 to -1..1) and corrects those that say something else of music, each with its reason.
`EMOTION_OF_TAGS.md` names the sources.
"""

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from musicmed_live.core.emotion import WORDS, Emotion

TABLE = Path(__file__).with_name("emotion_of_tags.csv")

_TAGS_AS_SPOKEN = {"ambient": "ambiental"}  # where people write a tag otherwise than the table does


@cache
def points() -> Mapping[str, Emotion]:
    """The point of each tag of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return MappingProxyType({row["tag"]: Emotion(float(row["valence"]), float(row["arousal"])) for row in rows})


def point_of(tag: str) -> Emotion | None:
    """The point of a tag, or of a mood word that is no tag of MTG-Jamendo (`core.emotion.WORDS`); None of any other."""
    found = points().get(_TAGS_AS_SPOKEN.get(tag, tag))
    if found is None and tag in WORDS:
        found = WORDS[tag][0]
    return found


def emotion_of(tags: Iterable[str]) -> Emotion | None:
    """The mean of the points of those tags that have one; None where none has."""
    found = [point for point in map(point_of, tags) if point is not None]
    if not found:
        return None
    return Emotion(
        sum(point.valence for point in found) / len(found),
        sum(point.arousal for point in found) / len(found),
    )
