"""What a bare clone relies on: pinned versions, licences, and scripts that say what is missing."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)")


def requirements(*extras: str) -> list[Requirement]:
    """Of the base, and of the extras named; an extra may name others of this project."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
            own = requirement.name == PROJECT["name"]
            found += requirements(*requirement.extras) if own else [requirement]
    return list(dict.fromkeys(found))


def pins() -> dict[str, str]:
    """The version of each package in the constraints; fails for a line that is neither a pin nor a comment."""
    found: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            pin = PIN.fullmatch(line)
            assert pin, f"not NAME==VERSION: {line!r}"
            found[canonicalize_name(pin[1])] = pin[2]
    return found


@pytest.mark.parametrize("requirement", requirements("test", "benchmark"), ids=str)
def test_what_play_and_test_install_is_pinned_to_a_version_that_will_do(requirement: Requirement) -> None:
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_tests_install_torch_and_play_does_not() -> None:
    assert "torch" in {requirement.name for requirement in requirements("test")}
    assert not {"torch", "transformers", "peft"} & {requirement.name for requirement in requirements()}


def test_what_is_compared_with_is_pinned_and_asks_for_nothing_further() -> None:
    lines = [line for line in (ROOT / "requirements-audiocraft.txt").read_text().splitlines() if line[0] != "#"]

    assert all(PIN.fullmatch(line) for line in lines)
    assert "--no-deps --requirement requirements-audiocraft.txt" in (ROOT / "Makefile").read_text()
    for line in lines:
        assert re.search(rf"\b{line.partition('==')[0]}\b", (ROOT / "THIRD_PARTY.md").read_text())


def test_building_asks_for_no_torch() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]

    assert [Requirement(text).name for text in build["requires"]] == ["setuptools"]


@pytest.mark.parametrize("requirement", requirements(*PROJECT["optional-dependencies"]), ids=str)
def test_every_dependency_stands_in_the_third_party_notices(requirement: Requirement) -> None:
    assert re.search(rf"\b{requirement.name}\b", (ROOT / "THIRD_PARTY.md").read_text())


@pytest.mark.parametrize("name", PROJECT["license-files"])
def test_every_licence_file_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_without_a_python_the_set_up_says_which_one_it_needs(tmp_path: Path) -> None:
    ended = run_alone("make-venv", tmp_path / "venv", programs=["sh", "dirname"], folder=tmp_path)

    assert ended.returncode == 1
    assert "Python 3.11 or newer is needed" in ended.stderr
    assert not (tmp_path / "venv").exists()


def test_without_apt_the_set_up_names_the_packages_that_are_missing(tmp_path: Path) -> None:
    ended = run_alone("debian-packages", "chromium", "pulseaudio", programs=["sh", "grep"], folder=tmp_path)

    assert ended.returncode == 1
    assert ended.stderr.endswith("what these Debian packages contain: chromium pulseaudio\n")


def run_alone(
    script: str, *arguments: str | Path, programs: list[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a script of ours where only these programs can be found."""
    path = folder / "path"
    path.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found, program
        (path / program).symlink_to(found)
    return subprocess.run(
        ["sh", ROOT / "scripts" / script, *arguments],
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
