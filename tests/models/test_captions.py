"""Captions: the words of the player, several ways to say them, nothing that nobody said."""

import re

from hypothesis import given
from hypothesis import strategies as st

from models.captions import captions
from models.tracks import Track
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Preference
from musicmed_live.musicgen.prompts import ANCHORS, texts

MOODS = ("calm", "dark", "epic", "happy")
GENRES = ("ambient", "classical", "instrumental pop")
INSTRUMENTS = ("piano", "harp", "electric guitar", "flute")


def track(
    moods: tuple[str, ...] = (),
    genres: tuple[str, ...] = (),
    instruments: tuple[str, ...] = (),
    emotion: Emotion | None = None,
) -> Track:
    return Track("t", "t.mp3", "train", emotion, moods, instruments, genres)


def test_one_mood_genre_and_instrument_in_five_phrasings() -> None:
    found = captions(track(("epic",), ("orchestral",), ("strings",)), "t-0")
    assert [text.replace("track", "piece") for text in found] == [
        "epic orchestral music with strings",
        "an epic piece of orchestral music with strings",
        "orchestral music played by strings that sounds epic",
        "epic music",
        "orchestral music with strings",
    ]


def test_the_first_phrasing_is_the_players_own() -> None:
    anchor = ANCHORS[0]
    asked = texts(Preference(anchor.instruments[:2]), Preference(anchor.genres[:1]))[0]
    found = {captions(track(anchor.moods, anchor.genres[:1], anchor.instruments[:2]), f"t-{i}")[0] for i in range(200)}
    assert asked in found


@given(
    moods=st.lists(st.sampled_from(MOODS), unique=True),
    genres=st.lists(st.sampled_from(GENRES), unique=True),
    instruments=st.lists(st.sampled_from(INSTRUMENTS), unique=True),
    segment=st.text(),
)
def test_captions_name_what_is_tagged_and_nothing_else(
    moods: list[str], genres: list[str], instruments: list[str], segment: str
) -> None:
    tagged = track(tuple(moods), tuple(genres), tuple(instruments))
    found = captions(tagged, segment)

    assert bool(found) == bool(moods or genres or instruments)
    assert len(set(found)) == len(found)
    assert found == captions(tagged, segment)
    for text in found:
        assert not re.search(r"  |^ | $|, ,|\bwith$|\bof$|\bby$", text)
        assert not any(name in text for name in {*MOODS, *GENRES, *INSTRUMENTS} - {*moods, *genres, *instruments})
    assert not moods or any(not any(mood in text for mood in moods) for text in found) == bool(genres or instruments)


def test_segments_of_a_track_differ_in_what_they_name() -> None:
    tagged = track(MOODS, GENRES, INSTRUMENTS)
    assert len({captions(tagged, f"t-{i}")[0] for i in range(8)}) > 4


def test_a_point_of_the_plane_gets_the_words_of_the_nearest_anchor() -> None:
    found = captions(track(emotion=Emotion(-0.5, 0.85)), "t-0")
    assert sorted(found[0].removesuffix(" music").split(", ")) == ["dramatic", "fast", "heavy"]


def test_nothing_known_nothing_said() -> None:
    assert captions(track(), "t-0") == ()
