"""What can be read off the page's files without running them."""

import json
import re
from pathlib import Path

import pytest

from musicmed_live.core.emotion import WORDS
from tests.web.conftest import WEB

FILES = sorted(path for path in WEB.iterdir() if path.suffix in {".html", ".css", ".js", ".json", ".webmanifest"})


def test_every_goal_is_a_word_that_the_server_knows() -> None:
    goals = re.findall(r'value="(\w+)" data-say="mood\.\1"', (WEB / "index.html").read_text())

    assert len(goals) >= 5
    assert set(goals) <= set(WORDS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_names_no_other_server(file: Path) -> None:
    addresses = re.findall(r"""https?://[^\s"'<>)]+""", file.read_text())

    assert set(addresses) <= {"http://www.w3.org/2000/svg"}


def test_the_page_says_what_it_does_not_do() -> None:
    assert 'data-say="patient.claims"' in (WEB / "index.html").read_text()
    assert "diagnoses and treats nothing" in (WEB / "messages.json").read_text()


def test_every_file_that_the_page_names_is_there() -> None:
    page = (WEB / "index.html").read_text()
    manifest = json.loads((WEB / "manifest.webmanifest").read_text())
    named = re.findall(r'(?:href|src)="\./([^"]+)"', page) + [icon["src"] for icon in manifest["icons"]]

    assert [name for name in named if not (WEB / name).is_file()] == []


def test_nothing_in_the_page_needs_what_its_content_policy_forbids() -> None:
    page = (WEB / "index.html").read_text()

    assert re.findall(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src)", page) == []
