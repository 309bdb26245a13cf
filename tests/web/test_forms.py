"""The other two forms of saying a mood: the Affective Slider, and faces, also with one switch."""

from typing import Any

import pytest

from tests.e2e.browser import Page, wait_for
from tests.web.conftest import run_script
from tests.web.stage import Stage, on_stage

TENSE = (-0.54, 0.41)


def test_a_touch_on_a_slider_says_both_pleasure_and_arousal(live: Stage) -> None:
    live.tell(control="sliders")
    live.page.drag([live.page.point_in("#arousal", 0.9)])

    wait_for(live.reports, "the report")
    valence, arousal = live.reports()[-1]
    assert valence == 0
    assert arousal > 0.7


def test_an_arrow_key_that_is_held_on_a_slider_does_not_flood_the_session(live: Stage) -> None:
    live.tell(control="sliders")
    live.page.evaluate("document.querySelector('#valence').focus()")
    for _ in range(20):
        live.page.key("ArrowRight")

    wait_for(lambda: live.reports()[-1:] == [(0.2, 0)], "the last report")
    assert len(live.reports()) < 10


def test_the_affective_slider_shows_neither_numbers_nor_ticks(live: Stage) -> None:
    live.tell(control="sliders")

    assert live.page.text("#sliders-form") == ""
    assert live.page.evaluate("document.querySelectorAll('#sliders-form datalist, #sliders-form output').length") == 0


def test_a_tap_on_a_face_is_a_report_and_the_face_is_marked(live: Stage) -> None:
    live.tell(control="faces")
    live.page.click("#faces-form [value=tense]")

    wait_for(live.reports, "the report")
    assert live.reports() == [TENSE]
    assert pressed(live) == ["tense"]


def test_a_mood_said_in_one_form_is_shown_in_all(live: Stage) -> None:
    live.tell(control="faces")
    live.page.click("#faces-form [value=tense]")
    live.show_more()
    live.page.click("#forms [value=sliders]")

    assert live.page.evaluate("[valence.valueAsNumber, arousal.valueAsNumber]") == list(TENSE)
    assert live.page.attribute("#own-point", "transform") == "translate(-0.54 -0.41)"


def test_every_face_can_be_told_from_every_other(modules: Page) -> None:
    shapes = run_script(
        modules,
        "const {FACES} = await import('/faces.js'); const {faceOf} = await import('/face.js');"
        "return Object.values(FACES).map((emotion) => JSON.stringify(faceOf(emotion)));",
    )

    assert len(set(shapes)) == len(shapes) == 8


def test_a_face_changes_without_a_step(modules: Page) -> None:
    """Between moods that lie close together no number of its shapes moves far."""
    largest = run_script(
        modules,
        """const {faceOf} = await import("/face.js");
        const numbers = (emotion) => JSON.stringify(faceOf(emotion)).match(/-?\\d+(\\.\\d+)?/g).map(Number);
        let largest = 0;
        const compare = (one, other) => {
          const shapes = one.length - 3; // the last three are the colour, of 0 to 255
          one.forEach((x, i) => largest = Math.max(largest, Math.abs(x - other[i]) / (i < shapes ? 1 : 255)));
        };
        for (let at = -1; at < 1; at += 0.01) for (const other of [-1, -0.3, 0, 0.5, 1]) {
          compare(numbers({valence: other, arousal: at}), numbers({valence: other, arousal: at + 0.01}));
          compare(numbers({valence: at, arousal: other}), numbers({valence: at + 0.01, arousal: other}));
        }
        return largest;""",
    )

    assert 0 < largest < 0.02


def test_one_switch_moves_over_rows_then_within_one(modules: Page) -> None:
    script = """
        const {Scan} = await import("/scan.js");
        const scan = new Scan();
        const rows = [["too much", "pause"], [], ["good", "sad", "tense"]];
        const seen = [];
        const step = () => { scan.step(rows); seen.push(scan.marked.join("+")); };
        step(); step(); step(); step();
        seen.push(scan.press()); seen.push(scan.marked.join("+"));
        step(); step();
        seen.push(scan.press());
        return seen;
    """

    assert run_script(modules, script) == [
        *("too much+pause", "good+sad+tense", "too much+pause", "good+sad+tense"),
        *(None, "good", "sad", "tense"),
        "tense",
    ]


def test_a_row_in_which_nothing_is_chosen_is_left_again(modules: Page) -> None:
    script = """
        const {Scan} = await import("/scan.js");
        const scan = new Scan();
        const rows = [["a", "b"], ["c", "d"]];
        scan.step(rows); scan.press();
        for (let n = 0; n < 4; n++) scan.step(rows);
        return scan.marked;
    """

    assert run_script(modules, script) == ["a", "b"]


@pytest.mark.parametrize("rows", ["[]", "[[], []]"])
def test_where_there_is_nothing_to_choose_a_press_does_nothing(modules: Page, rows: str) -> None:
    script = (
        f"const {{Scan}} = await import('/scan.js'); const scan = new Scan(); scan.step({rows}); return scan.press();"
    )

    assert run_script(modules, script) is None


def test_the_first_space_begins_and_a_touch_ends_the_scanning(live: Stage) -> None:
    live.tell(control="faces")
    live.page.evaluate("document.activeElement.blur()")
    space(live)
    assert marked(live) == ["toggle", "stop", "too-much"]

    space(live)
    assert marked(live) == ["too-much"]
    space(live)
    assert live.said()[-1] == "too_much"

    live.page.drag([live.page.point_in("#mood-title")])
    assert marked(live) == []


def test_the_address_begins_the_scanning_before_a_session(tab: Page, address: str) -> None:
    with on_stage(tab, f"{address}/index.html?switch=1") as stage:
        assert marked(stage) == ["start"]
        space(stage)
        wait_for(lambda: "play" in stage.said(), "the session to start")


def test_in_the_other_forms_space_is_left_to_the_browser(live: Stage) -> None:
    live.page.evaluate("document.activeElement.blur()")
    space(live)

    assert marked(live) == []


def space(stage: Stage) -> None:
    stage.page.key(" ")


def marked(stage: Stage) -> Any:
    return stage.page.evaluate("[...document.querySelectorAll('.marked')].map(({id, value}) => id || value)")


def pressed(stage: Stage) -> Any:
    return stage.page.evaluate(
        "[...document.querySelectorAll('#faces-form [aria-pressed=true]')].map(({value}) => value)"
    )
