"""The way of the session as one line."""

import json
from typing import Any

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script
from tests.web.stage import Stage

GOAL = {"valence": 0.6, "arousal": -0.4}
START = {"valence": -0.6, "arousal": 0.6}
PATH = [{"position": 0, **START}, {"position": 400, **START}, {"position": 800, **GOAL}]


def journey(page: Page, **changes: Any) -> Any:
    state = {"position": 400, "path": PATH, "frames": 1000, "target": START, "goal": GOAL} | changes
    return run_script(page, f"return (await import('/journey.js')).journeyOf({json.dumps(state)})")


def test_it_leads_from_the_start_down_to_the_goal_and_stays_there(modules: Page) -> None:
    line = journey(modules)

    assert line["played"] == [{"x": 0, "y": 0}, {"x": 40, "y": 0}]
    assert line["planned"] == [{"x": 40, "y": 0}, {"x": 80, "y": 100}, {"x": 100, "y": 100}]
    assert line["at"] == {"x": 40, "y": 0}


def test_an_open_ended_way_ends_where_the_goal_is_reached(modules: Page) -> None:
    assert journey(modules, frames=None)["at"]["x"] == 50
    assert journey(modules, frames=None, position=1600, target=GOAL)["at"] == {"x": 100, "y": 100}


@pytest.mark.parametrize("path", [[], [{"position": 0, **GOAL}]])
def test_a_way_that_goes_nowhere_is_flat(modules: Page, path: list[dict[str, float]]) -> None:
    line = journey(modules, path=path, target=GOAL, position=0)

    assert {point["y"] for point in line["played"] + line["planned"]} == {100}


def test_who_does_not_see_it_is_told_in_tenths(live: Stage) -> None:
    live.tell(position=13_000_000)

    assert live.page.attribute("#journey", "aria-label") == (
        "The way of the music: 30 % of it is played, and it leads to calm."
    )
