"""The texture: layers that come and go with the emotion, and are never switched."""

import math
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from musicmed_live.composer.level import predict_lufs
from musicmed_live.composer.preferences import choose_ensemble
from musicmed_live.composer.writer import Thread, write_bar
from musicmed_live.core.emotion import Emotion

EVERYBODY = choose_ensemble()
BEATS = (0, 24_000, 48_000, 72_000, 96_000)
ENSEMBLE_LAYERS = ("percussion", "timpani", "strings", "pad", "choir", "tremolo", "violins", "pizzicato")


def shares(thread: Thread, emotion: Emotion) -> defaultdict[str, float]:
    """Each instrument's amplitude within the second bar of a phrase that goes on, 0..1."""
    assert thread.phrase
    going_on = replace(thread, phrase=replace(thread.phrase, emotion=emotion))
    bar, _ = write_bar(going_on, emotion, EVERYBODY, BEATS, 120.0)
    whole = predict_lufs(bar.notes, BEATS[-1])
    names = {note.instrument for note in bar.notes}
    levels = {name: predict_lufs([n for n in bar.notes if n.instrument == name], BEATS[-1]) for name in names}
    return defaultdict(float, {name: math.pow(10, (level - whole) / 20) for name, level in levels.items()})


@pytest.mark.parametrize("seed", [1000, 1001])
@pytest.mark.parametrize("axis", ["valence", "arousal"])
@pytest.mark.parametrize("fixed", [-0.6, 0.0, 0.6])
def test_no_layer_is_switched_anywhere_in_the_plane(seed: int, axis: str, fixed: float) -> None:
    _, thread = write_bar(Thread(seed), Emotion(0, 0), EVERYBODY, BEATS, 120.0)
    path = [step / 50 - 1 for step in range(101)]
    emotions = [Emotion(x, fixed) if axis == "valence" else Emotion(fixed, x) for x in path]
    for before, after in pairwise(shares(thread, emotion) for emotion in emotions):
        for name in ENSEMBLE_LAYERS:
            assert abs(after[name] - before[name]) < 0.1


def test_each_quadrant_has_its_own_sound() -> None:
    def ensemble(valence: float, arousal: float) -> set[str]:
        thread, heard = Thread(1000), set[str]()
        for _ in range(16):
            bar, thread = write_bar(thread, Emotion(valence, arousal), EVERYBODY, BEATS, 120.0)
            heard |= {note.instrument for note in bar.notes}
        return heard

    tense, joyful, gloomy, calm = ensemble(-0.7, 0.7), ensemble(0.7, 0.7), ensemble(-0.7, -0.7), ensemble(0.7, -0.7)
    assert {"tremolo", "timpani"} <= tense
    assert {"percussion", "violins"} <= joyful
    assert not {"tremolo", "timpani"} & joyful
    assert "choir" in gloomy
    assert "pad" in calm
    assert not {"percussion", "tremolo", "timpani"} & (calm | gloomy)
