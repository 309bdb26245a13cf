"""The mood pad by finger and by keyboard: each touch is a report, also where the point already is."""

from tests.e2e.browser import wait_for
from tests.e2e.patient import on_pad
from tests.web.stage import Stage

TENSE = (-0.5, 0.5)


def test_a_tap_on_the_point_says_the_same_again(live: Stage) -> None:
    tap = on_pad(live.page, TENSE)
    live.page.drag([tap])
    live.page.drag([tap])

    wait_for(lambda: len(live.reports()) == 2, "the second report")
    assert live.reports() == [TENSE, TENSE]


def test_enter_and_space_say_the_present_point_again(live: Stage) -> None:
    live.page.drag([on_pad(live.page, TENSE)])

    live.page.key("Enter")
    wait_for(lambda: len(live.reports()) == 2, "the report by Enter")
    press(live, " ")
    wait_for(lambda: len(live.reports()) == 3, "the report by Space")

    assert live.reports() == [TENSE] * 3


def test_a_key_that_is_held_says_it_once(stage: Stage) -> None:
    stage.page.evaluate("""(async () => {
        const {MoodPad} = await import("/pad.js");
        globalThis.moves = [];
        new MoodPad(document.getElementById("pad"), (emotion) => moves.push(emotion));
    })()""")
    for repeat in (False, True, True):
        press(stage, "Enter", repeat)

    assert stage.page.evaluate("moves") == [{"valence": 0, "arousal": 0}]


def test_enter_on_a_point_that_was_never_moved_says_the_middle(live: Stage) -> None:
    assert live.page.attribute("#pad", "aria-valuetext") == "not said yet"

    focus_pad(live)
    live.page.key("Enter")

    assert live.reports() == [(0, 0)]
    assert live.page.attribute("#pad", "aria-valuetext") != "not said yet"


def test_other_keys_are_left_to_the_browser(live: Stage) -> None:
    focus_pad(live)
    assert press(live, "PageDown")
    assert not press(live, " ")
    assert live.reports() == [(0, 0)]


def focus_pad(stage: Stage) -> None:
    stage.page.evaluate("document.querySelector('#pad').focus()")


def press(stage: Stage, key: str, repeat: bool = False) -> bool:
    """Whether the browser may do with the key what it always does."""
    event = f"new KeyboardEvent('keydown', {{key: {key!r}, repeat: {str(repeat).lower()}, cancelable: true}})"
    return bool(stage.page.evaluate(f"document.querySelector('#pad').dispatchEvent({event})"))
