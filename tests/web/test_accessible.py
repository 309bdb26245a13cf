"""Nothing keeps anybody out of the patient page: axe-core finds no fault in any state."""

import pytest

from tests.e2e.axe import violations
from tests.e2e.browser import Page
from tests.web.stage import Stage, on_stage
from tests.web.states import STATES


@pytest.mark.parametrize("state", STATES)
def test_no_state_of_the_page_keeps_anybody_out(stage: Stage, state: str) -> None:
    STATES[state](stage)

    assert violations(stage.page) == []


@pytest.mark.parametrize(("state", "width", "height"), [("pad", 320, 256), ("faces", 844, 390), ("more", 360, 640)])
def test_nor_does_a_small_or_enlarged_one(stage: Stage, state: str, width: int, height: int) -> None:
    stage.page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    STATES[state](stage)

    assert violations(stage.page) == []


def test_nor_does_another_language(tab: Page, address: str) -> None:
    with on_stage(tab, f"{address}/index.html?lang=de") as stage:
        STATES["more"](stage)

        assert violations(stage.page) == []


def test_it_would_be_told(stage: Stage) -> None:
    stage.page.evaluate("document.querySelector('main').append(document.createElement('button'))")

    assert [fault.split(":")[0] for fault in violations(stage.page)] == ["button-name"]
