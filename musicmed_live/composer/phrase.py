"""Phrases: what four bars have in common, decided where a phrase begins."""

from dataclasses import dataclass
from random import Random

from musicmed_live.composer.expression import ramp
from musicmed_live.composer.form import opens_section, phrase_progression, phrase_scale
from musicmed_live.composer.harmony import Progression, Scale
from musicmed_live.composer.orchestration import Cast, choose_cast
from musicmed_live.composer.preferences import Ensemble
from musicmed_live.core.emotion import Emotion


@dataclass(frozen=True, slots=True)
class Phrase:
    """What four bars have in common."""

    number: int  # from the beginning of the session
    emotion: Emotion  # for which it was begun
    ensemble: Ensemble
    scale: Scale
    progression: Progression
    cast: Cast
    melody_rests: bool
    counter_sings: bool


def begin_phrase(seed: int, number: int, emotion: Emotion, ensemble: Ensemble, cast: Cast | None) -> Phrase:
    """Begin a phrase (counted from 0) in this emotion. Soloists of `cast` who are at home in it stay."""
    rng = Random(f"{seed}:{number}:phrase")
    scale = phrase_scale(seed, number, emotion)
    chosen = choose_cast(ensemble, emotion, cast, Random(f"{seed}:{number}:cast"))
    rests = ramp(emotion.arousal, 0.4, -0.4) * 0.35
    may_rest = not opens_section(number) and chosen.figure is not None
    return Phrase(
        number,
        emotion,
        ensemble,
        scale,
        phrase_progression(seed, number, scale.mode, emotion.valence),
        chosen,
        melody_rests=rng.random() < rests and may_rest,
        counter_sings=rng.random() < 0.4,
    )
