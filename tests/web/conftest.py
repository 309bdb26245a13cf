"""The page's own modules in a real browser, without a music server."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import clients.web
from tests.e2e.browser import Page, chromium
from tests.web.stage import Stage, on_stage

WEB = Path(clients.web.__file__).parent


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(WEB)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def modules(tab: Page, address: str) -> Page:
    """A fresh browser page that can `import("/NAME.js")`."""
    tab.open(f"{address}/style.css")
    return tab


@pytest.fixture
def stage(tab: Page, address: str) -> Iterator[Stage]:
    """The patient page before a session."""
    with on_stage(tab, f"{address}/index.html") as opened:
        yield opened


@pytest.fixture
def live(stage: Stage) -> Stage:
    """The patient page while its session runs."""
    stage.start()
    return stage


def run_script(page: Page, script: str) -> Any:
    """What the body of an async JavaScript function returns, once the pages' words are there."""
    words = "await (await import('/words.js')).loadWords();"
    return json.loads(
        page.evaluate(f"(async () => {{{words} return JSON.stringify(await (async () => {{{script}}})())}})()")
    )
