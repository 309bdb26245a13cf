"""`musicmed-live models`: what is listed, fetched from a hub on loopback, and found wrong."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from musicmed_live.cli import main
from tests import hub_server
from tests.hub_server import Hub
from tests.musicgen import tiny

NAME = "facebook/musicgen-small"
WEIGHTS = f"GET /{NAME}/resolve/{hub_server.COMMIT}/model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint. Not to be changed."""
    return tiny.write_hf(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def hub(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that knows one model, and an empty cache."""
    with hub_server.serve(NAME, model) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says, where it succeeds."""
    capsys.readouterr()
    main(["models", *arguments])
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line that the command says on stderr before it exits with 2."""
    with pytest.raises(SystemExit) as left:
        main(["models", *arguments])
    assert left.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("musicmed-live: ")
    return line


def test_a_model_is_pulled_listed_and_whole(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not here: musicmed-live models pull small" in said(capsys, "list")
    folder = Path(said(capsys, "pull", "small").splitlines()[-1])

    assert (folder / "model.safetensors").read_bytes() == (hub.folder / "model.safetensors").read_bytes()
    assert not (folder / "generation_config.json").exists()  # nothing that is not needed
    assert str(folder) in said(capsys, "list")
    assert "CC-BY-NC 4.0" in said(capsys, "list")
    asked = len(hub.requests)
    assert said(capsys, "check", "small").startswith("ok: ")
    assert len(hub.requests) == asked  # what is here is not asked for again


def test_a_pull_goes_on_where_the_connection_broke(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    hub.cut_after = 1_000_000
    folder = Path(said(capsys, "pull", NAME).splitlines()[-1])

    assert (folder / "model.safetensors").read_bytes() == (hub.folder / "model.safetensors").read_bytes()
    ranges = [asked for request, asked in hub.requests if request == WEIGHTS]
    assert ranges[0] is None
    assert ranges[-1] is not None
    assert 0 < int(ranges[-1].removeprefix("bytes=").partition("-")[0]) <= 1_000_000


def test_what_was_damaged_on_its_way_is_refused_and_pulled_anew(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.falsify = True
    assert "its checksum differs" in refused(capsys, "pull", "small")
    assert "not in the local cache" in refused(capsys, "check", "small")

    hub.falsify = False
    said(capsys, "pull", "small")
    assert said(capsys, "check", "small").startswith("ok: ")


def test_a_repository_may_have_folders(
    hub: Hub, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.folder = Path(shutil.copytree(model, tmp_path / "other"))
    (hub.folder / "models").mkdir()
    shutil.copy(model / "model.safetensors", hub.folder / "models" / "older.safetensors")

    said(capsys, "pull", "small")
    assert said(capsys, "check", "small").startswith("ok: ")


def test_a_name_that_the_hub_does_not_know(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert "neither a directory nor a model on the hub" in refused(capsys, "pull", "nobody/nothing")


def test_without_a_network_the_way_out_is_said(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    line = refused(capsys, "pull", "small")

    assert "the hub cannot be reached" in line
    assert "copied (cp -rL)" in line
    assert not hub.requests


def test_check_says_what_a_directory_holds_or_what_is_wrong_with_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "check", str(model)).startswith(f"ok: {model}\n2 layers of width 64 with 2 heads")
    assert "no checkpoint of MusicGen" in refused(capsys, "check", str(tmp_path))
