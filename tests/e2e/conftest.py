"""The whole product on this machine: the server's own command, a real browser, a sound card to listen to."""

import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.browser import Page, chromium, wait_for
from tests.e2e.patient import open_page
from tests.e2e.sound import Recording, null_sink, recording

_PACKAGES = {"pulseaudio": "pulseaudio", "parec": "pulseaudio-utils"}


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the patient page is served."""
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "musicmed_live", "serve", "--port", str(port)], stdout=output, stderr=output
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        wait_for(lambda: server.poll() is not None or is_up(address), "the server to answer", 20)
        assert server.poll() is None, f"the server ended: {log.read_text()}"
        yield address
    finally:
        server.terminate()
        server.wait(timeout=15)


@pytest.fixture(scope="session")
def sound_card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a program plays to the card that `heard` records."""
    _require("pulseaudio")
    with null_sink(tmp_path_factory.mktemp("pulse")) as environment:
        yield environment


@pytest.fixture(scope="session")
def heard(sound_card: dict[str, str]) -> Iterator[Recording]:
    _require("parec")
    with recording(sound_card) as card:
        yield card


@pytest.fixture(scope="session")
def browser(sound_card: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile"), sound_card) as page:
        yield page


@pytest.fixture
def page(browser: Page, url: str) -> Iterator[Page]:
    """The patient page, freshly opened; what plays at the end of the test is stopped."""
    open_page(browser, url)
    yield browser
    if browser.attribute("body", "data-stage") == "live":
        wait_for(lambda: _stops(browser), "the session to end")


def _stops(browser: Page) -> bool:
    """Whether the session is over; right after Start the page takes a tap on Stop for the second of a double tap."""
    browser.evaluate("document.body.dataset.stage === 'live' && document.querySelector('#stop').click()")
    return browser.attribute("body", "data-stage") == "start"


def _require(program: str) -> None:
    if shutil.which(program) is None:
        pytest.fail(f"{program} is not installed; on Debian: apt-get install {_PACKAGES[program]}", pytrace=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}healthz", timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
