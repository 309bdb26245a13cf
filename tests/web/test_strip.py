"""The strip of the heart rate: what was there, where it was, and gaps where there was nothing."""

import json
import re
from typing import Any

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script
from tests.web.stage import Stage, source

Sample = tuple[float, float | None]  # seconds, beats a minute


def drawn(page: Page, samples: list[Sample], now: float) -> list[list[tuple[float, float]]]:
    """The strokes of the line, as points on a drawing of 180 x 100 with 50 to 100 beats a minute."""
    path = run_script(
        page,
        "const {outline} = await import('/strip.js');"
        f"return outline({as_objects(samples)}, {now}, {{low: 50, high: 100}});",
    )
    strokes = re.findall(r"M[^M]+", path)
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+),([\d.]+)", stroke)[1:]] for stroke in strokes]


def of_samples(page: Page, function: str, samples: list[Sample]) -> Any:
    return run_script(page, f"return (await import('/strip.js')).{function}({as_objects(samples)}) ?? null;")


def as_objects(samples: list[Sample]) -> str:
    return json.dumps([{"at": at, "bpm": bpm} for at, bpm in samples])


def test_now_is_at_the_right_edge_and_three_minutes_ago_at_the_left(modules: Page) -> None:
    (first,), (last,) = drawn(modules, [(0, 75), (180, 75)], 180)

    assert (first, last) == ((0, 50), (180, 50))


def test_a_faster_heart_is_higher_up(modules: Page) -> None:
    assert drawn(modules, [(0, 60), (1, 90)], 1) == [[(179, 80), (180, 20)]]


def test_where_nothing_was_known_the_line_has_a_gap(modules: Page) -> None:
    strokes = drawn(modules, [(0, 75), (1, 75), (2, None), (3, 75), (4, 75)], 4)

    assert [len(stroke) for stroke in strokes] == [2, 2]


@pytest.mark.parametrize(("silence_s", "strokes"), [(3, 1), (3.1, 2)])
def test_of_a_time_without_a_word_from_the_server_nothing_is_drawn(
    modules: Page, silence_s: float, strokes: int
) -> None:
    assert len(drawn(modules, [(0, 75), (silence_s, 75)], silence_s)) == strokes


def test_a_single_value_is_a_dot(modules: Page) -> None:
    assert drawn(modules, [(0, None), (1, 75), (2, None)], 2) == [[(179, 50)]]


def test_the_scale_holds_the_line_between_whole_tens(modules: Page) -> None:
    assert of_samples(modules, "scaleOf", [(0, 72), (1, None), (2, 83)]) == {"low": 60, "high": 90}
    assert of_samples(modules, "scaleOf", [(0, 75)]) == {"low": 70, "high": 80}
    assert of_samples(modules, "scaleOf", [(0, None)]) is None


def test_the_strip_can_be_read_out(modules: Page) -> None:
    spoken = of_samples(modules, "spokenText", [(0, 71.6), (1, None), (2, 83.4)])

    assert spoken == "Heart rate in the last three minutes: 72 to 83 beats a minute"
    assert of_samples(modules, "spokenText", [(0, None)]) == "No heart rate in the last three minutes"


def test_the_present_value_stands_beside_it(live: Stage) -> None:
    live.show_more()
    live.tell(heart_rate_bpm=72.4, sources=[source()])
    assert live.page.text("#beats") == "72 beats a minute"

    live.tell(heart_rate_bpm=None, sources=[source(fault="quiet")])
    assert live.page.text("#beats") == "not known just now"
    assert live.is_shown("#heart")


def test_there_is_no_strip_before_a_heart_was_heard(live: Stage) -> None:
    live.show_more()
    live.tell(sources=[source("skin_conductance")])
    assert not live.is_shown("#heart")

    live.tell(heart_rate_bpm=72, sources=[source("skin_conductance"), source()])
    assert live.is_shown("#heart")


def test_what_is_older_than_three_minutes_is_forgotten(stage: Stage) -> None:
    line, high = stage.page.evaluate("""(async () => {
        const {HeartStrip} = await import("/strip.js");
        const figure = document.querySelector("#heart");
        const strip = new HeartStrip(figure);
        strip.add(72, 0);
        strip.add(null, 181);
        return [figure.querySelector("path").getAttribute("d"), figure.querySelector("#bpm-high").textContent];
    })()""")

    assert (line, high) == ("", "")
