"""The calibration page's readings: what people type, and what it means."""

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script


@pytest.mark.parametrize(
    ("typed", "dba"),
    [
        ("62.5", 62.5),
        ("62,5", 62.5),
        (" 62 ", 62),
        ("62.5 dB(A)", 62.5),
        ("62 dBA", 62),
        ("62db", 62),
        ("30", 30),
        ("100", 100),
        ("29.9", None),
        ("101", None),
        ("", None),
        ("-62", None),
        ("62.5.1", None),
        ("1e2", None),
        ("loud", None),
        ("6 2", None),
    ],
)
def test_a_reading_is_taken_as_people_write_it(modules: Page, typed: str, dba: float | None) -> None:
    script = f"const {{readingOf}} = await import('/calibrate-reading.js'); return readingOf({typed!r});"
    assert run_script(modules, script) == dba


@pytest.mark.parametrize(("dba", "said"), [(65, "good"), (65.1, "loud")])
def test_more_than_is_advised_is_said_so(modules: Page, dba: float, said: str) -> None:
    script = f"const {{judged}} = await import('/calibrate-reading.js'); return judged({dba});"
    assert run_script(modules, script) == said


def test_a_level_is_shown_as_the_reader_writes_it(modules: Page) -> None:
    script = (
        "const {shownDba} = await import('/calibrate-reading.js'); return [shownDba(62.5, 'de'), shownDba(62, 'en')];"
    )
    assert run_script(modules, script) == ["62,5", "62"]
