"""The page's own modules in a real browser, without a music server."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import clients.web
from tests.e2e.browser import Page, chromium

WEB = Path(clients.web.__file__).parent


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser page that can `import("/NAME.js")`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(WEB)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with chromium(tmp_path_factory.mktemp("profile")) as page:
            page.open(f"http://127.0.0.1:{server.server_port}/style.css")
            yield page
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
