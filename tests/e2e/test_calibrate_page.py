"""Somebody with a sound level meter makes an output's level known, on the page, in a real browser."""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from musicmed_live.core.pink import pink_noise
from tests.e2e.browser import Page, wait_for
from tests.e2e.sound import Recording, level_dbfs

OUTPUT = "Room 12 loudspeaker"


@pytest.fixture
def calibrating(page: Page, url: str) -> Iterator[Page]:
    page.open(f"{url}calibrate.html?lang=en")
    wait_for(lambda: page.evaluate("!document.body.hidden && !document.querySelector('#steps').hidden"), "the steps")
    yield page
    httpx.delete(f"{url}api/outputs/{OUTPUT}")


def fill(page: Page, field: str, text: str) -> None:
    page.click(field)
    page.call("Input.insertText", text=text)


def test_the_noise_comes_up_slowly_and_ends_when_it_is_told_to(calibrating: Page, heard: Recording) -> None:
    calibrating.click("#play")
    wait_for(lambda: level_dbfs(heard.next(0.2)) > -70, "a first sound")
    assert level_dbfs(heard.next(0.2)) < -50
    wait_for(lambda: "full level" in calibrating.text("#playing"), "the full level", 15)
    meant = float(10 * np.log10((pink_noise().mean(axis=1) ** 2).mean()))  # the recording is one channel
    assert level_dbfs(heard.next(1.0)) == pytest.approx(meant, abs=1.5)
    calibrating.click("#play")
    wait_for(lambda: level_dbfs(heard.next(0.3)) < -80, "silence")


def test_what_the_meter_shows_is_kept_under_a_name(calibrating: Page, url: str) -> None:
    fill(calibrating, "#meter_dba", "72,5")
    fill(calibrating, "#name", OUTPUT)
    calibrating.click("#save button")
    wait_for(lambda: "about 72.5 dB(A)" in calibrating.text("#result"), "the result")
    assert "65 dB" in calibrating.text("#result")
    wait_for(lambda: OUTPUT in calibrating.text("#outputs"), "the list")
    assert OUTPUT in [output["name"] for output in httpx.get(f"{url}api/outputs").json()]
    calibrating.click("#outputs button")
    wait_for(lambda: calibrating.evaluate("document.querySelector('#known').hidden"), "it to be forgotten")


@pytest.mark.parametrize(
    ("dba", "name", "field", "said"),
    [("loud", OUTPUT, "meter_dba", "30 to 100"), ("62", "", "name", "name"), ("62", "<b>x</b>", "name", "64 letters")],
)
def test_what_cannot_be_is_said_at_the_field_and_kept_there(
    calibrating: Page, dba: str, name: str, field: str, said: str
) -> None:
    fill(calibrating, "#meter_dba", dba)
    if name:
        fill(calibrating, "#name", name)
    calibrating.click("#save button")
    wait_for(lambda: said in calibrating.text("#problem"), "the problem")
    assert calibrating.evaluate("document.activeElement.id") == field
    assert calibrating.evaluate("document.querySelector('#meter_dba').value") == dba
