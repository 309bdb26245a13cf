"""What waits until the server says that it is done."""

from typing import Any

from tests.e2e.browser import Page
from tests.web.conftest import run_script


def waiting(page: Page, script: str) -> Any:
    """The types of the messages that wait after `script`."""
    setup = "const {Outbox} = await import('/outbox.js'); const outbox = new Outbox('page');"
    return run_script(page, f"{setup}{script}; return outbox.messages.map(({{type}}) => type);")


def test_a_message_waits_until_it_is_done(modules: Page) -> None:
    assert waiting(modules, "outbox.put({type: 'play'})") == ["play"]
    assert waiting(modules, "outbox.settle(outbox.put({type: 'play'}).id)") == []


def test_of_several_of_a_kind_the_latest_counts_and_waits_in_its_new_place(modules: Page) -> None:
    said = "for (const type of ['play', 'pause', 'play']) outbox.put({type})"

    assert waiting(modules, said) == ["pause", "play"]


def test_what_was_said_before_does_not_settle_what_was_said_after_it(modules: Page) -> None:
    said = "const first = outbox.put({type: 'report', valence: 0.1}); outbox.put({type: 'report', valence: 0.2});"

    assert waiting(modules, f"{said} outbox.settle(first.id)") == ["report"]


def test_no_two_messages_have_the_same_id(modules: Page) -> None:
    script = (
        "const {Outbox} = await import('/outbox.js'); const [one, other] = [new Outbox('a'), new Outbox('b')];"
        "return [one, one, other].map((outbox) => outbox.put({type: 'play'}).id);"
    )

    assert len(set(run_script(modules, script))) == 3


def test_an_id_of_somebody_else_settles_nothing(modules: Page) -> None:
    assert waiting(modules, "outbox.put({type: 'play'}); outbox.settle('other-1'); outbox.settle(undefined)") == [
        "play"
    ]


def test_after_clear_nothing_waits(modules: Page) -> None:
    assert waiting(modules, "outbox.put({type: 'play'}); outbox.clear()") == []
