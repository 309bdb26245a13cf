"""What can be read off the page's files without running them."""

import re
from pathlib import Path

import pytest

from musicmed_live.core.emotion import WORDS
from tests.web.conftest import WEB

FILES = sorted(path for path in WEB.iterdir() if path.suffix in {".html", ".css", ".js"})


def test_every_goal_is_a_word_that_the_server_knows() -> None:
    goals = re.findall(r'<button type="button" value="(\w+)"', (WEB / "index.html").read_text())

    assert len(goals) >= 5
    assert set(goals) <= set(WORDS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_names_no_other_server(file: Path) -> None:
    addresses = re.findall(r"""https?://[^\s"'<>)]+""", file.read_text())

    assert set(addresses) <= {"http://www.w3.org/2000/svg", "http://127.0.0.1."}


def test_the_page_says_what_it_does_not_do() -> None:
    assert "diagnoses and treats nothing" in (WEB / "index.html").read_text()
