"""The page as a whole: what is told in words, what is asked, what is out of sight."""

import pytest

from tests.e2e.browser import Page
from tests.e2e.patient import on_pad
from tests.web.stage import Stage, on_stage, source


def test_it_says_in_one_sentence_why_this_music_plays_now(live: Stage) -> None:
    live.tell(phase="holding", why="Staying here: you reported tense twice")

    assert live.page.text("#phase") == "Waiting for you"
    assert live.page.text("#why") == "Staying here: you reported tense twice."


def test_phase_and_reason_are_read_out_from_one_place(live: Stage) -> None:
    assert live.page.evaluate(
        "[...document.querySelectorAll('[role=status], [aria-live]')].map(({children}) =>"
        "[...children].map(({id}) => id))"
    ) == [["phase", "why", "asked"]]


def test_a_sentence_that_stays_the_same_is_not_read_out_again(live: Stage) -> None:
    live.tell()
    live.page.evaluate(
        "globalThis.changes = 0; new MutationObserver(() => changes++)"
        ".observe(document.querySelector('[role=status]'), {childList: true, subtree: true, characterData: true})"
    )
    live.tell(position=1_500_000)

    assert live.page.evaluate("changes") == 0


def test_a_report_is_asked_for_where_it_is_given(live: Stage) -> None:
    live.page.drag([on_pad(live.page, (0.0, 0.0))])
    live.tell(asks=True)

    assert live.page.text("#mood-title") == "How do you feel now?"
    assert live.page.text("#mood-hint") == "Move the point, or touch it again."
    assert "press Enter" in live.page.text("#asked")
    asked = live.style("#mood-hint", "color")

    live.tell(asks=False)
    assert live.page.text("#mood-hint") == "Move the point when that changes."
    assert live.page.text("#asked") == ""
    assert live.style("#mood-hint", "color") != asked


def test_a_point_that_was_never_touched_cannot_be_touched_again(live: Stage) -> None:
    live.tell(asks=True)

    assert live.page.text("#mood-hint") == "Move the point, or touch it."


@pytest.mark.parametrize("phase", ["paused", "landing", "ended"])
def test_who_has_paused_or_finds_it_too_much_is_not_asked(live: Stage, phase: str) -> None:
    live.tell(asks=True)
    live.tell(asks=True, phase=phase)

    assert "touch" not in live.page.text("#mood-hint")
    assert live.page.text("#asked") == live.page.text("#why") == ""


def test_the_question_does_not_move_the_pad_from_under_the_finger(live: Stage) -> None:
    live.page.call("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=1, mobile=False)
    live.tell(asks=False)
    before = live.page.point_in("#pad")
    live.tell(asks=True)

    assert live.page.point_in("#pad") == before


def test_what_wearables_tell_is_out_of_sight_until_one_is_heard(live: Stage) -> None:
    live.tell()
    assert not live.is_shown("#body")

    live.tell(sources=[source("motion")])
    assert live.is_shown("#body")


def test_after_the_end_nothing_of_the_session_is_left(live: Stage) -> None:
    live.tell(
        heart_rate_bpm=72,
        sources=[source()],
        asks=True,
        estimate={"valence": 0.1, "arousal": 0.2, "valence_sd": 0.1, "arousal_sd": 0.1},
    )
    live.page.evaluate("sockets.at(-1).onclose({code: 1000})")

    assert live.page.text("#why") == live.page.text("#asked") == live.page.text("#estimate-text") == ""
    assert not live.is_shown("#body")
    assert live.style("#estimate", "display") == "none"
    assert live.page.text("#mood-hint").startswith("Move the point to how you feel.")
    live.start()
    assert live.page.evaluate("document.querySelectorAll('#sources li').length") == 0


@pytest.mark.parametrize("patient", ["anna", "007", "1e3", "0.5,-0.4"])
def test_the_address_names_the_patient_as_it_is_written(tab: Page, address: str, patient: str) -> None:
    with on_stage(tab, f"{address}/index.html?patient={patient}&minutes=5") as stage:
        stage.start()

        assert stage.page.evaluate("posted") == [{"start": None, "patient": patient, "minutes": 5, "goal": "calm"}]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (360, 640)])
def test_everything_fits_and_can_be_touched_on_every_screen(live: Stage, width: int, height: int) -> None:
    live.page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    live.tell(heart_rate_bpm=72, sources=[source(), source("skin_conductance", reason="many false values (34 %)")])
    live.page.click("#wearable summary")

    assert live.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    smallest = live.page.evaluate(
        "Math.min(...[...document.querySelectorAll('button, input, summary')]"
        ".filter((element) => element.checkVisibility()).map((element) => element.getBoundingClientRect().height))"
    )
    assert smallest >= 44
