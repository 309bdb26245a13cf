"""What MusicGen is asked for follows the emotion without a jump, and keeps out what is forbidden."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.preferences import STYLES
from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.generator import Preference
from musicmed_live.musicgen.prompts import ANCHORS, MAX_PROMPTS, Anchor, blend, texts

FREE = Preference()
STEEPEST = 12.0  # how much the weights change in all, per unit of the plane

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)


def names(known: dict[str, object]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(sorted(known)), unique=True).map(tuple)


def preferences(known: dict[str, object]) -> st.SearchStrategy[Preference]:
    return st.builds(Preference, names(known), names(known))


def weights(emotion: Emotion) -> dict[str, float]:
    return {prompt.text: prompt.weight for prompt in blend(emotion, FREE, FREE)}


def change(one: dict[str, float], other: dict[str, float]) -> float:
    return sum(abs(one.get(text, 0.0) - other.get(text, 0.0)) for text in one | other)


@given(emotions)
def test_at_most_a_few_prompts_share_the_whole(emotion: Emotion) -> None:
    shares = weights(emotion)
    assert 1 <= len(shares) <= MAX_PROMPTS
    assert all(share > 0 for share in shares.values())
    assert sum(shares.values()) == pytest.approx(1)


@given(emotions, emotions, st.floats(0, 0.05))
def test_a_small_move_changes_the_weights_a_little(emotion: Emotion, towards: Emotion, share: float) -> None:
    moved = emotion.blend(towards, share)
    assert change(weights(emotion), weights(moved)) <= STEEPEST * emotion.distance(moved) + 1e-9


@pytest.mark.parametrize("anchor", ANCHORS, ids=lambda anchor: anchor.moods[0])
def test_at_an_anchor_its_own_words_dominate(anchor: Anchor) -> None:
    text, share = max(weights(anchor.emotion).items(), key=lambda item: item[1])
    assert text.startswith(", ".join(anchor.moods))
    assert share > 0.6


@pytest.mark.parametrize(
    ("word", "mood"),
    [
        ("calm", "calm"),
        ("relaxed", "relaxing"),
        ("happy", "happy"),
        ("sad", "sad"),
        ("gloomy", "sad"),
        ("tense", "dark"),
        ("angry", "dramatic"),
        ("excited", "energetic"),
        ("neutral", "background"),
    ],
)
def test_a_mood_is_asked_for_in_its_own_words(word: str, mood: str) -> None:
    text, _ = max(weights(WORDS[word][0]).items(), key=lambda item: item[1])
    assert mood in text


def test_a_text_names_moods_a_genre_and_instruments() -> None:
    assert "relaxing, calm, soft ambient music with piano, strings and acoustic guitar" in texts(FREE, FREE)


def test_wishes_take_the_place_of_what_is_usual() -> None:
    for text in texts(Preference(prefer=("harp", "pad")), Preference(prefer=("folk",))):
        assert text.endswith(" folk music with harp and synthesizer pad")


def test_names_that_nobody_knows_are_passed_on_as_words() -> None:
    assert all(text.endswith(" with theremin") for text in texts(Preference(prefer=("theremin",)), FREE))


@given(preferences(dict(INSTRUMENTS)), preferences(dict(STYLES)))
def test_what_is_forbidden_is_never_named(instruments: Preference, style: Preference) -> None:
    for text in texts(instruments, style):
        for name in (*instruments.forbid, *style.forbid):
            assert not re.search(rf"\b{name}s?\b", text)


@pytest.mark.parametrize(
    ("forbidden", "kept_out"),
    [
        ("guitar", "guitar"),
        ("percussion", "drums"),
        ("violins", "strings"),
        ("piano", "electric piano"),
        ("Dark", "dark"),
    ],
)
def test_what_would_bring_it_along_is_not_named_either(forbidden: str, kept_out: str) -> None:
    assert any(kept_out in text for text in texts(FREE, FREE))
    assert not any(kept_out in text for text in texts(Preference(forbid=(forbidden,)), FREE))


def test_what_is_both_wished_for_and_forbidden_is_forbidden() -> None:
    both = Preference(prefer=("piano", "cello"), forbid=("piano",))
    assert all(text.endswith(" with cello") for text in texts(both, FREE))


def test_with_everything_forbidden_there_is_still_something_to_say() -> None:
    everything = {word for anchor in ANCHORS for word in (*anchor.moods, *anchor.genres, *anchor.instruments)}
    assert set(texts(Preference(forbid=tuple(everything)), FREE)) == {"music"}


def test_a_forbidden_name_without_a_word_in_it_forbids_nothing() -> None:
    assert texts(Preference(forbid=("", "!?", "music")), FREE) == texts(FREE, FREE)


def test_endless_preferences_make_no_endless_text() -> None:
    wishes = Preference(prefer=("x" * 10_000, *(f"{number} " + "kazoo " * 2000 for number in range(100))))
    for text in texts(wishes, wishes):
        assert len(text) < 400
        assert "kazoo" in text
