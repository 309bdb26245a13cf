"""The bedside kiosk: its own command, a real screen to touch, a sound card to listen to, and a nurse with a PIN."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.e2e.axe import violations
from tests.e2e.browser import Page, tab_address, wait_for
from tests.e2e.conftest import free_port, is_up
from tests.e2e.sound import Recording, level_dbfs
from tests.e2e.test_speaker import ALSA_TO_PULSE
from tests.service.pactl import CARD, fake_pactl

AUDIBLE_DBFS = -50.0
FACES = ["very_good", "good", "calm", "tired", "so_so", "sad", "tense", "very_tense"]


class Machine:
    """A kiosk that somebody switches on and off; what it keeps stays."""

    def __init__(self, folder: Path, sound_card: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.log = folder / "log"
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(str(folder / "notify"))
        self.systemd.settimeout(60)
        (folder / "asound.conf").write_text(ALSA_TO_PULSE)
        self.environment = {
            **sound_card,
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "XDG_STATE_HOME": str(folder / "state"),
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "4000000",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def switch_on(self, *options: str) -> None:
        command = [sys.executable, "-m", "musicmed_live", "kiosk", "--port", str(self.port), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        while self.heard_by_systemd() != "READY=1":
            pass

    def heard_by_systemd(self) -> str:
        return self.systemd.recv(64).decode()

    def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(timeout=20)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=20)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGTERM)
        self.systemd.close()


@contextmanager
def machine(folder: Path, sound_card: dict[str, str]) -> Iterator[Machine]:
    made = Machine(folder, sound_card)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory, sound_card: dict[str, str]) -> Iterator[Machine]:
    """One that is there for all who only press its buttons."""
    with machine(tmp_path_factory.mktemp("kiosk"), sound_card) as made:
        made.switch_on("--no-browser")
        made.wait_until_ready()
        yield made


@pytest.fixture
def fresh(tmp_path: Path, sound_card: dict[str, str]) -> Iterator[Machine]:
    """One that is switched on for the first time."""
    with machine(tmp_path, sound_card) as made:
        made.switch_on("--no-browser")
        made.wait_until_ready()
        yield made


def call(kiosk: Machine, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
    """Status and content of the answer."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{kiosk.url}api/kiosk{path}", sent, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def end_session(kiosk: Machine, session: dict[str, str]) -> None:
    token = {"Authorization": f"Bearer {session['token']}"}
    ended = urllib.request.Request(f"{kiosk.url}api/sessions/{session['id']}", headers=token, method="DELETE")
    urllib.request.urlopen(ended, timeout=10).close()


def open_screen(browser: Page, kiosk: Machine, width: int = 1280, height: int = 800) -> None:
    browser.open(f"{kiosk.url}kiosk.html?lang=en", width, height)
    wait_for(lambda: stage(browser) == "start", "the start button")


def stage(browser: Page) -> str | None:
    return browser.attribute("body", "data-stage")


def is_heard(heard: Recording) -> bool:
    return level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS


def test_one_touch_and_the_music_plays_another_and_it_ends(kiosk: Machine, browser: Page, heard: Recording) -> None:
    open_screen(browser, kiosk)
    browser.evaluate("dispatchEvent(new Event('pointerdown'))")  # it may be night
    wait_for(lambda: browser.evaluate("getComputedStyle(document.querySelector('#night')).opacity") == "0", "light")
    assert violations(browser) == []
    browser.click("#begin")
    wait_for(lambda: is_heard(heard), "music on the card", 5)
    wait_for(lambda: stage(browser) == "live", "the faces")
    assert violations(browser) == []
    assert [browser.is_visible(f"#faces-form [value={name}]") for name in FACES] == [True] * 8

    browser.click("#faces-form [value=sad]")
    wait_for(lambda: "meet" in browser.text("#now").lower(), "the music to meet it")
    browser.click("#too-much")
    wait_for(lambda: "Softer" in browser.text("#phase"), "softer music")
    browser.click("#stop")
    wait_for(lambda: stage(browser) == "start", "the start button again")
    wait_for(lambda: not is_heard(heard), "silence")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (800, 480)])
def test_everything_is_on_the_screen_and_large(kiosk: Machine, browser: Page, width: int, height: int) -> None:
    open_screen(browser, kiosk, width, height)
    assert browser.is_visible("#begin")
    assert browser.is_visible("#nurse-open")
    browser.click("#begin")
    wait_for(lambda: stage(browser) == "live", "the faces")
    for selector in ("#toggle", "#stop", "#too-much", "#faces-form [value=very_tense]"):
        assert browser.is_visible(selector)
        size = browser.evaluate(f"Object.values(document.querySelector('{selector}').getBoundingClientRect().toJSON())")
        assert min(size[2:4]) >= 64
    assert (
        browser.evaluate(
            "(({ scrollHeight, clientHeight }) => scrollHeight - clientHeight)(document.querySelector('main'))"
        )
        <= 0
    )
    browser.click("#stop")
    wait_for(lambda: stage(browser) == "start", "the start button")


def test_who_starts_while_it_plays_joins(kiosk: Machine) -> None:
    first, second = (call(kiosk, "POST", "/start") for _ in range(2))
    assert first == second
    assert first[0] == 201
    end_session(kiosk, first[1])


def test_who_stops_may_start_again_at_once(kiosk: Machine, heard: Recording) -> None:
    _, first = call(kiosk, "POST", "/start")
    end_session(kiosk, first)
    assert call(kiosk, "GET", "")[1]["session"] is None
    _, second = call(kiosk, "POST", "/start")
    assert second["id"] != first["id"]
    wait_for(lambda: is_heard(heard), "music on the card")
    end_session(kiosk, second)


def test_after_a_kill_it_comes_back_and_goes_on(fresh: Machine, browser: Page, heard: Recording) -> None:
    open_screen(browser, fresh)
    browser.click("#begin")
    wait_for(lambda: is_heard(heard), "music on the card")
    _, shown = call(fresh, "GET", "")
    wait_for(lambda: stage(browser) == "live", "the faces")

    fresh.end(signal.SIGKILL)
    wait_for(lambda: stage(browser) == "away", "a calm picture")
    wait_for(lambda: not is_heard(heard), "silence")
    fresh.switch_on("--no-browser")
    wait_for(lambda: is_heard(heard), "the music to come back", 15)
    wait_for(lambda: stage(browser) == "live", "the faces to come back")
    assert call(fresh, "GET", "")[1]["session"]["id"] == shown["session"]["id"]
    browser.click("#stop")
    wait_for(lambda: stage(browser) == "start", "the start button")


def test_a_stop_that_the_server_did_not_hear_holds_when_it_is_back(
    fresh: Machine, browser: Page, heard: Recording
) -> None:
    open_screen(browser, fresh)
    browser.click("#begin")
    wait_for(lambda: stage(browser) == "live", "the faces")
    fresh.end(signal.SIGKILL)
    browser.click("#stop")
    wait_for(lambda: stage(browser) != "live", "the page to take it")

    fresh.switch_on("--no-browser")
    fresh.wait_until_ready()
    wait_for(lambda: stage(browser) == "start", "the start button", 20)
    wait_for(lambda: call(fresh, "GET", "")[1]["session"] is None, "the session to end")
    wait_for(lambda: not is_heard(heard), "silence")
    assert stage(browser) == "start"


def test_a_start_that_failed_is_not_told_any_more_when_the_server_is_back(fresh: Machine, browser: Page) -> None:
    open_screen(browser, fresh)
    fresh.end(signal.SIGKILL)
    browser.click("#begin")
    wait_for(lambda: "call somebody" in browser.text("#problem"), "the page to say so")

    fresh.switch_on("--no-browser")
    wait_for(lambda: browser.text("#problem") == "", "the word to go", 20)
    assert stage(browser) == "start"


@pytest.mark.parametrize("part", ["messages.json", "kiosk-pad.js"])
def test_a_page_whose_loading_was_interrupted_comes_by_itself(kiosk: Machine, browser: Page, part: str) -> None:
    hurry = "const wait = setInterval; globalThis.setInterval = (then, ms) => wait(then, ms / 5);"
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=hurry)["identifier"]
    browser.call("Network.enable")
    browser.call("Network.setBlockedURLs", urls=[f"*/{part}"])
    try:
        browser.open(f"{kiosk.url}kiosk.html?lang=en")
        assert browser.text("#begin") == ""
    finally:
        browser.call("Network.setBlockedURLs", urls=[])
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    wait_for(lambda: stage(browser) == "start", "the start button")
    assert browser.text("#begin") != ""


def test_who_pulls_the_headphones_is_not_heard_by_the_ward(
    tmp_path: Path, sound_card: dict[str, str], browser: Page, heard: Recording
) -> None:
    plugged, pulled = (json.dumps([{**CARD, "active_port": port["name"]}]) for port in reversed(CARD["ports"]))
    fake_pactl(tmp_path, plugged, "exit 1")
    with machine(tmp_path, sound_card) as made:
        made.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
        made.switch_on("--no-browser")
        made.wait_until_ready()
        open_screen(browser, made)
        wait_for(lambda: browser.text("#headphones") == "Headphones are plugged in", "the page to say so")
        browser.click("#begin")
        wait_for(lambda: is_heard(heard), "music in the headphones")
        (tmp_path / "sinks").write_text(pulled)
        wait_for(lambda: not is_heard(heard), "silence")
        wait_for(lambda: "headphones are out" in browser.text("#why"), "a plain word")
        browser.click("#toggle")
        wait_for(lambda: is_heard(heard), "music on the speaker")
        wait_for(lambda: "headphones are out" not in browser.text("#why"), "the word to go")
        browser.click("#stop")
        wait_for(lambda: stage(browser) == "start", "the start button")


def test_a_nurse_sets_a_pin_first_and_then_the_rest(kiosk: Machine, browser: Page) -> None:
    open_screen(browser, kiosk)
    browser.click("#nurse-open")
    assert violations(browser) == []
    type_digits(browser, "47")
    assert "4 to 8 digits" in browser.text("#pin-problem")
    for _ in range(2):
        type_digits(browser, "4711")
    wait_for(lambda: browser.attribute("#nurse", "data-nurse") == "settings", "the settings")
    assert violations(browser) == []
    press(browser, "session.minutes", "30 minutes")
    wait_for(lambda: pressed(browser, "session.minutes") == "30 minutes", "it to hold")
    press(browser, "session.control", "two lines")
    wait_for(lambda: pressed(browser, "session.control") == "two lines", "it to hold")
    browser.click("#nurse-close")
    wait_for(lambda: browser.text("#phase") == "30 minutes", "the start screen to say so")

    browser.click("#nurse-open")
    type_digits(browser, "1147")
    wait_for(lambda: "not the PIN" in browser.text("#pin-problem"), "a wrong one to be refused")
    for key in [*"4711", "Enter"]:
        browser.key(key)
    wait_for(lambda: browser.attribute("#nurse", "data-nurse") == "settings", "the settings")
    assert browser.evaluate("document.querySelector('#nurse').open")


def test_the_language_that_a_nurse_chooses_is_spoken_at_once(fresh: Machine, browser: Page) -> None:
    call(fresh, "PUT", "/pin", {"pin": "4711"})
    browser.open(f"{fresh.url}kiosk.html")
    wait_for(lambda: stage(browser) == "start", "the start button")
    browser.click("#nurse-open")
    type_digits(browser, "4711")
    wait_for(lambda: browser.attribute("#nurse", "data-nurse") == "settings", "the settings")

    press(browser, "language", "Deutsch")
    wait_for(lambda: browser.text("#nurse-title") == "Einstellungen", "the title in German")
    assert pressed(browser, "session.minutes") == "15 Minuten"
    press(browser, "language", "wie das Gerät")
    wait_for(lambda: browser.text("#nurse-title") == "Settings", "the browser's own language")
    assert pressed(browser, "language") == "as the machine's"


def test_who_has_no_pin_changes_nothing_and_trying_takes_ever_longer(
    fresh: Machine, browser: Page, sound_card: dict[str, str]
) -> None:
    assert call(fresh, "GET", "/settings")[0] == 401
    assert call(fresh, "PUT", "/settings", {"brightness": 1})[0] == 401
    assert call(fresh, "POST", "/restart")[0] == 401
    assert call(fresh, "POST", "/unlock", {"pin": "0000"})[1]["code"] == "no_pin"
    _, nurse = call(fresh, "PUT", "/pin", {"pin": "4711"})
    assert call(fresh, "PUT", "/pin", {"pin": "0000"})[0] == 401
    assert call(fresh, "PUT", "/settings", {"brightness": 0.5}, nurse["token"])[1]["brightness"] == 0.5
    call(fresh, "PUT", "/settings", {"volume_percent": 60}, nurse["token"])
    volume = subprocess.run(["pactl", "get-sink-volume", "card"], env=sound_card, capture_output=True, check=True)
    assert b" 60%" in volume.stdout
    call(fresh, "PUT", "/settings", {"volume_percent": 100}, nurse["token"])  # for those who listen next

    _, session = call(fresh, "POST", "/start")
    assert call(fresh, "PUT", "/settings", {"brightness": 1}, session["token"])[1]["code"] == "forbidden"

    assert [call(fresh, "POST", "/unlock", {"pin": "0000"})[0] for _ in range(4)] == [403, 403, 403, 429]
    fresh.end(signal.SIGKILL)
    fresh.switch_on("--no-browser")
    fresh.wait_until_ready()
    assert call(fresh, "POST", "/unlock", {"pin": "4711"})[1]["code"] == "too_many_calls"
    browser.open(f"{fresh.url}kiosk.html?lang=en")
    wait_for(lambda: stage(browser) in ("start", "live"), "the screen")
    browser.click("#nurse-open")
    type_digits(browser, "4711")
    told = wait_for(lambda: re.findall(r"Try again in (\d+) seconds", browser.text("#pin-problem")), "how long to wait")
    assert 0 < int(told[0]) <= 30


@pytest.mark.parametrize("body", [{}, {"pin": 4711}, {"pin": None}, {"pin": "4711", "more": 1}, [], "4711"])
def test_hostile_pins_are_refused_in_one_sentence(kiosk: Machine, body: object) -> None:
    status, refused = call(kiosk, "POST", "/unlock", body)
    assert status == 400
    assert "\n" not in refused["message"]


def test_it_starts_with_damaged_settings_and_tells_systemd_how_it_is(
    tmp_path: Path, sound_card: dict[str, str]
) -> None:
    kept = tmp_path / "state" / "musicmed-live" / "kiosk.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"version": 1, "settings": {"session": {"goal": 4')
    with machine(tmp_path, sound_card) as made:
        made.switch_on("--no-browser")
        assert [made.heard_by_systemd() for _ in range(3)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
        assert call(made, "GET", "")[1]["minutes"] == 15
        made.end(signal.SIGTERM)
        words = [made.heard_by_systemd()]
        while words[-1] != "STOPPING=1":
            words.append(made.heard_by_systemd())
        assert set(words[:-1]) <= {"WATCHDOG=1"}
        assert "Traceback" not in made.log.read_text()
    assert kept.with_suffix(".damaged").exists()


def test_an_ordinary_server_is_no_kiosk(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}api/kiosk", timeout=10)


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    """A screen in memory."""
    if shutil.which("Xvfb") is None:
        pytest.fail("Xvfb is not installed; on Debian: apt-get install xvfb", pytrace=False)
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as number:
            yield f":{number.readline().strip()}"
    finally:
        screen.terminate()
        screen.wait(timeout=10)


@pytest.mark.parametrize("options", [[], ["--window"]], ids=["whole screen", "window"])
def test_the_command_shows_the_page_and_ends_with_it(
    tmp_path: Path, sound_card: dict[str, str], display: str, options: list[str]
) -> None:
    browser = tmp_path / "bin" / "chromium"
    browser.parent.mkdir()
    flags = "--no-sandbox --disable-gpu --disable-dev-shm-usage --remote-debugging-port=0"
    browser.write_text(f'#!/bin/sh\nexec {shutil.which("chromium")} {flags} "$@"\n')
    browser.chmod(0o755)
    # Chromium puts a socket beneath, whose path must not be long.
    with machine(tmp_path, sound_card) as made, tempfile.TemporaryDirectory() as profiles:
        path = f"{browser.parent}:{os.environ['PATH']}"
        made.environment |= {"DISPLAY": display, "PATH": path, "TMPDIR": profiles}
        made.switch_on(*options)
        ports = wait_for(lambda: list(Path(profiles).glob("*/DevToolsActivePort")), "the browser", 30)
        wait_for(lambda: is_up(made.url), "the server", 30)
        with connect(tab_address(ports[0].parent), max_size=None, ping_interval=None) as socket_of_tab:
            shown = Page(socket_of_tab)
            wait_for(lambda: shown.evaluate("document.body?.dataset.stage") == "start", "the start button", 30)
            assert shown.is_visible("#begin")
            shown.call("Browser.close")
        assert made.wait() == 0
        assert not list(Path(profiles).glob("*/Default"))


def type_digits(browser: Page, digits: str) -> None:
    for key in [*digits, "enter"]:
        browser.click(f".keys [value='{key}']")


def press(browser: Page, setting: str, text: str) -> None:
    mark = (
        f"[...document.querySelectorAll('[data-setting=\"{setting}\"] button')].find((b) => b.textContent === '{text}')"
    )
    browser.evaluate(f"{mark}.id = 'wanted'")
    browser.click("#wanted")


def pressed(browser: Page, setting: str) -> str:
    return browser.text(f"[data-setting='{setting}'] [aria-pressed=true]")
