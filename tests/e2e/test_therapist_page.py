"""The therapist page: a session is prepared, joined by its patient, watched, steered, and reported."""

import json
import os
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.axe import violations
from tests.e2e.browser import Page, chromium, wait_for

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The therapist's browser."""
    with chromium(tmp_path_factory.mktemp("office")) as page:
        yield page


@pytest.fixture
def therapist(office: Page, url: str) -> Iterator[Page]:
    """The page, freshly opened; the sessions that are open at the end of the test are ended."""
    open_page(office, url)
    yield office
    for session in call(f"{url}api/sessions"):
        call(f"{url}api/sessions/{session['id']}", "DELETE")


def open_page(page: Page, url: str, language: str = "en") -> None:
    page.open(f"{url}therapist.html?lang={language}")
    wait_for(lambda: view(page) in ("prepare", "watch"), "the page to let its reader in")


def call(address: str, method: str = "GET", body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        told = answer.read()
    return json.loads(told) if told else None


def view(page: Page) -> str | None:
    return page.attribute("body", "data-view")


def is_asked(page: Page) -> bool:
    """Whether a token is asked for."""
    return page.evaluate("document.querySelector('#login')?.hidden") is False


def write(page: Page, selector: str, text: str) -> None:
    """Type into a field in place of what stands there."""
    page.evaluate(f"document.querySelector({selector!r}).select()")
    page.call("Input.insertText", text=text)


def values(page: Page, *names: str) -> list[str]:
    """What stands in fields of the form."""
    script = f"{json.dumps(names)}.map((name) => document.querySelector(`#prepare [name='${{name}}']`).value)"
    found: list[str] = page.evaluate(script)
    return found


def choose(page: Page, selector: str, value: str) -> None:
    """Choose from a list, as its keys would."""
    page.evaluate(
        f"((list) => {{ list.value = {value!r}; list.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.querySelector({selector!r}))"
    )


def fact(page: Page, label: str) -> str:
    """What stands beside a label of what plays."""
    script = f"[...document.querySelectorAll('#facts dt')].find((dt) => dt.textContent === {label!r})"
    return str(page.evaluate(f"{script}?.nextElementSibling.textContent ?? ''"))


def has_begun(page: Page) -> bool:
    """Whether the session that is looked at has been heard for a second."""
    return fact(page, "Time").split(" ")[0] not in ("", "0:00")


def news(page: Page) -> list[str]:
    lines: list[str] = page.evaluate("[...document.querySelectorAll('#news span')].map((line) => line.textContent)")
    return lines


def watch_new(page: Page, url: str, patient: str, **wish: Any) -> str:
    """Open a session behind the page's back, and turn to it."""
    session: str = call(f"{url}api/sessions", "POST", {"goal": "calm", "patient": patient, **wish})["id"]
    card = f"#cards [data-id='{session}']"
    wait_for(lambda: page.evaluate(f"document.querySelector({card!r}) !== null"), "the card of a new session")
    page.click(card)
    wait_for(lambda: fact(page, "Goal"), "the session's first state")
    return session


@contextmanager
def before_each_page(page: Page, script: str) -> Iterator[None]:
    """Have a script run in each page before its own ones."""
    number = page.call("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]
    try:
        yield
    finally:
        page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=number)


@contextmanager
def locked_journal() -> Iterator[None]:
    """Nothing can be written down."""
    journal = Path(os.environ["XDG_STATE_HOME"]) / "musicmed-live" / "journal.sqlite"
    connection = sqlite3.connect(journal, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def state_of(url: str, session: str) -> Any:
    return call(f"{url}api/sessions/{session}")


def on_plane(page: Page, selector: str, emotion: tuple[float, float]) -> tuple[float, float]:
    valence, arousal = emotion
    return page.point_in(f"{selector} svg", 0.5 + valence / 2.3, 0.5 - arousal / 2.3)


def test_a_session_is_prepared_joined_watched_steered_and_reported(therapist: Page, browser: Page, url: str) -> None:
    write(therapist, "#patient", "anna-office")
    choose(therapist, "#goal", "relaxed")
    choose(therapist, "#control", "faces")
    write(therapist, "[name='tempo_bpm.0']", "50")
    write(therapist, "[name='tempo_bpm.1']", "90")
    therapist.click("#prepare button[type=submit]")
    wait_for(lambda: view(therapist) == "invitation", "the patient's link")
    wait_for(lambda: therapist.evaluate("document.querySelector('#qr svg') !== null"), "the QR code")
    link = therapist.evaluate("document.querySelector('#link').value")

    browser.open("about:blank")
    browser.open(link)
    wait_for(lambda: browser.is_visible("#start"), "the patient's start button")
    browser.click("#start")
    therapist.click("#to-watch")
    wait_for(lambda: has_begun(therapist), "the session to play", 60)
    assert fact(therapist, "Goal") == "relaxed"
    session = therapist.evaluate("document.querySelector('#cards button').dataset.id")
    state = state_of(url, session)
    assert (state["bounds"]["tempo_bpm"], state["control"]) == ([50, 90], "faces")

    therapist.click("#hold")
    wait_for(lambda: therapist.attribute("#hold", "aria-pressed") == "true", "the hold to be told")
    wait_for(lambda: "therapist 1: hold" in news(therapist), "the therapist's own doing among the news")
    therapist.click("#hold")
    wait_for(lambda: therapist.attribute("#hold", "aria-pressed") == "false", "leading on")
    choose(therapist, "#steer-goal", "happy")
    therapist.click("#new-goal button")
    wait_for(lambda: fact(therapist, "Goal") == "happy", "the new goal")
    therapist.click("#step-back")
    wait_for(lambda: therapist.text("#answer") == "Done: step back.", "stepping back")
    therapist.click("#end-gently")
    assert therapist.text("#end-gently") == "Really end?"
    therapist.click("#end-gently")
    wait_for(lambda: therapist.text("#answer") == "Done: end gently.", "the gentle end")
    assert state_of(url, session)["ends"] < 61 * 48_000 + state["position"] + 48_000 * 30

    report = therapist.evaluate("document.querySelector('#reports a').href")
    therapist.open(report)
    wait_for(lambda: "anna-office" in therapist.text("h1"), "the report")
    assert "therapist" in therapist.text("body")


def test_a_call_that_fails_while_the_page_opens_is_made_again_and_one_press_opens_one_session(
    therapist: Page, url: str
) -> None:
    fails_once = """const fetched = window.fetch;
    let failed = false;
    window.fetch = (address, options) => {
      if (failed || !String(address).includes("/api/outputs")) return fetched(address, options);
      failed = true;
      return Promise.reject(new TypeError("Failed to fetch"));
    };"""
    with before_each_page(therapist, fails_once):
        open_page(therapist, url)
    count = "['#prepare-plane svg', '#watch-plane svg'].map((plane) => document.querySelectorAll(plane).length)"
    assert therapist.evaluate(count) == [1, 1]
    write(therapist, "#patient", "once-office")
    therapist.click("#prepare button[type=submit]")
    wait_for(lambda: view(therapist) == "invitation", "the patient's link")
    assert len(call(f"{url}api/sessions")) == 1


def test_a_code_that_comes_late_does_not_stand_beside_another_patients_link(therapist: Page, url: str) -> None:
    anna, bert = watch_new(therapist, url, "anna-late"), watch_new(therapist, url, "bert-late")
    therapist.evaluate(
        "{const fetched = window.fetch; window.fetch = async (address, options) => {"
        f" if (!address.includes('{anna}/qr')) return fetched(address, options);"
        " const picture = await (await fetched(address, options)).text();"
        " await new Promise((release) => (window.release = release)); return new Response(picture); }; }"
    )
    therapist.click(f"#cards [data-id='{anna}']")
    therapist.click("#show-link")
    wait_for(lambda: therapist.evaluate("window.release !== undefined"), "anna's code to be on its way")
    therapist.click(f"#cards [data-id='{bert}']")
    therapist.click("#show-link")
    wait_for(lambda: therapist.evaluate("document.querySelector('#qr svg') !== null"), "bert's code")
    code = "document.querySelector('#qr').innerHTML"
    shown = therapist.evaluate(code)
    therapist.evaluate("(async () => { release(); await new Promise((done) => setTimeout(done, 100)); })()")
    assert bert in therapist.evaluate("document.querySelector('#link').value")
    assert therapist.evaluate(code) == shown


def test_who_turns_to_another_patient_while_the_sound_is_made_ready_hears_neither(browser: Page, url: str) -> None:
    keeps_contexts = """window.contexts = [];
    window.AudioContext = class extends AudioContext {
      constructor(options) { super(options); contexts.push(this); }
    };"""
    with before_each_page(browser, keeps_contexts):
        open_page(browser, url)
    anna, bert = watch_new(browser, url, "anna-heard"), watch_new(browser, url, "bert-heard")
    browser.click(f"#cards [data-id='{anna}']")
    browser.evaluate(
        f"for (const button of ['#listen', '[data-id=\"{bert}\"]']) document.querySelector(button).click()"
    )
    wait_for(lambda: browser.evaluate("contexts.map(({state}) => state)") == ["closed"], "the sound to be put away")
    assert [state_of(url, session)["listening"] for session in (anna, bert)] == [0, 0]
    browser.open("about:blank")  # else it is another therapist of the sessions to come
    for session in (anna, bert):
        call(f"{url}api/sessions/{session}", "DELETE")


def test_a_press_that_is_not_yet_written_down_says_so_and_is_not_answered_at_another_patient(
    therapist: Page, url: str
) -> None:
    bert, _anna = watch_new(therapist, url, "bert-locked"), watch_new(therapist, url, "anna-locked")
    therapist.click("#hold")
    wait_for(lambda: therapist.text("#answer") == "Done: hold.", "the hold")
    with locked_journal():
        therapist.click("#too-much")
        wait_for(lambda: therapist.text("#answer") == "", "the last answer to go")
        late = "Sent: too much. Not yet written down."
        wait_for(lambda: therapist.text("#answer") == late, "word of the press")
        therapist.click(f"#cards [data-id='{bert}']")
        therapist.evaluate(
            "window.said = []; new MutationObserver(() => said.push(document.querySelector('#answer').textContent))"
            ".observe(document.querySelector('#answer'), {childList: true})"
        )
    therapist.click("#hold")
    wait_for(lambda: therapist.text("#answer") == "Done: hold.", "the hold of the other")
    assert {text for text in therapist.evaluate("said") if "too much" in text} == set()


def test_a_new_page_offers_the_settings_of_the_last_time(therapist: Page, url: str) -> None:
    wish = {"patient": "bert-office", "minutes": 22, "region": {"valence": [-0.4, 1], "arousal": [-1, 0.25]}}
    call(f"{url}api/sessions", "POST", {"goal": "peaceful", **wish})
    therapist.click("#to-prepare")
    wait_for(lambda: call(f"{url}api/patients/bert-office/plan"), "the session to be written down")
    write(therapist, "#patient", "bert-office")
    therapist.key("Tab")
    wait_for(lambda: "22 min" in therapist.text("#last-time"), "the last time's settings")
    therapist.click("#last-time button")
    assert values(therapist, "minutes", "region.valence.0", "region.arousal.1") == ["22", "-0.4", "0.25"]
    assert values(therapist, "patient") == ["bert-office"]


@pytest.mark.parametrize(
    "name",
    [
        *("patient", "goal.valence", "goal.arousal", "region.valence.0", "region.arousal.1", "step", "patience"),
        *("tolerance", "minutes", "ending_seconds", "tempo_bpm.0", "loudest_lufs", "loudest_dba"),
    ],
)
@pytest.mark.parametrize("typed", [HOSTILE, "9" * 400])
def test_what_the_server_refuses_is_said_at_its_field_and_nothing_is_lost(
    therapist: Page, name: str, typed: str
) -> None:
    field = f"#prepare [name='{name}']"
    write(therapist, "#minutes", "21")
    write(therapist, field, typed)
    therapist.click("#prepare button[type=submit]")
    wait_for(lambda: therapist.evaluate("document.querySelector('#prepare [aria-invalid]') !== null"), "a refusal")
    blamed, said, kept = therapist.evaluate(
        "(({name, value, parentElement}) => [name, document.querySelector('#prepare .field .problem').textContent,"
        f" document.querySelector({field!r}).value])(document.activeElement)"
    )
    assert blamed.rsplit(".", 1)[0] == name.rsplit(".", 1)[0]
    assert said
    assert kept == typed
    assert name == "minutes" or values(therapist, "minutes") == ["21"]
    assert therapist.evaluate("document.querySelector('#prepare img') === null")


def test_goal_and_region_are_dragged_on_the_plane(therapist: Page) -> None:
    therapist.drag([on_plane(therapist, "#prepare-plane", place) for place in ((0.56, -0.31), (0.2, 0.1), (0.3, 0.4))])
    therapist.drag([on_plane(therapist, "#prepare-plane", place) for place in ((-1, -1), (-0.5, -0.7), (-0.4, -0.6))])
    shown = values(therapist, "goal.valence", "goal.arousal", "region.valence.0", "region.arousal.0")
    assert [float(text) for text in shown] == pytest.approx([0.3, 0.4, -0.4, -0.6], abs=0.02)


def test_the_goal_is_moved_by_keys_and_named_for_those_who_do_not_see(therapist: Page) -> None:
    therapist.evaluate("document.querySelector('#prepare-plane svg').focus()")
    therapist.key("ArrowRight")
    therapist.key("ArrowUp")
    assert values(therapist, "goal.valence") == ["0.61"]
    assert "pleasantness 0.6" in str(therapist.attribute("#prepare-plane svg", "aria-valuetext"))


def test_a_key_that_is_held_down_moves_the_goal_many_times_and_wishes_for_it_once(therapist: Page, url: str) -> None:
    session = watch_new(therapist, url, "keys-office")
    goal = state_of(url, session)["goal"]
    therapist.evaluate("document.querySelector('#watch-plane svg').focus()")
    for _ in range(4):
        therapist.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft")
    assert therapist.text("#answer") == ""
    therapist.key("ArrowLeft")
    wait_for(lambda: therapist.text("#answer") == "Done: new goal.", "the new goal")
    assert state_of(url, session)["goal"]["valence"] == pytest.approx(goal["valence"] - 0.25)
    assert news(therapist).count("therapist 1: new goal") == 1


def test_who_steers_what_has_ended_is_told_that_it_has(therapist: Page, url: str) -> None:
    session = watch_new(therapist, url, "over-office")
    call(f"{url}api/sessions/{session}", "DELETE")
    wait_for(lambda: therapist.text("#watch-phase") == "ended", "the end")
    therapist.drag([on_plane(therapist, "#watch-plane", (-0.5, -0.5))])
    wait_for(lambda: therapist.text("#answer") == "The session has ended.", "the reason")


def test_a_preparation_outlives_another_language(therapist: Page, url: str) -> None:
    therapist.click("#to-prepare")
    write(therapist, "#patient", "half-done")
    write(therapist, "#minutes", "21.5")
    choose(therapist, "#goal", "happy")
    therapist.click("#add-pause")
    write(therapist, "[name='pauses.0.after_minutes']", "7")
    therapist.click("#prepare [name=sensitive]")
    therapist.evaluate(
        "((list) => { list.value = 'de'; list.dispatchEvent(new Event('change')); })"
        "(document.querySelector('#language'))"
    )
    wait_for(
        lambda: therapist.evaluate("document.querySelector('html[lang=de] [data-view=prepare]') !== null"), "German"
    )
    names = ("patient", "minutes", "goal", "goal.valence", "pauses.0.after_minutes", "pauses.0.minutes")
    assert values(therapist, *names) == ["half-done", "21,5", "happy", "0,83", "7", "2"]
    assert therapist.evaluate("document.querySelector('#prepare [name=sensitive]').checked")
    open_page(therapist, url)
    assert values(therapist, "patient") == [""]


def test_a_preparation_outlives_the_token_of_who_makes_it(therapist: Page) -> None:
    write(therapist, "#patient", "half-done")
    therapist.evaluate(
        "void (window.fetch = async () => new Response(JSON.stringify({code: 'token_expired'}), {status: 401}))"
    )
    is_new = "window.fetch.toString().includes('native') && document.querySelector('[data-view=prepare]') !== null"
    wait_for(lambda: therapist.evaluate(is_new), "the page to ask who is there, and to let them in")
    assert values(therapist, "patient") == ["half-done"]


def test_limits_that_are_being_typed_stay_when_others_change(therapist: Page, url: str) -> None:
    session = watch_new(therapist, url, "typed-office")
    therapist.click("#limits summary")
    write(therapist, "#limits [name='tempo_bpm.0']", "50")
    therapist.click("#forbidden input[value=percussion]")
    therapist.evaluate("document.querySelector('#watch-plane').scrollIntoView({block: 'center'})")
    therapist.drag([on_plane(therapist, "#watch-plane", place) for place in ((1, 1), (0.9, 0.8), (0.8, 0.6))])
    field = "document.querySelector(\"#limits [name='{}']\").value"
    wait_for(lambda: therapist.evaluate(field.format("region.arousal.1")) != "1", "the limits that were dragged")
    assert therapist.evaluate(field.format("tempo_bpm.0")) == "50"
    assert therapist.evaluate("document.querySelector('#forbidden input[value=percussion]').checked")
    assert state_of(url, session)["bounds"]["tempo_bpm"] is None


def test_limits_change_while_it_plays(therapist: Page, url: str) -> None:
    session = watch_new(therapist, url, "carl-office", start="sad")
    therapist.click("#toggle")
    wait_for(lambda: has_begun(therapist), "the session to play", 60)
    assert state_of(url, session)["clip"]["key"] not in fact(therapist, "Plays")  # "A aeolian" is A minor to its reader
    therapist.click("#limits summary")
    write(therapist, "#limits [name='region.valence.0']", "-0.2")
    therapist.click("#forbidden input[value=percussion]")
    therapist.click("#limits button[type=submit]")
    wait_for(lambda: therapist.text("#answer") == "Done: new limits.", "the new limits")
    bounds = state_of(url, session)["bounds"]
    assert (bounds["region"]["valence"], bounds["forbid"]) == ([-0.2, 1], ["percussion"])
    write(therapist, "#limits [name='region.valence.0']", "2")
    therapist.click("#limits button[type=submit]")
    wait_for(lambda: therapist.evaluate("document.querySelector('#limits [aria-invalid]') !== null"), "a refusal")
    assert therapist.evaluate("document.querySelector(\"#limits [name='region.valence.0']\").value") == "2"


def test_another_therapist_is_told_who_steers(
    therapist: Page, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    watch_new(therapist, url, "dora-office")
    with chromium(tmp_path_factory.mktemp("second")) as second:
        open_page(second, url)
        wait_for(lambda: fact(second, "Goal"), "the session in the other browser")
        second.click("#hold")
        wait_for(lambda: "therapist 2: hold" in news(therapist), "the news of the other")
        wait_for(lambda: therapist.attribute("#hold", "aria-pressed") == "true", "the hold")


def test_eight_patients_have_cards_and_the_one_in_need_comes_first(therapist: Page, url: str) -> None:
    sessions = [call(f"{url}api/sessions", "POST", {"goal": "calm", "patient": f"many-{i}"})["id"] for i in range(8)]
    wait_for(lambda: therapist.evaluate("document.querySelectorAll('#cards button').length") == 8, "eight cards")
    therapist.click(f"#cards [data-id='{sessions[3]}']")
    wait_for(lambda: fact(therapist, "Goal"), "its state")
    therapist.click("#toggle")
    wait_for(lambda: has_begun(therapist), "it to play", 60)
    therapist.click("#too-much")
    calm = "calm after “too much”"
    wait_for(lambda: therapist.text("#cards button .phase") == calm, "the one who finds it too much")
    assert therapist.attribute("#cards button", "data-id") == sessions[3]
    therapist.evaluate("document.querySelector('#cards button').focus()")
    therapist.key("ArrowRight")
    assert therapist.evaluate("document.activeElement.dataset.id") != sessions[3]


def test_a_session_that_nobody_listens_to_comes_first_and_says_so(therapist: Page, url: str) -> None:
    watch_new(therapist, url, "fay-office")
    therapist.click("#toggle")
    wait_for(lambda: therapist.text("#warnings").startswith("nobody is listening"), "the warning", 60)
    assert therapist.text("#cards button .warning") == "nobody is listening"


def test_on_a_phone_the_reports_of_past_sessions_are_in_reach(therapist: Page, url: str) -> None:
    call(f"{url}api/sessions", "POST", {"goal": "calm", "patient": f"gus-office-{'x' * 30}"})
    therapist.open(f"{url}therapist.html?lang=de", 390, 844)
    wait_for(lambda: view(therapist) == "watch", "the page")
    therapist.click("#to-past")
    ends = "[...document.querySelectorAll('#past-rows :is(a, td)')].map((part) => part.getBoundingClientRect().right)"
    wait_for(lambda: therapist.evaluate(ends), "the past sessions")
    assert max(therapist.evaluate(ends)) <= 390


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_view_keeps_anybody_out(therapist: Page, url: str, language: str) -> None:
    found = {}
    open_page(therapist, url, language)
    therapist.evaluate("document.querySelectorAll('#prepare details').forEach((part) => part.open = true)")
    therapist.click("#add-pause")
    found["prepare"] = violations(therapist)
    write(therapist, "#minutes", "x")
    therapist.click("#prepare button[type=submit]")
    wait_for(lambda: therapist.evaluate("document.querySelector('#prepare [aria-invalid]') !== null"), "a refusal")
    found["refused"] = violations(therapist)
    write(therapist, "#minutes", "15")
    therapist.click("#prepare button[type=submit]")
    wait_for(lambda: therapist.evaluate("document.querySelector('#qr svg') !== null"), "the patient's link")
    found["invitation"] = violations(therapist)
    therapist.click("#to-watch")
    therapist.click("#limits summary")
    found["watch"] = violations(therapist)
    therapist.click("#to-past")
    wait_for(lambda: therapist.evaluate("document.querySelector('#past-rows tr') !== null"), "the past sessions")
    found["past"] = violations(therapist)
    assert found == {state: [] for state in found}


def test_a_guest_of_the_page_needs_a_token_and_leaves_none_in_the_address(
    office: Page, guarded: tuple[str, str]
) -> None:
    address, token = guarded
    office.open(f"{address}therapist.html?lang=en")
    wait_for(lambda: is_asked(office), "the question for a token")
    assert violations(office) == []
    for said in ("nonsense", token):
        write(office, "#access", said)
        office.click("#login button")
        if said != token:
            wait_for(lambda: "not known" in office.text("#login-problem"), "the refusal")
    wait_for(lambda: view(office) == "prepare", "the page")
    assert office.text("#who") == "Thea"
    assert token not in office.evaluate("location.href + document.documentElement.outerHTML")
    office.click("#prepare button[type=submit]")
    wait_for(lambda: view(office) == "invitation", "a session of a guarded server")
    office.open(f"{address}therapist.html?lang=de")
    wait_for(lambda: view(office) == "watch", "the page, which its tab remembers")
    assert office.attribute("html", "lang") == "de"
    office.click("#leave")
    wait_for(lambda: is_asked(office), "the question for a token again")


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[str, str]]:
    """A server with an administrator's key, and a therapist's token for it."""
    from benchmarks.listener import serving

    key = "the-key-that-these-tests-use"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSICMED_ADMIN_KEY", key)
        with serving("--journal", "none") as (address, _):
            asked = urllib.request.Request(
                f"{address}api/tokens",
                json.dumps({"role": "therapist", "name": "Thea"}).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
            )
            with urllib.request.urlopen(asked, timeout=20) as answer:
                yield address, json.load(answer)["token"]
