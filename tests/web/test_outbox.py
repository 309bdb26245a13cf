"""What waits for the server's answer, and which state is one. A state may have been on its way before."""

import json
from typing import Any

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script

ANXIOUS = {"valence": -0.6, "arousal": 0.6}
CALM = {"valence": 0.6, "arousal": -0.4}
SAID_AT = 100.0  # seconds of the page's clock; what it is told comes two seconds later


def waiting(page: Page, said: list[str | dict[str, Any]], *states: dict[str, Any]) -> Any:
    """The types of the messages that still wait once `states` have come after what was said."""
    messages = [{"type": message} if isinstance(message, str) else message for message in said]
    script = f"""
        const {{Outbox}} = await import("/outbox.js");
        const outbox = new Outbox();
        for (const message of {json.dumps(messages)}) outbox.put(message, {SAID_AT});
        for (const state of {json.dumps(states)}) outbox.settle(state, {SAID_AT + 2});
        return outbox.messages.map(({{type}}) => type);
    """
    return run_script(page, script)


def state(phase: str = "leading", report: dict[str, float] | None = None, seconds: float = 1.9) -> dict[str, Any]:
    told = None if report is None else {**report, "seconds": seconds}
    return {"phase": phase, "report": told, "goal": CALM}


@pytest.mark.parametrize(
    ("message", "before", "after"),
    [
        ("play", "ready", "matching"),
        ("play", "paused", "leading"),
        ("play", "landing", "arrived"),
        ("play", "paused", "holding"),
        ("play", "paused", "stepping_back"),
        ("pause", "leading", "paused"),
        ("too_much", "leading", "landing"),
        ("stop", "leading", "ended"),
    ],
)
def test_a_move_is_answered_by_the_phase_it_leads_to(modules: Page, message: str, before: str, after: str) -> None:
    assert waiting(modules, [message], state(before)) == [message]
    assert waiting(modules, [message], state(before), state(after)) == []


def test_a_report_is_answered_by_the_last_that_the_server_knows(modules: Page) -> None:
    report = {"type": "report", **ANXIOUS}

    assert waiting(modules, [report], state(report=None), state(report=CALM)) == ["report"]
    assert waiting(modules, [report], state(report=ANXIOUS)) == []


def test_a_report_of_the_same_place_is_not_answered_by_the_one_before(modules: Page) -> None:
    report = {"type": "report", **ANXIOUS}

    assert waiting(modules, [report], state(report=ANXIOUS, seconds=9.0)) == ["report"]
    assert waiting(modules, [report], state(report=ANXIOUS, seconds=9.0), state(report=ANXIOUS, seconds=0.1)) == []


def test_a_goal_is_answered_by_itself(modules: Page) -> None:
    assert waiting(modules, [{"type": "goal", **ANXIOUS}], state()) == ["goal"]
    assert waiting(modules, [{"type": "goal", **CALM}], state()) == []


def test_points_are_compared_as_exactly_as_the_server_tells_them(modules: Page) -> None:
    report = {"type": "report", "valence": 0.123456, "arousal": -0.00004}

    assert waiting(modules, [report], state(report={"valence": 0.1235, "arousal": 0.0})) == []
    assert waiting(modules, [report], state(report={"valence": 0.1236, "arousal": 0.0})) == ["report"]


def test_of_two_moves_the_later_ones_phase_answers_both(modules: Page) -> None:
    assert waiting(modules, ["too_much", "pause"], state("paused")) == []


def test_of_two_moves_the_earlier_ones_phase_answers_only_that(modules: Page) -> None:
    assert waiting(modules, ["pause", "too_much"], state("paused")) == ["too_much"]


def test_a_move_said_again_waits_in_its_new_place(modules: Page) -> None:
    assert waiting(modules, ["play", "pause", "play"]) == ["pause", "play"]


def test_a_phase_does_not_answer_a_report(modules: Page) -> None:
    assert waiting(modules, [{"type": "report", **ANXIOUS}, "too_much"], state("landing")) == ["report"]


def test_the_end_answers_everything(modules: Page) -> None:
    said: list[str | dict[str, Any]] = ["play", {"type": "report", **ANXIOUS}, {"type": "goal", **ANXIOUS}, "too_much"]

    assert waiting(modules, said, state("ended")) == []
