"""Chords: in the scale, led smoothly, bright where the emotion is pleasant."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.composer.harmony import (
    MODES,
    PROGRESSIONS,
    Scale,
    build_chord,
    choose_mode,
    choose_progression,
    lead_voices,
    majorness,
)
from musicmed_live.core.emotion import Emotion

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
scales = st.builds(Scale, st.integers(0, 11), st.sampled_from(sorted(MODES)))
seeds = st.integers(0, 1000)


@pytest.mark.parametrize(
    ("valence", "mode"), [(-0.6, "aeolian"), (-0.13, "dorian"), (0.08, "mixolydian"), (0.9, "ionian")]
)
def test_the_mode_brightens_with_valence(valence: float, mode: str) -> None:
    modes = [choose_mode(Emotion(valence, 0.5), Random(seed)) for seed in range(40)]
    assert modes.count(mode) > 25


def test_pleasant_progressions_have_more_major_chords() -> None:
    def mean(valence: float) -> float:
        chosen = [choose_progression("ionian", valence, Random(seed)) for seed in range(200)]
        return sum(majorness("ionian", one) for one in chosen) / len(chosen)

    assert mean(0.9) > mean(0.2) + 0.05


@given(scales, st.integers(0, 6), emotions, seeds)
def test_a_chord_has_three_or_four_different_tones_and_its_own_root(
    scale: Scale, degree: int, emotion: Emotion, seed: int
) -> None:
    chord = build_chord(scale, degree, emotion, Random(seed))
    assert chord.root == scale.pitch_classes[degree]
    assert len(set(chord.tones)) == len(chord.tones)
    assert 3 <= len(chord.tones) <= 4


@given(scales, st.integers(0, 6), st.builds(Emotion, st.floats(0.1, 1), coordinates), seeds)
def test_pleasant_chords_keep_to_the_scale(scale: Scale, degree: int, emotion: Emotion, seed: int) -> None:
    chord = build_chord(Scale(scale.tonic, "ionian"), degree, emotion, Random(seed))
    assert set(chord.tones) <= set(Scale(scale.tonic, "ionian").pitch_classes)


@given(scales, st.integers(0, 6), st.integers(0, 6), emotions, seeds)
def test_voices_move_little_and_sound_the_whole_chord(
    scale: Scale, degree: int, following: int, emotion: Emotion, seed: int
) -> None:
    first = lead_voices(build_chord(scale, degree, emotion, Random(seed)), (), emotion)
    chord = build_chord(scale, following, emotion, Random(seed))
    second = lead_voices(chord, first, emotion)
    assert {key % 12 for key in second} == set(chord.tones)
    assert list(second) == sorted(set(second))
    assert all(min(abs(key - old) for old in first) <= 7 for key in second)


def test_every_mode_names_progressions_of_four_of_its_degrees() -> None:
    assert set(PROGRESSIONS) == set(MODES)
    assert all(len(one) == 4 and set(one) <= set(range(7)) for all_of in PROGRESSIONS.values() for one in all_of)
