"""A server that is killed and started again: the page comes back to its session by itself."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.browser import Page, wait_for
from tests.e2e.conftest import free_port, is_up
from tests.e2e.patient import AUDIBLE_DBFS, open_page, seconds_played, start_music
from tests.e2e.sound import Recording, level_dbfs


@contextmanager
def serving(port: int, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose journal outlives it."""
    command = [sys.executable, "-m", "musicmed_live", "serve", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, "XDG_DATA_HOME": str(home)}, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: is_up(f"http://127.0.0.1:{port}/"), "the server to answer", 20)
            yield server
        finally:
            server.kill()


def is_warm(url: str) -> bool:
    with urllib.request.urlopen(f"{url}healthz", timeout=5) as answer:
        return bool(json.load(answer)["warm"])


def test_the_music_goes_on_after_the_server_was_killed(browser: Page, heard: Recording, tmp_path: Path) -> None:
    port = free_port()
    with serving(port, tmp_path) as server:
        url = f"http://127.0.0.1:{port}/"
        wait_for(lambda: is_warm(url), "the server to be ready for its first session", 30)
        open_page(browser, url)
        start_music(browser, heard)
        wait_for(lambda: seconds_played(browser) >= 2, "a moment of music")
        server.kill()
        wait_for(lambda: browser.text("#quiet"), "the page to miss the server")

    with serving(port, tmp_path):
        wait_for(lambda: browser.text("#quiet") == "", "the page to come back", 20)
        wait_for(lambda: level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS, "the music to go on", 20)
        wait_for(lambda: seconds_played(browser) >= 4, "the session to go on from where it was", 20)
        assert browser.text("#problem") == ""
        browser.click("#stop")
        wait_for(lambda: browser.attribute("body", "data-stage") == "start", "the session to end")


def test_a_start_that_the_server_misses_is_told_and_can_be_made_again(browser: Page, tmp_path: Path) -> None:
    port = free_port()
    with serving(port, tmp_path) as server:
        open_page(browser, f"http://127.0.0.1:{port}/")
        server.kill()
        server.wait()
        browser.click("#start")

        wait_for(lambda: "does not answer" in browser.text("#problem"), "the page to say what is wrong")
        assert browser.evaluate("!document.querySelector('#start').disabled")
        assert browser.text("#phase") == "Ready when you are."
