"""The clips of an evaluation: all that were asked for, none made twice, none of another model."""

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.clips import MANIFEST, Clip, Grid, Side, digests, make_clips, read_clip
from musicmed_live.core.generator import Block, ClipRequest, Cue, Generator
from musicmed_live.errors import CannotServe, InvalidInput
from tests.models.judging import Tones, ToneVoice, tone

GRID = Grid(levels=2, seeds=2, seconds=0.5)


def side(name: str = "base", sha: str = "ab", generator: Tones | None = None) -> Side:
    def load() -> Generator:
        return generator or Tones()

    return Side(name, load, {"model.safetensors": sha})


class Noise(Tones):
    """Plays what no file makes smaller."""

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> "NoiseVoice":
        return NoiseVoice(np.zeros(2))


class NoiseVoice(ToneVoice):
    def compose(self, request: ClipRequest, heard_from: int = 0) -> Iterator[Block]:
        noise = np.random.default_rng(0).normal(0, 0.1, (request.frames, 2)).astype(np.float32)
        yield Block(request.position, noise, Cue.FREE, 0.0, "", ())


def made(folder: Path, *sides: Side, grid: Grid = GRID) -> list[Clip]:
    told: list[Clip] = []
    clips = make_clips(folder, grid, sides or (side(),), told.append)
    assert told == clips
    return clips


def test_a_grid_covers_the_plane_evenly() -> None:
    assert Grid(levels=5).places == [-0.8, -0.4, 0.0, 0.4, 0.8]
    assert len(Grid(levels=3, seeds=4).wishes()) == 36
    assert len({(wish.valence, wish.arousal) for wish, _ in Grid(levels=3).wishes()}) == 9


def test_every_emotion_and_seed_of_every_side_has_a_clip_as_long_as_asked(tmp_path: Path) -> None:
    clips = made(tmp_path, side("base"), side("adapter"))

    assert len(clips) == len({clip.file for clip in clips}) == 2 * 4 * 2
    for clip in clips:
        expected = tone(clip.emotion.valence, clip.emotion.arousal, 24_000)
        assert np.abs(read_clip(tmp_path, clip) - expected).max() < 1e-4  # 16 bits


def test_clips_that_are_there_are_not_made_again_nor_is_the_model_loaded(tmp_path: Path) -> None:
    made(tmp_path)

    def never() -> Generator:
        raise AssertionError("the model was loaded")

    assert len(made(tmp_path, Side("base", never, {"model.safetensors": "ab"}))) == 8


def test_what_is_missing_cut_short_or_too_short_is_made(tmp_path: Path) -> None:
    first, second, third, *_ = made(tmp_path)
    (tmp_path / first.file).unlink()
    whole = (tmp_path / second.file).read_bytes()
    (tmp_path / second.file).write_bytes(whole[:100])
    (tmp_path / third.file).write_bytes(b"")
    generator = Tones()

    made(tmp_path, side(generator=generator))

    assert generator.opened == 3
    assert (tmp_path / second.file).read_bytes() == whole


def test_more_seeds_only_add(tmp_path: Path) -> None:
    made(tmp_path)
    generator = Tones()
    made(tmp_path, side(generator=generator), grid=Grid(2, 3, 0.5))
    assert generator.opened == 4


@pytest.mark.parametrize(("sides", "grid"), [((side(sha="cd"),), GRID), ((side(),), Grid(2, 2, 1.0))])
def test_clips_of_another_model_or_length_are_not_taken_for_these(
    tmp_path: Path, sides: tuple[Side, ...], grid: Grid
) -> None:
    made(tmp_path)
    with pytest.raises(InvalidInput, match="another model, adapter or length"):
        made(tmp_path, *sides, grid=grid)


def test_an_adapter_may_join_a_base_that_is_there(tmp_path: Path) -> None:
    made(tmp_path)
    made(tmp_path, side(), side("adapter", "cd"))
    with pytest.raises(InvalidInput, match="another model"):
        made(tmp_path, side(), side("adapter", "ef"))


@pytest.mark.parametrize("content", ["", "[]", '{"seconds": 1}', '{"sides": {}}'])
def test_a_folder_with_a_damaged_note_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(InvalidInput, match="give another --out"):
        made(tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotServe, match="cannot be made"):
        made(tmp_path / "file" / "folder")


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file grows beyond 20 kB, as on a disk that fills: a clip of this grid has more where it is no tone."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_leaves_no_half_of_a_clip_and_those_before_it(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    clips = made(tmp_path)
    (tmp_path / clips[-1].file).unlink()
    request.getfixturevalue("full_disk")

    with pytest.raises(CannotServe, match="make room and go on"):
        made(tmp_path, side(generator=Noise()))
    assert sorted(path for path in (tmp_path / "sounds/base").iterdir()) == sorted(
        tmp_path / clip.file for clip in clips[:-1]
    )


def test_a_clip_that_is_gone_or_damaged_when_it_is_read_is_said(tmp_path: Path) -> None:
    clip = made(tmp_path)[0]
    (tmp_path / clip.file).write_bytes(b"no sound")
    with pytest.raises(InvalidInput, match="remove it and evaluate again"):
        read_clip(tmp_path, clip)


def test_weights_are_known_by_the_sums_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "t5").mkdir()
    (tmp_path / "t5/model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text(json.dumps({}))
    (tmp_path / "notes.txt").write_text("of no weight")

    found = digests(tmp_path)

    assert list(found) == ["config.json", "t5/model.safetensors"]
    assert found["config.json"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
