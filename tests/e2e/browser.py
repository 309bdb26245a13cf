"""A real Chromium, driven over its DevTools protocol as a person would: pointer, keys, looking at the page."""

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from websockets.sync.client import ClientConnection, connect

T = TypeVar("T")
Point = tuple[float, float]  # CSS pixels from the left and the top of the window

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)
_BETWEEN_PAGES = {"code": -32000, "message": "Cannot find default execution context"}
_KEY_CODES = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32}
_KEY_CODES |= {digit: ord(digit) for digit in "0123456789"}


def wait_for(seen: Callable[[], T], what: str, seconds: float = 10.0) -> T:
    """Ask `seen` until its answer is truthy, and return that. Fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := seen()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for: {what}"
        time.sleep(0.05)
    return answer


class Page:
    """One browser tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.call("Page.enable")

    def call(self, method: str, **params: Any) -> Any:
        """One DevTools command and its result. Events that come in between are of no interest."""
        answer = self._answer(method, params)
        while answer.get("error") == _BETWEEN_PAGES:  # it has not been carried out
            time.sleep(0.05)
            answer = self._answer(method, params)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv(timeout=20))).get("id") != number:
            pass
        return dict(answer)

    def open(self, url: str, width: int = 1280, height: int = 800) -> None:
        """Load a page in a window of that size, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)
        wait_for(lambda: self.evaluate("document.readyState") == "complete", f"{url} to load")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=False
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        return str(self.evaluate(f"document.querySelector({selector!r}).textContent.trim()"))

    def attribute(self, selector: str, name: str) -> str | None:
        value: str | None = self.evaluate(f"document.querySelector({selector!r}).getAttribute({name!r})")
        return value

    def is_visible(self, selector: str) -> bool:
        """Whether it is in the window, and what a finger put on its middle would touch."""
        x, y = self.point_in(selector)
        return bool(
            self.evaluate(f"document.querySelector({selector!r}).contains(document.elementFromPoint({x}, {y}))")
        )

    def point_in(self, selector: str, across: float = 0.5, down: float = 0.5) -> Point:
        """The point of the window at these shares of an element's box."""
        left, top, width, height = self.evaluate(
            f"(({{x, y, width, height}}) => [x, y, width, height])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        return left + across * width, top + down * height

    def click(self, selector: str) -> None:
        """Press and let go in the middle of an element that must be there to be pressed."""
        self.evaluate(f"document.querySelector({selector!r}).scrollIntoView({{block: 'nearest'}})")
        assert self.is_visible(selector), f"{selector} cannot be pressed: it is hidden or covered"
        self.drag([self.point_in(selector)])

    def drag(self, points: Sequence[Point]) -> None:
        """Press the pointer at the first point, move it over the others, let go at the last."""
        self._pointer("mousePressed", points[0])
        for point in points[1:]:
            self._pointer("mouseMoved", point)
        self._pointer("mouseReleased", points[-1])

    def key(self, key: str) -> None:
        """Press and release a key on what has the focus."""
        text = {"text": {"Enter": "\r", " ": " "}[key]} if key in ("Enter", " ") else {}
        named = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": _KEY_CODES[key], **text}
        self.call("Input.dispatchKeyEvent", type="keyDown", **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _pointer(self, kind: str, point: Point) -> None:
        x, y = point
        buttons = 0 if kind == "mouseReleased" else 1
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)


@contextmanager
def chromium(profile: Path, environment: Mapping[str, str] | None = None, *flags: str) -> Iterator[Page]:
    """A fresh browser with one tab; closed at the end. `environment` names the sound card, if one is wanted."""
    if shutil.which("chromium") is None:
        pytest.fail("chromium is not installed; on Debian: apt-get install chromium", pytrace=False)
    process = subprocess.Popen(
        ["chromium", *_FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with connect(tab_address(profile), max_size=None, ping_interval=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=10)


def tab_address(profile: Path) -> str:
    port_file = profile / "DevToolsActivePort"
    wait_for(lambda: port_file.exists() and port_file.read_text().count("\n"), "Chromium to start", 30)
    port = port_file.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
        tabs = json.load(answer)
    return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
