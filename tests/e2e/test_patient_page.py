"""What a patient does on the page, and what comes out of the loudspeaker."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from musicmed_live.core.messages import SUBPROTOCOL
from tests.e2e.browser import Page, wait_for
from tests.e2e.network import network
from tests.e2e.patient import (
    AUDIBLE_DBFS,
    is_near,
    let_settle,
    music_point,
    on_pad,
    open_page,
    path_end,
    seconds_played,
    show_more,
    start_music,
)
from tests.e2e.sound import Recording, centroid_hz, level_dbfs, longest_gap_s

SILENT_DBFS = -60.0

CALM = (0.4, -0.8)
EXCITED = (0.6, 0.9)


def test_start_brings_music_without_a_gap(page: Page, heard: Recording) -> None:
    start_music(page, heard)

    assert longest_gap_s(heard.next(5.0), SILENT_DBFS) < 0.3


def test_who_reloads_the_page_goes_on_where_the_music_is(page: Page, heard: Recording, url: str) -> None:
    start_music(page, heard)
    wait_for(lambda: seconds_played(page) >= 2, "a moment of music")
    before = seconds_played(page)

    page.open(url)
    wait_for(lambda: page.text("#start") == "Go on", "the page to know its session")
    start_music(page, heard)

    assert seconds_played(page) >= before


def test_the_status_says_in_words_what_plays(page: Page, heard: Recording) -> None:
    start_music(page, heard)

    assert page.text("#why") == "Playing neutrally until you say how you feel."
    assert re.search(r"\d+ beats a minute · \w+", page.text("#playing"))
    assert re.fullmatch(r"0:\d\d of 15:00", page.text("#time"))


def test_moving_the_point_from_calm_to_excited_makes_the_music_louder_and_brighter(
    page: Page, url: str, heard: Recording
) -> None:
    open_page(page, f"{url}?seed=1")  # in some music there is less to be heard of it within four seconds
    page.drag([on_pad(page, CALM)])
    start_music(page, heard)
    heard.next(1.0)
    calm = heard.next(4.0)

    page.drag([on_pad(page, CALM), on_pad(page, (0.5, 0.0)), on_pad(page, EXCITED)])
    wait_for(lambda: is_near(music_point(page), EXCITED), "the music to meet the patient")
    heard.next(1.0)
    excited = heard.next(4.0)

    assert level_dbfs(excited) > level_dbfs(calm) + 1.0
    assert centroid_hz(excited) > 1.2 * centroid_hz(calm)


def test_too_much_makes_it_softer_at_once_and_it_stays_so_until_play(page: Page, heard: Recording) -> None:
    page.drag([on_pad(page, EXCITED)])
    start_music(page, heard)
    heard.next(1.0)
    loud = level_dbfs(heard.next(3.0))

    page.click("#too-much")
    heard.next(0.5)
    at_once = level_dbfs(heard.next(1.0))
    later = level_dbfs(heard.next(3.0))

    assert at_once < loud - 6.0
    assert AUDIBLE_DBFS < later < loud - 6.0
    assert page.text("#phase").startswith("Softer now")
    page.click("#toggle")
    wait_for(lambda: page.text("#toggle") == "Pause", "the music to go on")


def test_stop_ends_in_silence_and_back_at_the_start(page: Page, heard: Recording) -> None:
    start_music(page, heard)

    page.click("#stop")

    wait_for(lambda: page.attribute("body", "data-stage") == "start", "the page to go back to its start")
    wait_for(lambda: level_dbfs(heard.next(0.2)) < SILENT_DBFS, "silence")
    assert page.is_visible("#start")
    assert longest_gap_s(heard.next(1.0), SILENT_DBFS) == pytest.approx(1.0)


def test_while_the_stop_fades_nothing_can_be_pressed_that_would_be_refused(page: Page, heard: Recording) -> None:
    start_music(page, heard)
    page.evaluate(
        "problems = []; new MutationObserver(([{target}]) => problems.push(target.textContent))"
        ".observe(document.querySelector('#problem'), {childList: true})"
    )

    page.click("#stop")
    wait_for(lambda: page.text("#phase") == "The session has ended.", "the fade")
    assert page.evaluate("document.querySelectorAll('#toggle:disabled, #too-much:disabled').length") == 2
    page.click("#stop")
    page.drag([on_pad(page, EXCITED)])

    wait_for(lambda: page.attribute("body", "data-stage") == "start", "the page to go back to its start")
    assert not any(page.evaluate("problems"))
    start_music(page, heard)
    assert page.evaluate("document.querySelectorAll('#toggle:enabled, #too-much:enabled').length") == 2


def test_pause_stands_still_and_play_goes_on_from_there(page: Page, heard: Recording) -> None:
    start_music(page, heard)

    page.click("#toggle")
    wait_for(lambda: page.text("#toggle") == "Play", "the pause")
    wait_for(lambda: level_dbfs(heard.next(0.2)) < SILENT_DBFS, "silence")
    paused_at = seconds_played(page)
    heard.next(2.0)
    assert seconds_played(page) == paused_at

    page.click("#toggle")
    wait_for(lambda: level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS, "the music to go on")
    assert paused_at <= seconds_played(page) <= paused_at + 3


def test_arrow_keys_move_the_point_and_the_music_meets_it(page: Page, heard: Recording) -> None:
    start_music(page, heard)

    page.evaluate("document.querySelector('#pad').focus()")
    for key in ["ArrowUp"] * 12 + ["ArrowLeft"] * 4:
        page.key(key)

    assert "pleasantness -0.2, liveliness 0.6" in str(page.attribute("#pad", "aria-valuetext"))
    wait_for(lambda: is_near(music_point(page), (-0.2, 0.6)), "the music to meet the patient")


def test_a_slider_moves_the_point_and_the_music_meets_it(page: Page, heard: Recording, url: str) -> None:
    open_page(page, f"{url}?control=sliders")
    start_music(page, heard)

    page.drag([page.point_in("#arousal", 0.5), page.point_in("#arousal", 0.6), page.point_in("#arousal", 0.9)])
    arousal = page.evaluate("document.querySelector('#arousal').valueAsNumber")

    assert arousal > 0.7
    wait_for(lambda: is_near(music_point(page), (0.0, arousal)), "the music to meet the patient")


def test_a_tap_on_a_face_is_all_it_takes(page: Page, heard: Recording, url: str) -> None:
    open_page(page, f"{url}?control=faces")
    page.click("#faces-form [value=sad]")
    start_music(page, heard)
    page.click("#faces-form [value=tense]")

    wait_for(lambda: is_near(music_point(page), (-0.54, 0.41)), "the music to meet the patient")


def test_one_switch_starts_the_music_says_a_mood_and_stops(page: Page, heard: Recording, url: str) -> None:
    open_page(page, f"{url}?switch=1")
    choose(page, "start")
    wait_for(lambda: level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS, "sound")

    choose(page, "sad")
    wait_for(lambda: is_near(music_point(page), (-0.65, -0.27)), "the music to meet the patient")
    choose(page, "stop")
    wait_for(lambda: page.attribute("body", "data-stage") == "start", "the page to go back to its start")


def test_the_whole_page_works_by_keyboard(page: Page, heard: Recording) -> None:
    for element in ("pad", "SUMMARY"):
        page.key("Tab")
        assert element in page.evaluate("[document.activeElement.id, document.activeElement.tagName]")
    page.key("Enter")
    for element in ("calm", "relaxed", "peaceful", "sleepy", "content", "happy"):
        page.key("Tab")
        assert page.evaluate("document.activeElement.value") == element
    page.key("Enter")
    assert page.attribute("#goals [value=happy]", "aria-pressed") == "true"

    for element in ("joyful", "excited", "pad", "sliders", "faces", "volume", "en", "de", "start"):
        page.key("Tab")
        assert element in page.evaluate("[document.activeElement.value, document.activeElement.id]")
    page.key("Enter")

    wait_for(lambda: level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS, "sound")


def test_another_goal_turns_the_path(page: Page, heard: Recording) -> None:
    page.drag([on_pad(page, EXCITED)])
    start_music(page, heard)
    assert page.text("#phase") == "Meeting you"

    show_more(page)
    page.click("#goals [value=sleepy]")

    wait_for(lambda: path_end(page) == pytest.approx((0.28, -0.67)), "the path to lead to the new goal")


def test_a_lost_connection_comes_back_where_the_session_is(page: Page, heard: Recording) -> None:
    page.call("Network.enable")
    start_music(page, heard)

    with pulled_cable(page):
        wait_for(lambda: "looking for the connection" in page.text("#quiet"), "the loss to be noticed")
    lost_at = seconds_played(page)

    wait_for(lambda: page.text("#quiet") == "", "the connection to come back")
    wait_for(lambda: level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS, "the music to come back")
    assert seconds_played(page) >= lost_at
    assert page.text("#problem") == ""


def test_too_much_is_heard_also_while_the_connection_is_away(page: Page, heard: Recording) -> None:
    page.call("Network.enable")
    start_music(page, heard)

    with pulled_cable(page):
        wait_for(lambda: "looking for the connection" in page.text("#quiet"), "the loss to be noticed")
        page.click("#too-much")
        wait_for(lambda: level_dbfs(heard.next(0.2)) < SILENT_DBFS, "silence")
    wait_for(lambda: page.text("#phase").startswith("Softer now"), "the server to be told afterwards")
    wait_for(lambda: level_dbfs(heard.next(0.2)) > SILENT_DBFS, "the soft music")


@pytest.mark.parametrize(
    ("move", "taken"),
    [
        ("too-much", "document.querySelector('#phase').textContent.startsWith('Softer now')"),
        ("toggle", "document.querySelector('#toggle').textContent.trim() === 'Play'"),
        ("stop", "document.body.dataset.stage === 'start'"),
    ],
    ids=["too much", "pause", "stop"],
)
def test_what_cannot_wait_is_heard_also_before_the_loss_of_the_connection_is_noticed(
    page: Page, heard: Recording, url: str, move: str, taken: str
) -> None:
    with network(urlsplit(url).port or 80) as cable:
        open_page(page, f"http://127.0.0.1:{cable.port}/")
        start_music(page, heard)

        cable.leave()
        page.click(f"#{move}")
        wait_for(lambda: level_dbfs(heard.next(0.2)) < SILENT_DBFS, "silence", 2.4)
        assert page.text("#quiet") == ""

        cable.come_back()
        wait_for(lambda: page.evaluate(taken), "the server to be told afterwards")
        if move == "too-much":
            wait_for(lambda: level_dbfs(heard.next(0.2)) > SILENT_DBFS, "the soft music")
        page.evaluate("document.querySelector('#stop').click()")
        wait_for(lambda: page.attribute("body", "data-stage") == "start", "the session to end")


def test_a_refused_wish_is_shown_in_the_servers_words(page: Page, url: str) -> None:
    open_page(page, f"{url}?minutes=0.1")
    page.click("#start")

    wait_for(lambda: "minutes: 0.1 is not" in page.text("#problem"), "the server's answer")
    assert page.is_visible("#start")


def test_joining_leaves_a_paused_session_paused(page: Page, url: str) -> None:
    name, token = open_session(url)
    socket = f"{url.replace('http', 'ws')}api/sessions/{name}/live?token={token}"
    with connect(socket, subprotocols=[Subprotocol(SUBPROTOCOL)], ping_interval=None) as somebody_else:
        somebody_else.send('{"type": "play"}')
        somebody_else.send('{"type": "pause"}')
        wait_for(lambda: phase(url, name) == "paused", "the pause")

    join(page, name, token)

    wait_for(lambda: page.text("#toggle") == "Play", "the page to show the pause")
    assert phase(url, name) == "paused"


def test_joining_starts_a_session_that_nobody_has_started(page: Page, url: str, heard: Recording) -> None:
    join(page, *open_session(url))

    wait_for(lambda: level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS, "sound")


def test_who_joins_is_shown_the_sessions_own_goal(page: Page, url: str) -> None:
    join(page, *open_session(url, goal="joyful"), sound="server")

    wait_for(lambda: page.attribute("#goals [value=joyful]", "aria-pressed") == "true", "the goal to be marked")
    assert page.attribute("#goals [value=calm]", "aria-pressed") == "false"


def test_where_the_servers_speaker_plays_the_page_is_silent(page: Page, url: str, heard: Recording) -> None:
    join(page, *open_session(url), sound="server")

    wait_for(lambda: page.text("#playing"), "the page to say what plays")
    assert level_dbfs(heard.next(2.0)) < SILENT_DBFS
    assert not page.evaluate("document.querySelector('#volume').checkVisibility()")


def test_after_a_session_that_was_joined_start_opens_one_of_the_pages_own(
    page: Page, url: str, heard: Recording
) -> None:
    join(page, *open_session(url), sound="server")
    wait_for(lambda: page.text("#playing"), "the page to say what plays")

    page.click("#stop")
    wait_for(lambda: page.attribute("body", "data-stage") == "start", "the page to go back to its start")

    assert page.evaluate("location.href") == url
    start_music(page, heard)
    assert page.evaluate("!document.querySelector('#volume-label').hidden")


def test_the_page_asks_nobody_but_its_own_server(page: Page, url: str) -> None:
    asked = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")

    assert [address for address in asked if not address.startswith((url, "data:"))] == []


def test_without_a_server_the_page_opens_at_once_and_waits_calmly(page: Page, url: str) -> None:
    wait_for(lambda: page.evaluate("navigator.serviceWorker.ready.then(({active}) => active.state)"), "the worker")
    page.call("Network.enable")
    with pulled_cable(page):
        page.open(url)
        wait_for(lambda: "looked for" in page.text("#quiet"), "the page to say that it waits")
        assert page.is_visible("#start")
        assert page.text("#problem") == ""
    wait_for(lambda: page.text("#quiet") == "", "the server to be found", 20)


def test_the_service_worker_keeps_no_call_and_no_sound(page: Page, heard: Recording) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    start_music(page, heard)
    kept = page.evaluate(
        "(async () => { const kept = []; for (const name of await caches.keys())"
        " for (const {url} of await (await caches.open(name)).keys()) kept.push(new URL(url).pathname);"
        " return kept; })()"
    )

    assert "/app.js" in kept
    assert [path for path in kept if path.startswith(("/api/", "/healthz", "/metrics", "/therapist"))] == []


def test_a_newer_version_that_another_tab_brings_in_waits_for_the_end_of_the_session(
    page: Page, heard: Recording, url: str
) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    open_page(page, url)
    start_music(page, heard)
    page.evaluate("globalThis.isOld = true; navigator.serviceWorker.dispatchEvent(new Event('controllerchange'))")
    let_settle(page)
    assert page.evaluate("globalThis.isOld && document.body.dataset.stage") == "live"

    page.click("#stop")
    wait_for(lambda: page.evaluate("globalThis.isOld === undefined"), "the page to load anew")
    wait_for(lambda: page.attribute("#goal-point", "style"), "the page to be there again")


def open_session(url: str, goal: str = "calm") -> tuple[str, str]:
    """Name and patient's token of a session that somebody else opened."""
    body = json.dumps({"start": "happy", "goal": goal}).encode()
    wish = urllib.request.Request(f"{url}api/sessions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(wish, timeout=10) as answer:
        created = json.load(answer)
    return created["id"], created["tokens"]["patient"]


def phase(url: str, session: str) -> str:
    with urllib.request.urlopen(f"{url}api/sessions/{session}", timeout=10) as answer:
        return str(json.load(answer)["phase"])


def join(page: Page, session: str, token: str, sound: str = "here") -> None:
    """Open the address that invites to a session, and press Start."""
    page.evaluate(f"location.hash = 'session={session}&token={token}&sound={sound}'")
    page.click("#start")
    let_settle(page)


def choose(page: Page, button: str) -> None:
    """Wait until the one switch's mark is on a row with the button, press, and again when it is on the button."""
    wait_for(lambda: button in marked(page), f"the mark to come by {button}", 20)
    if len(marked(page)) > 1:
        page.key(" ")
        wait_for(lambda: marked(page) == [button], f"the mark to come to {button}", 20)
    page.key(" ")


def marked(page: Page) -> list[str]:
    buttons: list[str] = page.evaluate("[...document.querySelectorAll('.marked')].map(({id, value}) => id || value)")
    return buttons


@contextmanager
def pulled_cable(page: Page) -> Iterator[None]:
    """No packet comes or goes meanwhile. Needs `Network.enable` before the connection was made."""
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **conditions)
    try:
        yield
    finally:
        page.call("Network.emulateNetworkConditions", offline=False, **conditions)
