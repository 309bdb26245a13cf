"""Form: phrases of four bars in a rondo, AABA CABA DAEA, in which the theme A keeps coming back.

Everything that a theme is made of is drawn from the session's seed and the theme's label. So a theme that returns,
or that returns after a rewind, is the same theme, and nothing needs to be remembered for it.
"""

from random import Random

from musicmed_live.composer.harmony import Progression, Scale, choose_mode, choose_progression
from musicmed_live.core.emotion import Emotion

RONDO = "AABACABADAEA"
BARS_PER_PHRASE = 4

_TONICS = (0, 2, 3, 5, 7, 9)
_MODULATIONS = (5, 7)  # semitones up: to the subdominant's or the dominant's key


def theme_label(phrase: int) -> str:
    """The label of the theme of a phrase (counted from 0): "A" for ever, episodes anew in each rondo: "B0", "B1"."""
    cycle, place = divmod(phrase, len(RONDO))
    return "A" if RONDO[place] == "A" else f"{RONDO[place]}{cycle}"


def is_answer(phrase: int) -> bool:
    """Phrases come in pairs: a question, which stays open, and an answer, which closes on the tonic."""
    return phrase % 2 == 1


def opens_section(phrase: int) -> bool:
    """Whether a phrase begins one of the groups AABA, CABA, DAEA."""
    return phrase % 4 == 0


def tonic(seed: int, phrase: int) -> int:
    """The tonic's pitch class: each rondo moves to a neighbouring key."""
    rng = Random(f"{seed}:tonic")
    pitch_class = rng.choice(_TONICS)
    for _ in range(phrase // len(RONDO)):
        pitch_class += rng.choice(_MODULATIONS)
    return pitch_class % 12


def phrase_scale(seed: int, phrase: int, emotion: Emotion) -> Scale:
    """Key and mode of a phrase. A theme that returns in the same emotion returns in the same mode."""
    rng = Random(f"{seed}:{theme_label(phrase)}:mode")
    return Scale(tonic(seed, phrase), choose_mode(emotion, rng))


def phrase_progression(seed: int, phrase: int, mode: str, valence: float) -> Progression:
    """The theme's chords in this mode, opened for a question or closed on the tonic for an answer.

    Each rondo gives the theme A other chords, so that it stays fresh over a long session.
    """
    rng = Random(f"{seed}:{theme_label(phrase)}:{phrase // len(RONDO)}:{mode}:progression")
    first, second, third, fourth = choose_progression(mode, valence, rng)
    dominant = Scale(0, mode).dominant
    if is_answer(phrase):
        return first, second, third if third != 0 else dominant, 0
    return first, second, third, fourth if fourth != 0 else dominant
