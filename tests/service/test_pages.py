"""What the service worker is told to keep."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from musicmed_live.service.pages import shell_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page for the patient, one for the therapist, and what they share."""
    for name in ("index.html", "app.js", "words.js", "therapist.html", "therapist-plane.js", "sw.js", "__init__.py"):
        (tmp_path / name).write_text(name)
    return tmp_path


def shell(folder: Path) -> dict[str, Any]:
    found = re.fullmatch(r"self\.SHELL = (.*);\n", shell_of(folder))
    assert found is not None
    told: dict[str, Any] = json.loads(found[1])
    return told


def test_only_the_patients_page_is_kept(folder: Path) -> None:
    assert shell(folder)["files"] == ["./app.js", "./index.html", "./words.js"]


def test_the_version_changes_with_any_file_that_is_kept_and_with_no_other(folder: Path) -> None:
    before = shell(folder)["version"]
    assert shell(folder)["version"] == before

    (folder / "therapist.html").write_text("new")
    assert shell(folder)["version"] == before
    (folder / "words.js").write_text("new")
    assert shell(folder)["version"] != before


def test_a_file_that_changes_its_name_changes_the_version(folder: Path) -> None:
    before = shell(folder)["version"]
    (folder / "words.js").rename(folder / "texts.js")

    assert shell(folder)["version"] != before
