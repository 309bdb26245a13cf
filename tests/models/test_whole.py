"""Whatever ends the writing of a file or a folder, what was there before is there, or what was written is whole."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.whole import whole, whole_folder
from musicmed_live.errors import CannotServe


class Killed(Exception):
    """Stands for whatever ends a program."""


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    for text in ("one", "two"):
        with whole(path) as partial:
            partial.write_text(text)
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_not_finished_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    with pytest.raises(Killed), whole(path) as partial:
        partial.write_text("tw")
        raise Killed
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder"
    for name in ("one", "two"):
        with whole_folder(path) as partial:
            (partial / name).touch()
    assert [found.name for found in path.iterdir()] == ["two"]
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_finished_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "one").touch()
    with pytest.raises(Killed), whole_folder(path) as partial:
        (partial / "two").touch()
        raise Killed
    assert [found.name for found in path.iterdir()] == ["one"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_was_put_aside_and_not_replaced_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".folder.former").mkdir()
    (tmp_path / ".folder.former" / "one").touch()
    (tmp_path / ".folder.partial").mkdir()
    with pytest.raises(Killed), whole_folder(tmp_path / "folder"):
        raise Killed
    assert (tmp_path / "folder" / "one").exists()


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "below"
    with pytest.raises(CannotServe, match="cannot be written"), whole(path) as partial:
        partial.touch()
    with pytest.raises(CannotServe, match="cannot be written"), whole_folder(path):
        pass


def test_a_disk_that_fills_up_says_so(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    full = Path("/dev/full")
    with pytest.raises(CannotServe, match="No space left"), whole(path), full.open("wb") as file:
        torch.save({"weights": torch.zeros(100_000)}, file)
    with pytest.raises(CannotServe, match="cannot be written"), whole(path):
        save_file({"weights": torch.zeros(1)}, tmp_path / "nowhere" / "file")
    assert path.read_text() == "one"
