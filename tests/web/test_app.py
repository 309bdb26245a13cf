"""The page as a whole: what is told in words, what is asked, what is out of sight."""

import json

import pytest

from tests.e2e.browser import Page, wait_for
from tests.web.stage import STAYING, Stage, on_stage, source


def test_it_says_in_one_sentence_why_this_music_plays_now(live: Stage) -> None:
    live.tell(phase="holding", because=STAYING)

    assert live.page.text("#phase") == "Waiting for you"
    assert live.page.text("#why") == "Staying here: you reported tense twice."


def test_a_reason_that_the_page_has_no_words_for_is_given_in_the_servers(live: Stage) -> None:
    live.tell(because={"key": "of_tomorrow", "mood": None, "times": None}, why="Leading on <b>anew</b>")

    assert live.page.text("#why") == "Leading on <b>anew</b>."


def test_phase_and_reason_are_read_out_from_one_place(live: Stage) -> None:
    assert live.page.evaluate(
        "[...document.querySelectorAll('[role=status], [aria-live]')].map(({children}) =>"
        "[...children].map(({id}) => id))"
    ) == [["phase", "why", "asked"], []]


def test_a_sentence_that_stays_the_same_is_not_read_out_again(live: Stage) -> None:
    live.tell()
    live.page.evaluate(
        "globalThis.changes = 0; new MutationObserver(() => changes++)"
        ".observe(document.querySelector('[role=status]'), {childList: true, subtree: true, characterData: true})"
    )
    live.tell(position=1_500_000)

    assert live.page.evaluate("changes") == 0


def test_a_report_is_asked_for_where_it_is_given(live: Stage) -> None:
    plain = live.style("#mood-title", "color")
    live.tell(asks=True)

    assert "How do you feel now?" in live.page.text("#asked")
    assert live.style("#mood-title", "color") != plain

    live.tell(asks=False)
    assert live.page.text("#asked") == ""
    assert live.style("#mood-title", "color") == plain


@pytest.mark.parametrize("phase", ["paused", "landing", "ended"])
def test_who_has_paused_or_finds_it_too_much_is_not_asked(live: Stage, phase: str) -> None:
    live.tell(asks=True)
    live.tell(asks=True, phase=phase)

    assert live.page.text("#asked") == live.page.text("#why") == ""


def test_the_second_tap_of_a_double_tap_on_start_does_not_stop_what_has_just_begun(stage: Stage) -> None:
    middle = stage.page.point_in("#start")
    stage.start()
    stage.page.drag([middle])

    assert stage.page.is_visible("#stop")
    assert "stop" not in stage.said()


def test_the_face_is_not_covered_by_the_music_that_meets_it(live: Stage) -> None:
    live.tell(target={"valence": 0, "arousal": 0})

    assert live.page.evaluate(
        "!!(document.querySelector('#music-point').compareDocumentPosition(document.querySelector('#own-point'))"
        " & Node.DOCUMENT_POSITION_FOLLOWING)"
    )


def test_the_question_does_not_move_the_pad_from_under_the_finger(live: Stage) -> None:
    live.page.call("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=1, mobile=False)
    live.tell(asks=False)
    before = live.page.point_in("#pad")
    live.tell(asks=True)

    assert live.page.point_in("#pad") == before


def test_what_wearables_tell_is_out_of_sight_until_one_is_heard(live: Stage) -> None:
    live.show_more()
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
    assert "just start" in live.page.text("#mood-hint")
    live.start()
    assert live.page.evaluate("document.querySelectorAll('#sources li').length") == 0


def test_a_mood_is_of_one_session_and_not_the_start_of_the_next(live: Stage) -> None:
    live.tell(control="faces")
    live.page.click("#faces-form [value=tense]")
    live.page.evaluate("sockets.at(-1).onclose({code: 1000})")

    assert live.page.evaluate("document.querySelectorAll('#faces-form [aria-pressed=true]').length") == 0
    live.start()
    assert [asked["start"] for asked in live.page.evaluate("posted")] == [None, None]


@pytest.mark.parametrize("patient", ["anna", "007", "1e3", "0.5,-0.4"])
def test_the_address_names_the_patient_as_it_is_written(tab: Page, address: str, patient: str) -> None:
    with on_stage(tab, f"{address}/index.html?patient={patient}&minutes=5") as stage:
        stage.start()

        assert stage.page.evaluate("posted") == [{"start": None, "patient": patient, "minutes": 5, "goal": "calm"}]


SIZES = [(1280, 800), (768, 1024), (390, 844), (844, 390), (360, 640)]


@pytest.mark.parametrize("form", ["pad", "sliders", "faces"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_main_things_need_no_scrolling_on_any_screen(live: Stage, width: int, height: int, form: str) -> None:
    live.page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    live.tell(control=form, phase="holding", because=STAYING, asks=True)

    assert live.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for main_thing in (f"#{form}-form", "#why", "#journey", "#toggle", "#too-much", "#stop"):
        left, top = live.page.point_in(main_thing, 0, 0)
        right, bottom = live.page.point_in(main_thing, 1, 1)
        assert left >= 0 and right <= width and top >= 0 and bottom <= height, main_thing
        assert live.page.is_visible(main_thing), main_thing


@pytest.mark.parametrize(("width", "height"), [*SIZES, (320, 256)])
def test_everything_can_be_touched_on_every_screen(live: Stage, width: int, height: int) -> None:
    live.page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    live.tell(heart_rate_bpm=72, sources=[source(), source("skin_conductance", fault="noisy")])
    live.show_more()
    live.page.click("#wearable summary")

    assert live.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    smallest = live.page.evaluate(
        "Math.min(...[...document.querySelectorAll('button, input, summary')]"
        ".filter((element) => element.checkVisibility()).map((element) => element.getBoundingClientRect())"
        ".flatMap(({width, height}) => [width, height]))"
    )
    assert smallest >= 44
    assert live.page.is_visible("#too-much")


@pytest.mark.parametrize("form", ["pad", "sliders", "faces"])
def test_the_therapists_form_of_saying_a_mood_is_shown(live: Stage, form: str) -> None:
    live.tell(control=form)

    shown = [other for other in ("pad", "sliders", "faces") if live.is_shown(f"#{other}-form")]
    assert shown == [form]


def test_a_form_that_the_patient_chose_stays(live: Stage) -> None:
    live.show_more()
    live.page.click("#forms [value=faces]")
    live.tell(control="sliders")

    assert live.is_shown("#faces-form")


def test_the_language_changes_at_once_and_is_told_to_screen_readers(live: Stage) -> None:
    clip = {"key": None, "tempo_bpm": None, "instruments": ["cello", "flute"], "heard": None}
    live.tell(phase="holding", because=STAYING, clip=clip)
    live.show_more()
    live.page.click("#languages [value=de]")
    try:
        assert live.page.text("#why") == "Die Musik bleibt hier: Sie sagten zweimal: angespannt."
        assert live.page.text("#too-much") == "Zu viel"
        assert live.page.text("#playing") == "Cello, Flöte"
        assert live.page.attribute("html", "lang") == "de"
    finally:
        live.page.evaluate("localStorage.clear()")


def test_who_may_not_open_a_session_is_told_whom_to_ask(stage: Stage) -> None:
    refuse(stage, 401, {"code": "bad_token", "message": "no"})
    stage.page.click("#start")

    wait_for(lambda: stage.page.text("#problem"), "the answer")
    assert "ask your therapist or nurse for a link" in stage.page.text("#problem")
    assert stage.page.is_visible("#start")


def test_while_the_connection_is_away_a_calm_line_says_so(live: Stage) -> None:
    live.tell()
    live.page.evaluate("sockets.at(-1).onclose({code: 1006})")

    assert "looking for the connection" in live.page.text("#quiet")
    assert live.page.text("#problem") == ""
    live.page.click("#too-much")
    wait_for(lambda: live.page.text("#quiet") == "", "the connection to come back")
    assert live.page.evaluate("sockets.at(-1).sent.map(({type}) => type)") == ["listen", "play", "too_much"]


def test_a_reload_offers_to_go_on_with_the_session(live: Stage) -> None:
    live.page.open(live.page.evaluate("location.href"))
    wait_for(lambda: live.page.text("#start") == "Go on", "the page to know its session")
    posted = live.page.evaluate("posted.length")

    live.page.click("#start")
    wait_for(lambda: "listen" in live.said(), "the session to be joined")
    assert live.page.evaluate("posted.length") == posted


def test_who_leaves_the_page_does_not_end_the_session(live: Stage) -> None:
    live.page.evaluate("globalThis.fetch = (path, options) => { asked = options.method; }; globalThis.asked = null")
    live.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")

    assert live.page.evaluate("asked") is None


def test_a_planned_rest_says_that_the_music_comes_back(live: Stage) -> None:
    live.tell(phase="paused", rest={"seconds_left": 61.4})

    assert live.page.text("#phase") == "A rest. The music goes on by itself."
    assert live.page.text("#toggle") == "Play"


def refuse(stage: Stage, status: int, answer: dict[str, str]) -> None:
    """What the server says to every further call."""
    stage.page.evaluate(f"globalThis.fetch = async () => Response.json({json.dumps(answer)}, {{status: {status}}})")
