"""The emotion of tags: complete, explained, and in the quadrant that listeners would expect."""

import csv

import pytest

from models.shards import quadrant
from models.tags import TABLE, emotion_of, point_of, points
from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.musicgen.prompts import ANCHORS

EXPECTED = {
    "pleasant-aroused": ("happy", "fun", "energetic", "party", "upbeat", "motivational", "sport", "summer", "groovy"),
    "unpleasant-aroused": ("horror", "heavy", "dramatic", "drama", "trailer"),
    "unpleasant-calm": ("sad", "melancholic", "slow", "deep", "dark"),
    "pleasant-calm": ("calm", "relaxing", "meditative", "soft", "mellow", "ambiental", "dream", "nature", "ballad"),
}


def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_59_tags_are_there_in_order() -> None:
    tags = [row["tag"] for row in rows()]
    assert len(tags) == 59
    assert tags == sorted(set(tags))


def test_what_differs_from_the_norm_has_a_reason_and_nothing_else_has() -> None:
    for row in rows():
        kept = (row["valence"], row["arousal"]) == (row["norm_valence"], row["norm_arousal"])
        assert kept == (row["reason"] == "Norm kept."), row["tag"]
        assert len(row["reason"]) >= 10, row["tag"]


@pytest.mark.parametrize(("name", "tag"), [(name, tag) for name, tags in EXPECTED.items() for tag in tags])
def test_a_tag_lies_in_the_quadrant_of_its_music(name: str, tag: str) -> None:
    point = points()[tag]
    assert quadrant(point.valence, point.arousal) == name


def test_unpleasant_music_is_no_longer_missing() -> None:
    unpleasant = [row["tag"] for row in rows() if float(row["valence"]) < 0]
    assert sum(points()[tag].arousal > 0.25 for tag in unpleasant) >= 4
    assert min(point.valence for point in points().values()) < -0.6


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [("energetic", "upbeat"), ("fast", "slow"), ("heavy", "soft"), ("epic", "melodic"), ("party", "romantic")],
)
def test_arousal_is_in_the_order_of_tempo_and_loudness(stronger: str, weaker: str) -> None:
    assert points()[stronger].arousal > points()[weaker].arousal + 0.2


@pytest.mark.parametrize("anchor", ANCHORS, ids=lambda anchor: "-".join(anchor.moods))
def test_the_words_that_the_player_asks_with_lie_near_their_places(anchor: object) -> None:
    assert isinstance(anchor, type(ANCHORS[0]))
    found = emotion_of(anchor.moods)
    assert found is not None
    assert found.distance(anchor.emotion) <= 0.51  # the anchors are spread evenly, which moves them outwards


def test_several_tags_are_their_mean() -> None:
    happy, sad = points()["happy"], points()["sad"]
    assert emotion_of(["happy", "sad", "no such tag"]) == Emotion(
        (happy.valence + sad.valence) / 2, (happy.arousal + sad.arousal) / 2
    )


def test_tags_that_say_nothing_have_no_emotion() -> None:
    assert emotion_of([]) is None
    assert emotion_of(["mp3", "favourite"]) is None


def test_mood_words_that_are_no_tags_count_too() -> None:
    assert point_of("angry") == WORDS["angry"][0]
    assert point_of("calm") != WORDS["calm"][0]  # the table goes first
