"""Each wearable by name, with its trust and the reason for it."""

import json
from typing import Any

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script
from tests.web.stage import Stage, source


def rows(stage: Stage) -> Any:
    """Of each row: what it says, the trust as a number and as text."""
    return stage.page.evaluate(
        "[...document.querySelectorAll('#sources li')].map((row) => ["
        "row.querySelector('.said').textContent, row.querySelector('meter').value, "
        "row.querySelector('.trust').textContent])"
    )


def test_each_source_says_what_it_is_how_far_it_is_trusted_and_why(live: Stage) -> None:
    live.tell(sources=[source(), source("skin_conductance", trust=0.42, fault="noisy")])

    assert rows(live) == [
        ["Heart rate: heard 1 s ago", 0.9, "trust 90 %"],
        ["Skin conductance: too many false values", 0.42, "trust 42 %"],
    ]


def test_a_fault_reads_plainly_and_stands_out(live: Stage) -> None:
    live.tell(sources=[source()])
    plain = live.style("#sources .said", "color")
    live.tell(sources=[source(trust=0.0, seconds=8.2, fault="quiet")])

    assert rows(live) == [["Heart rate: nothing heard for 8 s", 0, "not used"]]
    assert live.style("#sources .said", "color") != plain


@pytest.mark.parametrize("fault", [None, "quiet", "no_contact", "noisy", "stuck", "clock", "moving"])
@pytest.mark.parametrize("kind", ["heart_rate", "skin_conductance", "respiration", "motion"])
def test_every_kind_has_a_name_and_every_fault_its_words(modules: Page, kind: str, fault: str | None) -> None:
    told = json.dumps({"kind": kind, "fault": fault, "seconds": 3.4})
    said = run_script(modules, f"return (await import('/sources.js')).sourceText({told})")

    name, what = said.split(": ")
    assert name[0].isupper()
    assert "_" not in said
    assert what


def test_a_source_keeps_its_place_when_it_changes(live: Stage) -> None:
    live.tell(sources=[source(), source("motion")])
    live.page.evaluate("globalThis.first = document.querySelector('#sources li')")
    live.tell(sources=[source(trust=0.1), source("motion")])

    assert live.page.evaluate("first === document.querySelector('#sources li')")
    assert [trust for _, trust, _ in rows(live)] == [0.1, 0.9]


def test_what_the_server_says_is_never_taken_for_markup(live: Stage) -> None:
    live.tell(why="<img src=x>", because=None, patient="<i>anna</i>")

    assert live.page.text("#why") == "<img src=x>."
    assert live.page.evaluate("document.querySelectorAll('#why img, #wearable-patient i').length") == 0


def test_the_meter_has_a_name_for_who_does_not_see_it(live: Stage) -> None:
    live.tell(sources=[source("respiration")])

    assert live.page.attribute("#sources meter", "aria-label") == "Trust in: Breathing"
