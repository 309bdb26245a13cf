"""What MusicGen is asked for: words for an emotion, for instruments and for styles.

A text names moods, a genre and instruments, as the texts do that MusicGen was asked with in arXiv 2411.09080. The words
are tags of MTG-Jamendo (Bogdanov et al. 2019), spelled as people write them.

Text can ask, it cannot forbid: a forbidden name, and what would bring it along, is left out of the texts. That makes it
less likely to be heard and promises nothing. A patient who must not hear an instrument is safe with the composer only.
"""

import heapq
import math
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Preference

MAX_PROMPTS = 4  # that are blended at one point of the plane

_WIDTH = 0.2  # of the kernel, in units of the plane: less than half the distance of neighbouring anchors
_MOST_INSTRUMENTS = 4  # that somebody asked for; more of them, and the text encoder would cut the text short
_USUAL_INSTRUMENTS = 3  # that an anchor brings along
_MOST_STYLES = 2
_NAME_LETTERS = 40


@dataclass(frozen=True, slots=True)
class WeightedPrompt:
    """A text for MusicGen and its share, 0 .. 1, of what is asked for."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """Words that stand for a point of the plane. Of genres and instruments, the first that are allowed are used."""

    emotion: Emotion
    moods: tuple[str, ...]
    genres: tuple[str, ...]
    instruments: tuple[str, ...]


# The points are the means of the moods' word norms (Warriner, Kuperman & Brysbaert 2013; 1..9 brought to -1..1), moved
# by up to 0.3 so that neighbours lie evenly. But norms tell how people rate a word, not music that carries it as a tag:
# nearly all of these have a valence of 0 to 0.8 and an arousal of -0.5 to 0.3. Where music is so plainly elsewhere that
# a point was moved further, a comment gives the norm and the reason.
ANCHORS = (
    # Norm (0.36, 0.30). To read "party" excites nobody; the music is made to dance to.
    Anchor(
        Emotion(0.65, 0.9),
        ("energetic", "party", "fast"),
        ("dance", "pop"),
        ("synthesizer", "drums", "bass", "electric guitar"),
    ),
    Anchor(
        Emotion(0.8, 0.4),
        ("happy", "upbeat", "fun"),
        ("pop", "folk"),
        ("acoustic guitar", "piano", "drums", "bass"),
    ),
    Anchor(
        Emotion(0.65, 0.0),
        ("hopeful", "uplifting", "romantic"),
        ("instrumental pop", "classical"),
        ("piano", "strings", "acoustic guitar", "violin"),
    ),
    Anchor(
        Emotion(0.45, 0.25),
        ("inspiring", "motivational", "positive"),
        ("pop rock", "electronic"),
        ("electric guitar", "piano", "drums", "strings"),
    ),
    Anchor(
        Emotion(0.5, -0.4),
        ("relaxing", "calm", "soft"),
        ("ambient", "new age"),
        ("piano", "strings", "acoustic guitar", "synthesizer"),
    ),
    Anchor(
        Emotion(0.4, -0.85),
        ("meditative", "calm", "slow"),
        ("new age", "ambient"),
        ("synthesizer", "harp", "flute", "piano"),
    ),
    Anchor(
        Emotion(0.0, 0.0),
        ("melodic", "background"),
        ("easy listening", "lounge"),
        ("electric piano", "guitar", "bass", "strings"),
    ),
    # Norm (0.07, -0.36). A soundscape is rated as a view (0.34, -0.29); as music it has no beat and no tune to please.
    Anchor(
        Emotion(-0.2, -0.7),
        ("deep", "slow", "soundscape"),
        ("atmospheric", "downtempo"),
        ("synthesizer", "electric piano", "bass", "strings"),
    ),
    # Norm (-0.32, -0.38). Dark is rated as of hair or chocolate (0.02, -0.23); dark music is low and in minor. Sad is
    # rated as a blow that one takes (arousal -0.38); slow, sparse music with this tag is what is left afterwards.
    Anchor(
        Emotion(-0.8, -0.8),
        ("sad", "slow", "dark"),
        ("ambient", "classical"),
        ("piano", "cello", "synthesizer", "strings"),
    ),
    Anchor(
        Emotion(-0.6, -0.3),
        ("sad", "melancholic", "emotional"),
        ("classical", "soundtrack"),
        ("piano", "violin", "strings", "acoustic guitar"),
    ),
    # Norm (0.13, -0.02). Film is rated as an evening out (0.33, -0.23); with dark and dramatic it is for suspense.
    Anchor(
        Emotion(-0.5, 0.3),
        ("dark", "dramatic", "film"),
        ("soundtrack", "orchestral"),
        ("strings", "synthesizer", "percussion", "piano"),
    ),
    # Norm (-0.04, 0.14). Heavy is rated as of a load (arousal -0.34); of music it means loud, distorted and driven.
    Anchor(
        Emotion(-0.5, 0.9),
        ("heavy", "dramatic", "fast"),
        ("rock", "metal"),
        ("electric guitar", "drums", "bass", "strings"),
    ),
    # Norm (0.39, 0.12). Epic is rated as a long tale (0.55, -0.05); epic music is made for battles: loud, not merry.
    Anchor(
        Emotion(-0.05, 0.7),
        ("epic", "powerful", "action"),
        ("orchestral", "soundtrack"),
        ("strings", "drums", "brass", "electric guitar"),
    ),
)

# How a name is put into words, where the name alone would not be understood.
_SPOKEN = {
    "tremolo": "tremolo strings",
    "pizzicato": "pizzicato strings",
    "pad": "synthesizer pad",
    "horn": "french horn",
}
# What would bring a forbidden instrument along under another name.
_BRINGS = {
    "percussion": ("drums",),
    "pad": ("synthesizer",),
    "violins": ("strings",),
    "strings": ("violin",),
    "horn": ("brass",),
}
_GLUE = frozenset({"music", "with", "and"})


def closeness(emotion: Emotion, place: Emotion, width: float) -> float:
    """A Gaussian of the distance: 1 at the place, 0.61 at a distance of `width`, never 0."""
    return math.exp(-0.5 * (emotion.distance(place) / width) ** 2)


def blend(emotion: Emotion, instruments: Preference, style: Preference) -> tuple[WeightedPrompt, ...]:
    """What to ask for at an emotion: at most `MAX_PROMPTS` texts; their weights are positive and sum to 1.

    The weights move continuously with the emotion, so a prompt enters and leaves at a weight of 0. What is preferred
    takes the place of what the anchors would bring along; what is forbidden does not occur in any text.
    """
    shares = zip(texts(instruments, style), _shares(emotion), strict=True)
    return tuple(WeightedPrompt(text, share) for text, share in shares if share > 0)


def texts(instruments: Preference, style: Preference) -> tuple[str, ...]:
    """All texts that `blend` gives under these preferences, one for each of `ANCHORS`."""
    forbidden = tuple(_forbidden((*instruments.forbid, *style.forbid)))
    wished = _allowed(map(_spoken, instruments.prefer), forbidden)[:_MOST_INSTRUMENTS]
    styles = _allowed(map(_spoken, style.prefer), forbidden)[:_MOST_STYLES]
    return tuple(_text(anchor, wished, styles, forbidden) for anchor in ANCHORS)


def _shares(emotion: Emotion) -> list[float]:
    """A share for each anchor. Taking the next closeness off the closest few lets each of them fade out at 0."""
    near = [closeness(emotion, anchor.emotion, _WIDTH) for anchor in ANCHORS]
    floor = heapq.nlargest(MAX_PROMPTS + 1, near)[-1]
    above = [max(0.0, value - floor) for value in near]
    total = sum(above)
    return [value / total for value in above]


def _text(
    anchor: Anchor, wished: tuple[str, ...], styles: tuple[str, ...], forbidden: tuple[frozenset[str], ...]
) -> str:
    moods = ", ".join(_allowed(anchor.moods, forbidden))
    genres = " and ".join(styles or _allowed(anchor.genres, forbidden)[:1])
    text = " ".join(part for part in (moods, genres, "music") if part)
    players = wished or _allowed(anchor.instruments, forbidden)[:_USUAL_INSTRUMENTS]
    if not players:
        return text
    first, last = ", ".join(players[:-1]), players[-1]
    return f"{text} with {first} and {last}" if first else f"{text} with {last}"


def _spoken(name: str) -> str:
    return _SPOKEN.get(name) or textwrap.shorten(name, _NAME_LETTERS, placeholder="")


def _allowed(phrases: Iterable[str], forbidden: tuple[frozenset[str], ...]) -> tuple[str, ...]:
    """The phrases, each once, in which no forbidden name occurs."""
    distinct = dict.fromkeys(filter(_words, phrases))
    return tuple(phrase for phrase in distinct if not any(name <= _words(phrase) for name in forbidden))


def _forbidden(names: Iterable[str]) -> Iterable[frozenset[str]]:
    for name in names:
        yield from filter(None, map(_words, (name, *_BRINGS.get(name, ()))))


def _words(phrase: str) -> frozenset[str]:
    """The words that matter, one violin being the same as several."""
    return frozenset(word.removesuffix("s") for word in re.findall(r"\w+", phrase.lower())) - _GLUE
