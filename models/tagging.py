"""Mood tags that were asked for against mood tags that were heard, as in arXiv 2411.09080.

That paper asks for moods by their tags in MTG-Jamendo (Bogdanov et al. 2019) and counts how many of them a recognizer
finds in the music. A recognizer that knows tags is asked for them; of one that only knows the plane, those tags are
taken that a prompt has where it heard the music to be.
"""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Preference
from musicmed_live.musicgen.prompts import ANCHORS, blend

VOCABULARY = frozenset(mood for anchor in ANCHORS for mood in anchor.moods)  # what is asked for anywhere in the plane

Tags = frozenset[str]
TagPair = tuple[Tags, Tags]  # asked for, heard


@dataclass(frozen=True, slots=True)
class TagFigures:
    """How well the tags agree; 0 .. 1, None where nothing was asked for or nothing heard."""

    clips: int
    precision: float | None  # of the tags that were heard, how many had been asked for
    recall: float | None  # of the tags that were asked for, how many were heard
    hamming_score: float | None
    label_accuracy: float | None  # 1 - Hamming loss


def prompt_at(emotion: Emotion) -> str:
    """The text that weighs most in what MusicGen is asked for at a point of the plane."""
    return max(blend(emotion, Preference(), Preference()), key=lambda prompt: prompt.weight).text


def tags_at(emotion: Emotion) -> Tags:
    """The mood tags of that text."""
    return VOCABULARY & frozenset(re.findall(r"[a-z]+", prompt_at(emotion)))


def tag_figures(pairs: Sequence[TagPair], vocabulary: Collection[str] = VOCABULARY) -> TagFigures:
    """Precision and recall over all clips together (micro-averaged), and the Hamming score.

    Tags outside of `vocabulary`, which no clip could be asked for, do not count.

    `hamming_score` is the mean over clips of |asked and heard| / |asked or heard| (Godbole and Sarawagi 2004, there
    "accuracy"). "Hamming" is said of 1 - Hamming loss as well, the share of all clips and tags of `vocabulary` that are
    right (Schapire and Singer 1999), which is near 1 for anything where tags are few: `label_accuracy`.
    """
    known = frozenset(vocabulary)
    pairs = [(asked & known, heard & known) for asked, heard in pairs]
    both = sum(len(asked & heard) for asked, heard in pairs)
    wrong = sum(len(asked ^ heard) for asked, heard in pairs)
    overlaps = [len(asked & heard) / len(asked | heard) for asked, heard in pairs if asked | heard]
    return TagFigures(
        len(pairs),
        _share(both, sum(len(heard) for _, heard in pairs)),
        _share(both, sum(len(asked) for asked, _ in pairs)),
        _share(math.fsum(overlaps), len(overlaps)),
        _share(len(pairs) * len(known) - wrong, len(pairs) * len(known)),
    )


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
