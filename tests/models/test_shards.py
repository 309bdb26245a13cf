"""Token shards: whole or not at all, gone on with, and nothing but tokens in them."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.shards import (
    PREPARED,
    QUADRANTS,
    UNKNOWN,
    Codec,
    Segment,
    ShardWriter,
    each_segment,
    open_split,
    quadrant,
    read_prepared,
)
from musicmed_live.errors import CannotServe, InvalidInput

CODEC = Codec("ab" * 32, 50, 4, 2048)
ORIGIN = {"source": "a test", "seed": 1}


def segment(name: str = "a", frames: int = 20, **changed: Any) -> Segment:
    codes = np.random.default_rng(len(name) + frames).integers(0, 2048, (4, frames)).astype(np.int16)
    values: dict[str, Any] = {
        **{"id": name, "track": "t", "start_seconds": 30.0, "codes": codes, "valence": -0.5, "arousal": 0.5},
        **{
            "moods": ("dark",),
            "instruments": ("piano",),
            "captions": ("dark music", "music, dark"),
            "licence": "CC BY 3.0",
        },
    }
    return Segment(**values | changed)


def writer(folder: Path, codec: Codec = CODEC, origin: dict[str, Any] | None = None) -> ShardWriter:
    return ShardWriter(folder, codec, 30.0, origin or ORIGIN)


@settings(max_examples=20, deadline=None)
@given(
    frames=st.lists(st.integers(1, 50), min_size=1, max_size=5),
    at=st.none() | st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    words=st.lists(st.text(max_size=20), max_size=3),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    frames: list[int],
    at: tuple[float, float] | None,
    words: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    valence, arousal = at or (None, None)
    given = [segment(str(i), n, valence=valence, arousal=arousal, genres=tuple(words)) for i, n in enumerate(frames)]
    writer(folder).write("train", 0, given)

    found = list(each_segment(open_split(folder, "train")))

    assert [repr(one) for one in found] == [repr(one) for one in given]
    assert all(np.array_equal(one.codes, other.codes) for one, other in zip(found, given, strict=True))


def test_shards_are_read_in_order_and_added_up(tmp_path: Path) -> None:
    shards = writer(tmp_path)
    shards.write("train", 1, [segment("b"), segment("c", valence=None, arousal=None)], {"x.mp3": "silent"})
    shards.write("train", 0, [segment("a", frames=30)])
    shards.write("test", 0, [segment("d", valence=0.5)])
    prepared = shards.finish()

    assert open_split(tmp_path, "train")["id"][:] == ["a", "b", "c"]
    assert prepared == read_prepared(tmp_path)
    assert prepared.complete
    train = prepared.splits["train"]
    assert (train.shards, train.segments, train.seconds) == (2, 3, 1.4)
    assert train.quadrants == {"unpleasant-aroused": 2, UNKNOWN: 1}
    assert train.licences == {"CC BY 3.0": 3}
    assert train.skipped == {"x.mp3": "silent"}
    assert prepared.splits["test"].quadrants == {"pleasant-aroused": 1}


def test_a_later_writer_goes_on_and_clears_up(tmp_path: Path) -> None:
    writer(tmp_path).write("train", 0, [segment()])
    (tmp_path / ".train-00001.parquet.partial").write_bytes(b"PAR1 and then the power failed")

    again = writer(tmp_path)

    assert again.has("train", 0)
    assert not again.has("train", 1)
    assert not read_prepared(tmp_path).complete
    assert len(open_split(tmp_path, "train")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [PREPARED, "train-00000.parquet"]


def test_a_shard_without_segments_still_says_why(tmp_path: Path) -> None:
    writer(tmp_path).write("train", 0, [], {"x.mp3": "silent"})

    assert read_prepared(tmp_path).splits["train"].skipped == {"x.mp3": "silent"}
    with pytest.raises(InvalidInput, match="no segments in the split 'train'; go on preparing it"):
        open_split(tmp_path, "train")


def test_an_empty_split_is_told_from_those_that_are_not(tmp_path: Path) -> None:
    shards = writer(tmp_path)
    shards.write("train", 0, [segment()])
    shards.write("validation", 0, [], {"x.mp3": "silent"})
    shards.finish()
    with pytest.raises(InvalidInput, match="'validation', only in: train; prepare more tracks into another folder"):
        open_split(tmp_path, "validation")


@pytest.mark.parametrize(
    ("origin", "codec", "said"),
    [
        ({"source": "a test", "seed": 2}, CODEC, r"other settings \(seed\)"),
        (ORIGIN, Codec("cd" * 32, 50, 4, 2048), "another codec"),
    ],
)
def test_two_data_sets_do_not_mix(tmp_path: Path, origin: dict[str, Any], codec: Codec, said: str) -> None:
    writer(tmp_path)
    with pytest.raises(InvalidInput, match=said):
        writer(tmp_path, codec, origin)


def test_a_full_disk_leaves_what_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = writer(tmp_path)
    shards.write("train", 0, [segment("a")])

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(CannotServe, match=r"No space left on device.*make room and run the same command again"):
            shards.write("train", 1, [segment("b")])

    assert open_split(tmp_path, "train")["id"][:] == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [PREPARED, "train-00000.parquet"]
    writer(tmp_path).write("train", 1, [segment("b")])
    assert open_split(tmp_path, "train")["id"][:] == ["a", "b"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"codes": np.zeros((3, 5), np.int16)}, r"not int16 \(4, n\)"),
        ({"codes": np.zeros((4, 0), np.int16)}, r"not int16 \(4, n\)"),
        ({"codes": np.full((4, 5), 2048, np.int16)}, "tokens go from 2048 to 2048, not 0 to 2047"),
        ({"valence": None}, "two numbers from -1 to 1, or none"),
        ({"arousal": float("nan")}, "two numbers from -1 to 1, or none"),
        ({"arousal": 1.5}, "two numbers from -1 to 1, or none"),
    ],
)
def test_a_segment_that_breaks_the_rules_is_not_written(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        writer(tmp_path).write("train", 0, [segment(**changed)])


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    path = writer(tmp_path).write("train", 0, [segment()])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidInput, match=r"train-00000\.parquet is damaged"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize(
    "codes",
    [
        [[1, 2], [3, 4], [5, 6]],  # three codebooks
        [[1, 2], [3, 4], [5, 6], [7]],  # of unequal length
        [[1], [2], [3], [-1]],
        [[1], [2], [3], [3000]],
        [[1], [2], [3], [None]],
        [[], [], [], []],
    ],
)
def test_what_are_no_tokens_of_the_codec_is_refused(tmp_path: Path, codes: list[list[int | None]]) -> None:
    path = writer(tmp_path).write("train", 0, [segment()])
    rows = pq.read_table(path)
    schema = rows.schema
    forged = [row | {"codes": codes} for row in rows.to_pylist()]
    pq.write_table(type(rows).from_pylist(forged, schema=schema), path)
    with pytest.raises(InvalidInput, match="other than 4 x n tokens below 2048"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"version": 2}', "is of version 2, not 1"),
        ('{"version": 1}', "cannot be read"),
    ],
)
def test_a_prepared_json_that_is_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / PREPARED).write_text(content)
    with pytest.raises(InvalidInput, match=said):
        read_prepared(tmp_path)


def test_a_folder_that_was_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not made by `musicmed-live models prepare`"):
        open_split(tmp_path, "train")
    shutil.copy(writer(tmp_path / "other").write("train", 0, [segment()]), tmp_path / "train-00000.parquet")
    with pytest.raises(InvalidInput, match=r"holds Parquet files but no prepared\.json"):
        writer(tmp_path)


def test_prepared_json_is_what_the_training_reads(tmp_path: Path) -> None:
    shards = writer(tmp_path)
    shards.write("train", 0, [segment()])
    shards.finish()
    content = json.loads((tmp_path / PREPARED).read_text())
    assert content["version"] == 1
    assert content["codec"] == {"sha256": "ab" * 32, "frame_rate": 50, "codebooks": 4, "vocab": 2048}
    assert content["segment_seconds"] == 30.0
    assert content["splits"]["train"]["segments"] == 1
    assert content["splits"]["train"]["quadrants"] == {"unpleasant-aroused": 1}


def test_every_point_has_its_quadrant() -> None:
    assert [quadrant(v, a) for v, a in ((0.1, 0.1), (-0.1, 0.1), (-0.1, -0.1), (0.1, -0.1))] == list(QUADRANTS)
    assert quadrant(None, None) == UNKNOWN
