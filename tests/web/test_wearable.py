"""How a wearable joins: one line to copy."""

from tests.e2e.browser import Page, wait_for
from tests.web.conftest import run_script
from tests.web.stage import SENSOR_TOKEN, Stage, on_stage


def test_the_command_names_this_server_the_session_and_a_sensors_token(live: Stage, address: str) -> None:
    host = address.removeprefix("http://")

    assert live.page.text("#wearable-command") == (
        f"musicmed-wearable simulate --session 'ws://{host}/api/sessions/abc/live?token={SENSOR_TOKEN}'"
    )


def test_a_page_that_came_encrypted_is_joined_encrypted(modules: Page) -> None:
    address = run_script(
        modules,
        "const {liveAddress} = await import('/api.js');"
        "return liveAddress('abc', 'a&b', 'https://music.example/index.html?goal=calm#x');",
    )

    assert address == "wss://music.example/api/sessions/abc/live?token=a%26b"


def test_it_says_by_what_name_the_patient_is_known(live: Stage) -> None:
    live.tell(patient="guest-3f9a2c")

    assert live.page.text("#wearable-patient") == "guest-3f9a2c"


def test_it_is_there_only_while_a_session_runs(stage: Stage) -> None:
    assert not stage.is_shown("#wearable")

    stage.start()
    stage.show_more()
    assert stage.is_shown("#wearable")

    stage.page.evaluate("sockets.at(-1).onclose({code: 1000})")
    assert not stage.is_shown("#wearable")
    assert SENSOR_TOKEN not in stage.page.text("body")


def test_who_was_only_invited_has_no_sensors_token_to_give(tab: Page, address: str) -> None:
    with on_stage(tab, f"{address}/index.html#session=abc&token=secret") as stage:
        stage.page.click("#start")
        wait_for(lambda: stage.page.attribute("body", "data-stage") == "live", "the session to be joined")

        stage.show_more()
        assert not stage.is_shown("#wearable")


def test_copy_puts_the_command_on_the_clipboard(live: Stage) -> None:
    copied = copy(live, "async (text) => { globalThis.copied = text; }")

    assert live.page.evaluate("globalThis.copied") == live.page.text("#wearable-command")
    assert copied == "Copied"


def test_where_the_clipboard_is_refused_the_command_is_marked(live: Stage) -> None:
    copied = copy(live, "async () => { throw new DOMException('no', 'NotAllowedError'); }")

    assert live.page.evaluate("getSelection().toString()") == live.page.text("#wearable-command")
    assert copied == "Marked: copy it by hand"


def copy(stage: Stage, write: str) -> str:
    """Press the button with that clipboard; what the button says then."""
    stage.page.evaluate(f"navigator.clipboard.writeText = {write}; undefined")
    stage.show_more()
    stage.page.click("#wearable summary")
    stage.page.click("#wearable-copy")
    wait_for(lambda: stage.page.text("#wearable-copy") != "Copy", "the button to answer")
    return stage.page.text("#wearable-copy")
