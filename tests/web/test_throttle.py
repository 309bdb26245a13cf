"""Reports while the point is dragged: not more than the interval allows, and the latest always arrives."""

from typing import Any

from tests.e2e.browser import Page
from tests.web.conftest import run_script

_SETUP = """
const {Throttle} = await import("/throttle.js");
const due = [];
globalThis.setTimeout = (then) => due.push(then);
globalThis.clearTimeout = (timer) => { if (timer !== null) due[timer - 1] = null; };
const intervalPasses = () => { for (const then of due.splice(0).filter(Boolean)) then(); };
const sent = [];
const throttle = new Throttle(350, (value) => sent.push(value));
"""


def sent(page: Page, script: str) -> Any:
    """What a throttle let through. The timers are the test's own: `intervalPasses()`."""
    return run_script(page, f"{_SETUP}{script}; return sent;")


def test_the_first_value_is_sent_at_once(modules: Page) -> None:
    assert sent(modules, "throttle.push(1)") == [1]


def test_of_what_comes_within_the_interval_the_latest_is_sent_when_it_is_over(modules: Page) -> None:
    assert sent(modules, "throttle.push(1); throttle.push(2); throttle.push(3)") == [1]
    assert sent(modules, "throttle.push(1); throttle.push(2); throttle.push(3); intervalPasses()") == [1, 3]


def test_what_was_sent_after_an_interval_begins_a_new_one(modules: Page) -> None:
    assert sent(modules, "throttle.push(1); throttle.push(2); intervalPasses(); throttle.push(3)") == [1, 2]


def test_letting_go_sends_what_waits(modules: Page) -> None:
    assert sent(modules, "throttle.push(1); throttle.push(2); throttle.flush()") == [1, 2]
    assert sent(modules, "throttle.push(1); throttle.flush()") == [1]


def test_letting_go_when_nothing_waits_does_not_end_the_interval(modules: Page) -> None:
    assert sent(modules, "throttle.push(1); throttle.flush(); throttle.push(2)") == [1]
    assert sent(modules, "throttle.push(1); throttle.flush(); throttle.push(2); intervalPasses()") == [1, 2]


def test_what_was_cancelled_is_never_sent(modules: Page) -> None:
    assert sent(modules, "throttle.push(1); throttle.push(2); throttle.cancel(); intervalPasses()") == [1]
