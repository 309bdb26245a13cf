"""Melodies: singable, breathing, and recognisable at every density."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.composer.harmony import Chord, Scale
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.melody import Line, Sung, sing, theme
from musicmed_live.core.emotion import Emotion

seeds = st.integers(0, 10_000)
arousals = st.floats(-1, 1)
C_MAJOR = Scale(0, "ionian")
TONIC = Chord(0, (0, 4, 7))


def sing_phrase(seed: int, arousal: float, closes: bool = True) -> list[list[Sung]]:
    """The four bars of the theme A on a flute, over the tonic chord."""
    line = Line(INSTRUMENTS["flute"], 76, C_MAJOR, (TONIC,), Emotion(0.5, arousal))
    bars: list[list[Sung]] = []
    last_key = None
    for bar in range(4):
        bars.append(sing(theme(seed, "A"), bar, line, last_key, closes, Random(f"{seed}:{bar}")))
        last_key = bars[-1][-1].key
    return bars


@given(seeds, arousals)
def test_notes_follow_each_other_within_the_bar(seed: int, arousal: float) -> None:
    for bar in sing_phrase(seed, arousal):
        assert bar[0].beat == 0
        assert all(first.beat < second.beat for first, second in pairwise(bar))
        assert all(one.beats > 0 for one in bar)
        assert bar[-1].beat < 4


@given(seeds, arousals)
def test_melodies_never_leap_beyond_an_octave(seed: int, arousal: float) -> None:
    assert max(leaps(seed, arousal), default=0) <= 12


def test_melodies_move_mostly_by_small_intervals() -> None:
    for arousal in (-0.8, 0.0, 0.8):
        moves = sorted(leap for seed in range(100) for leap in leaps(seed, arousal))
        assert moves[len(moves) // 2] <= 4
        assert moves[len(moves) * 9 // 10] <= 8


def leaps(seed: int, arousal: float) -> list[int]:
    """Semitones between successive notes of the phrase."""
    sung = [one.key for bar in sing_phrase(seed, arousal) for one in bar]
    return [abs(second - first) for first, second in pairwise(sung)]


@given(seeds, arousals)
def test_strong_beats_are_chord_tones_and_all_notes_are_in_the_scale(seed: int, arousal: float) -> None:
    for bar in sing_phrase(seed, arousal):
        assert all(one.key % 12 in TONIC.tones for one in bar if one.beat in (0, 2))
        assert all(one.key % 12 in C_MAJOR.pitch_classes for one in bar)


@given(seeds, arousals)
def test_an_answer_ends_on_the_tonic_and_breathes(seed: int, arousal: float) -> None:
    last_bar = sing_phrase(seed, arousal)[-1]
    assert last_bar[-1].key % 12 == 0
    assert last_bar[-1].beat <= 3


def test_the_notes_of_a_calm_theme_are_kept_when_it_grows_livelier() -> None:
    kept, calm_notes = 0, 0
    for seed in range(100):
        calm, lively = ({(bar, one.beat) for bar, sung in enumerate(sing_phrase(seed, arousal)) for one in sung}
                        for arousal in (-0.6, 0.2))  # fmt: skip
        calm_notes += len(calm)
        kept += len(calm & lively)
        assert len(lively) >= len(calm)
    assert kept > 0.95 * calm_notes


def test_themes_of_different_labels_and_seeds_differ() -> None:
    assert len({theme(seed, label) for seed in range(20) for label in ("A", "B0", "C0")}) == 60
