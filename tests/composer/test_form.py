"""Form: questions and answers, in a rondo whose theme returns."""

from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.composer.form import RONDO, is_answer, phrase_progression, phrase_scale, theme_label, tonic
from musicmed_live.composer.harmony import MODES, Scale
from musicmed_live.core.emotion import Emotion

seeds = st.integers(0, 2**63 - 1)
phrases = st.integers(0, 100)
modes = st.sampled_from(sorted(MODES))
valences = st.floats(-1, 1)


@given(seeds, phrases, modes, valences)
def test_answers_close_on_the_tonic_and_questions_stay_open(seed: int, phrase: int, mode: str, valence: float) -> None:
    progression = phrase_progression(seed, phrase, mode, valence)
    assert (progression[3] == 0) == is_answer(phrase)
    if is_answer(phrase):
        assert progression[2] != 0


@given(seeds, modes, valences)
def test_the_theme_returns_with_its_chords_within_a_rondo(seed: int, mode: str, valence: float) -> None:
    returns = [phrase for phrase in range(len(RONDO)) if theme_label(phrase) == "A" and is_answer(phrase)]
    first_halves = {phrase_progression(seed, phrase, mode, valence)[:2] for phrase in returns}
    assert len(first_halves) == 1


def test_the_chords_of_the_theme_change_over_a_long_session() -> None:
    progressions = {phrase_progression(1000, rondo * len(RONDO), "ionian", 0.5) for rondo in range(8)}
    assert len(progressions) > 2


@given(seeds, phrases)
def test_neighbouring_keys_follow_each_other(seed: int, phrase: int) -> None:
    step = (tonic(seed, phrase + 1) - tonic(seed, phrase)) % 12
    assert step == 0 or (step in (5, 7) and (phrase + 1) % len(RONDO) == 0)


@given(seeds, phrases, valences, st.floats(-1, 1))
def test_a_phrase_has_the_same_scale_whenever_it_is_asked_for(
    seed: int, phrase: int, valence: float, arousal: float
) -> None:
    emotion = Emotion(valence, arousal)
    scale = phrase_scale(seed, phrase, emotion)
    assert scale == phrase_scale(seed, phrase, emotion)
    assert scale == Scale(tonic(seed, phrase), scale.mode)
