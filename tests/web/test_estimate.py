"""What is believed of the patient, on the pad and in words."""

import json
from typing import Any

from tests.e2e.browser import Page
from tests.e2e.patient import on_pad
from tests.web.conftest import run_script
from tests.web.stage import Stage

TENSE = {"valence": -0.5, "arousal": 0.25, "valence_sd": 0.2, "arousal_sd": 0.1}


def said(page: Page, estimate: dict[str, float] | None, words: dict[str, Any]) -> Any:
    script = f"return (await import('/estimate.js')).estimateText({json.dumps(estimate)}, {json.dumps(words)});"
    return run_script(page, script)


def test_the_ellipse_lies_at_the_estimate_and_is_as_wide_as_its_doubt(live: Stage) -> None:
    live.tell(estimate=TENSE)

    style = live.page.evaluate("document.querySelector('#estimate').style.transform")
    assert style == "translate(-0.5px, -0.25px) scale(0.2, 0.1)"


def test_it_is_drawn_for_those_who_want_more_as_soon_as_anything_is_believed(live: Stage) -> None:
    live.tell(estimate=TENSE)
    assert live.style("#estimate", "display") == "none"

    live.show_more()
    live.tell(estimate=None)
    assert live.style("#estimate", "display") == "none"

    live.tell(estimate=TENSE)
    assert live.style("#estimate", "display") != "none"


def test_the_ellipse_stays_inside_the_plane(live: Stage) -> None:
    live.tell(estimate=TENSE | {"valence": -1.0, "valence_sd": 0.6})

    plane = live.page.evaluate(
        "(({x, y, width, height}) => [x, y, width, height])(document.querySelector('#plane rect').getBBox())"
    )
    assert plane == [-1, -1, 2, 2]
    assert (
        live.page.evaluate("document.querySelector('#estimate').parentNode.getAttribute('clip-path')") == "url(#plane)"
    )


def test_the_own_point_stays_where_the_patient_put_it(live: Stage) -> None:
    live.page.drag([on_pad(live.page, (0.4, -0.6))])
    live.tell(estimate=TENSE)

    assert live.page.attribute("#own-point", "transform") == "translate(0.4 0.6)"


def test_it_moves_smoothly_unless_the_patient_wants_no_motion(live: Stage) -> None:
    assert live.style("#estimate", "transitionDuration") == "1s"

    live.page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert live.style("#estimate", "transitionDuration") == "0s"
    live.page.call("Emulation.setEmulatedMedia", features=[])


def test_who_does_not_see_the_pad_can_read_it(modules: Page) -> None:
    words = {"tense": {"valence": -0.4, "arousal": 0.3}, "calm": {"valence": 0.5, "arousal": -0.3}}

    assert said(modules, TENSE, words) == "What we believe: near tense, pleasantness -0.5, liveliness 0.3."
    assert said(modules, TENSE, {}) == "What we believe: pleasantness -0.5, liveliness 0.3."
    assert said(modules, TENSE | {"valence": -0.04}, {}) == "What we believe: pleasantness 0, liveliness 0.3."
    assert said(modules, None, words) == "What we believe: nothing yet."
