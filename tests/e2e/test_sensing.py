"""A wearable's heart beats, by way of a real broker, on a real page: what is believed, decided, shown and heard."""

import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.listener import serving
from musicmed_live.core.profile import Baseline, Feature, Profile
from musicmed_live.service.broker import Broker
from musicmed_live.service.profiles import Profiles, default_folder
from tests.e2e.browser import Page, wait_for
from tests.e2e.patient import music_point, start_music
from tests.e2e.sound import Recording, longest_gap_s
from tests.mosquitto import mosquitto

SILENT_DBFS = -60.0
AT_REST_BPM, EXCITED_BPM = 62.0, 104.0
PLAN = "patient=anna&start=neutral&goal=sleepy&minutes=2&step=0.5&patience=1"  # quick, so that it need not take long


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def mqtt_url(broker: Broker) -> Iterator[str]:
    """The page of a server that speaks MQTT, and knows Anna's heart from another day."""
    Profiles(default_folder()).save("anna", Profile({Feature.HEART_RATE: Baseline(AT_REST_BPM, 4.0, 300.0)}))
    with serving("--mqtt", f"mqtt://127.0.0.1:{broker.port}") as (url, _):
        yield url


@contextmanager
def strap(recording: Path, broker: Broker) -> Iterator[None]:
    """Somebody wears a chest strap that is replayed from `recording`."""
    command = [sys.executable, "-m", "clients.wearable", "replay", str(recording)]
    target = ["--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--patient", "anna"]
    with subprocess.Popen([*command, *target], stdout=subprocess.DEVNULL) as worn:
        try:
            yield
        finally:
            worn.terminate()


def write_beats(path: Path, seconds: float, bpm: float) -> Path:
    """A heart that beats steadily, with the little that breath changes about it."""
    rr_ms, at = 60_000 / bpm, 0.0
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("at", "bpm", "rr_ms"))
        while at < seconds:
            interval = rr_ms + 12 * ((round(at) % 4) - 1.5)
            at += interval / 1000
            rows.writerow((round(at, 3), round(60_000 / interval), round(interval, 1)))
    return path


def mqtt_health(url: str) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(f"{url}healthz").json()["mqtt"]
    return told


def believed_arousal(page: Page) -> float:
    """Where the page draws the estimate."""
    found: float = page.evaluate(
        "(([, , y]) => 0 - y)(/translate\\(([-.\\de]+)px, ([-.\\de]+)px\\)/"
        ".exec(document.querySelector('#estimate').style.transform))"
    )
    return found


def test_a_heart_that_stays_fast_is_believed_waited_for_and_met_again(
    browser: Page, heard: Recording, mqtt_url: str, broker: Broker, tmp_path: Path
) -> None:
    beats = write_beats(tmp_path / "beats.csv", 300, EXCITED_BPM)
    browser.open(f"{mqtt_url}?{PLAN}")
    wait_for(lambda: browser.attribute("#goal-point", "style"), "the mood words to arrive")
    start_music(browser, heard)
    assert believed_arousal(browser) == pytest.approx(0.0, abs=0.01)

    with strap(beats, broker):
        wait_for(lambda: "beats a minute" in browser.text("#beats"), "the heart rate to be shown")
        assert abs(float(browser.text("#beats").split()[0]) - EXCITED_BPM) < 4
        wait_for(lambda: believed_arousal(browser) > 0.2, "the estimate to rise", 60)
        wait_for(lambda: browser.text("#phase") == "Waiting for you", "the plan to hold", 90)
        assert browser.text("#why") == "Staying here: your body is still livelier than the music."
        held_at = music_point(browser)
        assert held_at[1] < -0.02  # it had begun to lead

        wait_for(lambda: browser.text("#phase") == "Stepping back", "the plan to step back", 60)
        assert "How do you feel now?" in browser.text("#asked")
        wait_for(lambda: music_point(browser)[1] > held_at[1] + 0.02, "the music to go back", 30)
        assert longest_gap_s(heard.next(3.0), SILENT_DBFS) < 0.3
        assert "trust" in browser.text("#sources")

    wait_for(lambda: "nothing heard for" in browser.text("#sources"), "the loss of the strap to be told", 15)
    assert browser.text("#problem") == ""
    browser.click("#stop")
    wait_for(lambda: browser.attribute("body", "data-stage") == "start", "the session to end")


def test_a_broker_that_goes_away_is_told_and_the_music_plays_on(
    browser: Page, heard: Recording, mqtt_url: str, broker: Broker
) -> None:
    browser.open(f"{mqtt_url}?{PLAN}")
    wait_for(lambda: browser.attribute("#goal-point", "style"), "the mood words to arrive")
    start_music(browser, heard)

    broker.stop()
    wait_for(lambda: not mqtt_health(mqtt_url)["connected"], "the loss to be told", 10)
    assert longest_gap_s(heard.next(2.0), SILENT_DBFS) < 0.3
    broker.start()
    wait_for(lambda: mqtt_health(mqtt_url)["connected"], "the broker to be found again", 20)

    browser.click("#stop")
    wait_for(lambda: browser.attribute("body", "data-stage") == "start", "the session to end")
