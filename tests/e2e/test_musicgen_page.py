"""A session that MusicGen plays, in a real browser: tiny random weights, the whole way from page to ear."""

from collections.abc import Iterator

import psutil
import pytest

from benchmarks.listener import serving
from tests.e2e.browser import Page, wait_for
from tests.e2e.patient import is_near, music_point, on_pad, start_music
from tests.e2e.sound import Recording, level_dbfs, longest_gap_s
from tests.musicgen import tiny

SILENT_DBFS = -60.0
EXCITED = (0.6, 0.9)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    model = tiny.write_hf(tmp_path_factory.mktemp("models") / "tiny")
    with serving("--generator", "musicgen", "--model", str(model), "--device", "cpu") as address:
        yield address


@pytest.fixture
def page(browser: Page, server: tuple[str, int]) -> Iterator[Page]:
    browser.open(server[0])
    wait_for(lambda: browser.attribute("#goal-point", "style"), "the mood words to arrive")
    yield browser
    browser.click("#stop")
    wait_for(lambda: browser.attribute("body", "data-stage") == "start", "the session to end")


def test_musicgen_is_heard_without_a_gap_and_nothing_is_claimed_that_nobody_knows(page: Page, heard: Recording) -> None:
    start_music(page, heard)

    assert longest_gap_s(heard.next(5.0), SILENT_DBFS) < 0.3
    wait_for(lambda: page.text("#generator") == "", "MusicGen to play, if the machine was too busy at first", 30)
    assert "beats a minute" not in page.text("#playing")


def test_moving_the_point_moves_the_music(page: Page, heard: Recording) -> None:
    start_music(page, heard)

    page.drag([on_pad(page, (0.0, 0.0)), on_pad(page, EXCITED)])

    wait_for(lambda: is_near(music_point(page), EXCITED), "the music to meet the patient")
    assert longest_gap_s(heard.next(3.0), SILENT_DBFS) < 0.3


def test_too_much_and_back(page: Page, heard: Recording) -> None:
    start_music(page, heard)
    loud = level_dbfs(heard.next(2.0))

    page.click("#too-much")
    heard.next(1.0)
    assert level_dbfs(heard.next(2.0)) < loud - 6.0

    page.click("#toggle")
    wait_for(lambda: level_dbfs(heard.next(0.5)) > loud - 4.0, "the music to come back")


def test_where_musicgen_hangs_the_composer_plays_on_and_the_page_says_so(
    page: Page, heard: Recording, server: tuple[str, int]
) -> None:
    start_music(page, heard)
    begun = heard.frames
    musicgen = max(psutil.Process(server[1]).children(), key=lambda worker: worker.memory_info().rss)

    musicgen.suspend()
    wait_for(lambda: "MusicGen" in page.text("#generator"), "the page to say that another one plays", 30)
    musicgen.resume()

    wait_for(lambda: page.text("#generator") == "", "MusicGen to take over again", 60)
    assert longest_gap_s(heard.between(begun, heard.frames), SILENT_DBFS) < 0.3


def test_where_musicgen_dies_nobody_hears_it(page: Page, heard: Recording, server: tuple[str, int]) -> None:
    start_music(page, heard)
    musicgen = max(psutil.Process(server[1]).children(), key=lambda worker: worker.memory_info().rss)

    musicgen.kill()

    assert longest_gap_s(heard.next(12.0), SILENT_DBFS) < 0.3
    wait_for(lambda: page.text("#generator") == "", "MusicGen to play again", 60)
