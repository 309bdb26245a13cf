"""Bounds: what a therapist allows, read from outside, and held against what is asked for and what is made."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core import messages
from musicmed_live.core.bounds import Bounds, Region, bounds_object, parse_bounds
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Block, ClipRequest, Cue, Preference
from musicmed_live.errors import InvalidInput

coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
sides = st.tuples(st.floats(-1, 0.9), st.floats(0.1, 2)).map(lambda drawn: (drawn[0], min(1.0, drawn[0] + drawn[1])))
regions = st.builds(Region, sides, sides)
CALM = Emotion(0.6, -0.4)


def block(tempo_bpm: float = 80.0, instruments: tuple[str, ...] = ("harp", "piano")) -> Block:
    return Block(0, np.zeros((10, 2), np.float32), Cue.BAR, tempo_bpm, "C ionian", instruments)


@given(regions, emotions, emotions)
def test_the_nearest_point_lies_in_the_region_and_no_other_of_it_is_nearer(
    region: Region, emotion: Emotion, other: Emotion
) -> None:
    nearest = region.nearest(emotion)
    assert region.holds(nearest)
    assert region.valence[0] <= nearest.valence <= region.valence[1]
    assert region.arousal[0] <= nearest.arousal <= region.arousal[1]
    assert nearest.distance(emotion) <= region.nearest(other).distance(emotion) + 1e-12
    assert region.holds(emotion) == (nearest == emotion)


def test_without_bounds_everything_is_allowed() -> None:
    assert Bounds().broken_by(block()) is None
    assert Bounds().broken_by(block(0.0, ())) is None
    assert Bounds().covers(ClipRequest(0, 48_000, CALM, CALM))


@pytest.mark.parametrize(
    ("bounds", "made", "says"),
    [
        (Bounds(tempo_bpm=(50, 70)), block(70.4), "its tempo is 70.40 BPM, not 50 to 70"),
        (Bounds(tempo_bpm=(50, 70)), block(49.9), "its tempo is 49.90 BPM"),
        (Bounds(tempo_bpm=(50, 70)), block(0.0, ()), "nobody knows its tempo"),
        (Bounds(forbid=("piano",)), block(), "piano must not be heard"),
        (Bounds(forbid=("choir",)), block(0.0, ()), "nobody knows what plays in it"),
    ],
)
def test_a_broken_bound_is_told_in_one_sentence(bounds: Bounds, made: Block, says: str) -> None:
    told = bounds.broken_by(made)
    assert told is not None
    assert told.startswith(says)


def test_a_block_at_the_very_limit_is_allowed_and_so_is_a_rest() -> None:
    assert Bounds(tempo_bpm=(50, 80)).broken_by(block(80.0 + 1e-9)) is None
    assert Bounds(forbid=("choir",)).broken_by(block(instruments=())) is None


@pytest.mark.parametrize(
    ("bounds", "covered"),
    [
        (Bounds(tempo_bpm=(50, 80), forbid=("choir",)), True),
        (Bounds(tempo_bpm=(40, 90)), True),
        (Bounds(tempo_bpm=(55, 80)), False),
        (Bounds(tempo_bpm=(50, 75)), False),
        (Bounds(forbid=("choir", "harp")), False),
        (Bounds(Region((0.5, 1), (-1, 0))), True),
        (Bounds(Region((0.7, 1), (-1, 0))), False),
    ],
)
def test_a_clip_is_covered_where_it_was_asked_to_keep_as_much(bounds: Bounds, covered: bool) -> None:
    request = ClipRequest(0, 48_000, CALM, CALM, Preference(forbid=("choir", "pad")), tempo_bpm=(50, 80))
    assert bounds.covers(request) is covered


def test_a_clip_that_was_asked_for_freely_covers_no_limits() -> None:
    assert not Bounds(tempo_bpm=(40, 180)).covers(ClipRequest(0, 48_000, CALM, CALM))


def test_loudness_is_not_the_composers_concern() -> None:
    assert Bounds(loudest_lufs=-30, loudest_dba=60, forbid=("choir",)).composed == Bounds(forbid=("choir",))


def test_only_what_is_named_changes() -> None:
    bounds = Bounds(tempo_bpm=(50, 80), forbid=("choir",), generator="composer")
    changed = bounds.changed(parse_bounds({"tempo_bpm": None, "region": {"valence": [-1, 1], "arousal": [-1, 0.2]}}))
    assert changed == Bounds(Region(arousal=(-1, 0.2)), None, forbid=("choir",), generator="composer")


@given(
    regions,
    st.none() | st.tuples(st.floats(40, 144), st.just(1.25)).map(lambda drawn: (drawn[0], drawn[0] * drawn[1])),
    st.none() | st.floats(-45, -14),
    st.lists(st.sampled_from(["choir", "harp", "pad"]), unique=True),
    st.sampled_from([None, "composer", "musicgen"]),
)
def test_bounds_come_back_from_json_as_they_were(
    region: Region, tempo_bpm: Any, lufs: float | None, forbid: list[str], generator: str | None
) -> None:
    bounds = Bounds(region, tempo_bpm, lufs, None, tuple(forbid), generator)
    assert Bounds().changed(parse_bounds(json.loads(json.dumps(bounds_object(bounds))))) == bounds


@pytest.mark.parametrize(
    ("field", "value", "way_out"),
    [
        ("region", 3, "valence"),
        ("region", {"joy": [0, 1]}, "accepted: valence, arousal"),
        ("region.valence", [0.5], "[lowest, highest] within -1 to 1"),
        ("region.valence", [0.5, 0.4], "[lowest, highest]"),
        ("region.valence", [0.5, "x"], "[lowest, highest]"),
        ("region.valence", [-1.5, 0], "within -1 to 1"),
        ("region.arousal", [0, 0.05], "at least 0.1"),
        ("region.arousal", [0, float("nan")], "[lowest, highest]"),
        ("tempo_bpm", [39, 80], "within 40 to 180"),
        ("tempo_bpm", [60, 70], "1.25 times"),
        ("tempo_bpm", [60, 1e400], "[lowest, highest]"),
        ("tempo_bpm", [60, 10**400], "[lowest, highest]"),
        ("tempo_bpm", [60, 80, 90], "[lowest, highest]"),
        ("tempo_bpm", 60, "[lowest, highest]"),
        ("loudest_lufs", -13, "from -45 to -14 LUFS, or null"),
        ("loudest_lufs", True, "a number"),
        ("loudest_dba", 86, "from 30 to 85 dB(A), or null"),
        ("forbid", "choir", "list of names"),
        ("forbid", ["choir", 3], "list of names"),
        ("forbid", ["x"] * 65, "list of names"),
        ("generator", "suno", "composer, musicgen, or null"),
        ("generator", ["composer"], "composer, musicgen, or null"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_field_and_the_way_out(field: str, value: Any, way_out: str) -> None:
    key, _, part = field.partition(".")
    with pytest.raises(InvalidInput) as refused:
        parse_bounds({key: {"valence": [-1, 1], "arousal": [-1, 1], part: value} if part else value})
    fault = refused.value
    assert fault.field == field
    assert way_out in fault.message
    assert len(json.dumps(messages.error(fault))) < 400


@pytest.mark.parametrize("side", ["valence", "arousal"])
def test_a_region_names_both_sides_so_that_none_is_opened_by_leaving_it_out(side: str) -> None:
    with pytest.raises(InvalidInput, match="null is not") as refused:
        parse_bounds({"region": {side: [0, 0.5]}})
    assert refused.value.field == f"region.{'arousal' if side == 'valence' else 'valence'}"
