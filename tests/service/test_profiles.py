"""Profiles on disk: whole or not at all, each patient's own, and no reason for a session to fail."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from musicmed_live.core.exposure import Week
from musicmed_live.core.profile import Baseline, Feature, Profile
from musicmed_live.errors import InvalidInput
from musicmed_live.service.profiles import Profiles, default_folder

ANNA = Profile({Feature.HEART_RATE: Baseline(62.0, 4.0, 600.0, 0.25)}, report_sd=0.12)
BERT = Profile({Feature.RESPIRATION: Baseline(13.0, 2.0, 120.0)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "profiles"


@pytest.fixture
def profiles(folder: Path) -> Profiles:
    return Profiles(folder)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_known_of_somebody_new(profiles: Profiles, folder: Path) -> None:
    assert profiles.load("guest-3f9a2c") == Profile()
    assert not folder.exists()


def test_what_is_kept_comes_back(profiles: Profiles, folder: Path) -> None:
    profiles.save("anna", BERT)
    profiles.save("anna", ANNA)
    assert Profiles(folder).load("anna") == ANNA
    assert files(folder) == ["patient-anna.json"]


def test_only_its_owner_may_read_it(profiles: Profiles, folder: Path) -> None:
    profiles.save("anna", ANNA)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "patient-anna.json").stat().st_mode & 0o777 == 0o600


def test_names_that_differ_only_in_case_do_not_collide_on_any_disk(profiles: Profiles, folder: Path) -> None:
    names = ["anna", "Anna", "ANNA", "annA", "-anna", "_anna"]
    for number, name in enumerate(names):
        profiles.save(name, Profile(report_sd=0.1 + number / 100))
    assert [profiles.load(name).report_sd for name in names] == [0.1 + number / 100 for number in range(len(names))]
    assert len({name.lower() for name in files(folder)}) == len(names)


@pytest.mark.parametrize("name", ["a" * 64, "Z" * 64, "con", "-", "--help"])
def test_every_pseudonym_has_a_file(profiles: Profiles, name: str) -> None:
    profiles.save(name, ANNA)
    assert profiles.load(name) == ANNA


@pytest.mark.parametrize(
    "name", ["", "..", "../anna", "/etc/passwd", "a/b", "a\\b", "anna\n", "anna.json", "ä", "a" * 65]
)
def test_what_is_no_pseudonym_gets_nowhere(profiles: Profiles, name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        profiles.save(name, ANNA)
    with pytest.raises(InvalidInput):
        profiles.load(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"version": 7}'])
def test_a_damaged_file_is_put_aside_and_told(
    profiles: Profiles, folder: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    profiles.save("anna", ANNA)
    (folder / "patient-anna.json").write_bytes(text)
    assert profiles.load("anna") == Profile()
    assert files(folder) == ["patient-anna.damaged"]
    assert (folder / "patient-anna.damaged").read_bytes() == text
    assert "patient-anna.json" in caplog.text
    profiles.save("anna", BERT)
    assert profiles.load("anna") == BERT


def test_a_write_that_fails_leaves_what_was_kept(
    profiles: Profiles, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    profiles.save("anna", ANNA)
    with monkeypatch.context() as full:

        def refuse(_handle: int) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("os.fsync", refuse)
        profiles.save("anna", BERT)
    assert profiles.load("anna") == ANNA
    assert files(folder) == ["patient-anna.json"]
    assert "No space left" in caplog.text


def test_a_folder_that_cannot_be_made_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    profiles = Profiles(tmp_path / "file" / "profiles")
    with caplog.at_level(logging.WARNING):
        profiles.save("anna", ANNA)
        assert profiles.load("anna") == Profile()
    assert caplog.text.count("the profile of anna cannot be") == 2


def test_profiles_are_the_user_s_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert default_folder() == Path("/srv/state/musicmed-live/profiles")
    for unset in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", unset)
        assert default_folder() == Path.home() / ".local/state/musicmed-live/profiles"


def test_sound_adds_to_the_week_and_what_is_learned_of_the_body_leaves_it_alone(profiles: Profiles) -> None:
    profiles.save("anna", ANNA)
    assert profiles.expose("anna", {1000: 0.25}) == Week({1000: 0.25})
    profiles.save("anna", BERT)
    assert profiles.expose("anna", {1000: 0.25, 1001: 0.5}) == Week({1000: 0.5, 1001: 0.5})
    assert profiles.load("anna") == replace(BERT, week=Week({1000: 0.5, 1001: 0.5}))


def test_sound_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Profiles(tmp_path / "file" / "profiles").expose("anna", {1000: 0.25}) is None
