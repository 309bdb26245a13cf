"""What the display says."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.wearable.display import PLAIN_SECONDS, TO_LINE_START, Display
from clients.wearable.reading import HeartRate
from clients.wearable.status import NOTICES, Status


class Terminal(io.StringIO):
    """An output that can be rewritten."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def status() -> Status:
    return Status("Polar H10 1A2B3C4D", "ward:1883", "ok", "ok")


def test_the_line_says_how_heart_links_and_readings_stand(status: Status) -> None:
    assert status.line(0.0).startswith("no beat yet | Polar H10 1A2B3C4D ok | server ok")
    status.take(HeartRate(72, (833.0, 840.0), True), 10.0)
    status.sent, status.lost = 120, 3
    assert status.line(11.0).startswith("72 bpm, in contact | ")
    assert status.line(11.0).endswith(" | 120 sent, 3 lost, 2 RR")


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (HeartRate(72, contact=None), "72 bpm |"),
        (HeartRate(None, contact=False), "no rate, no contact |"),
        (HeartRate(None, (800.0,)), "no rate |"),
    ],
)
def test_what_is_not_known_is_not_said(status: Status, reading: HeartRate, said: str) -> None:
    status.take(reading, 10.0)
    assert status.line(10.0).startswith(said)


def test_silence_is_said_with_its_length(status: Status) -> None:
    status.take(HeartRate(72), 10.0)
    assert status.line(22.4).startswith("nothing for 12 s | ")


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=99))
def test_what_was_just_said_is_not_said_again_and_notices_are_bounded(texts: list[str]) -> None:
    status = Status("strap", "ward")
    for text in texts:
        status.note(text)
    assert len(status.notices) <= NOTICES
    assert all(before != after for before, after in pairwise(status.notices))


def test_on_a_terminal_the_line_is_rewritten_below_the_notices(status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    display = Display(status, terminal)
    status.note("ward:1883: connected")
    display.refresh(0.0)
    display.refresh(0.5)
    line = TO_LINE_START + status.line(0.0)[:39]
    assert terminal.getvalue() == f"{TO_LINE_START}ward:1883: connected\n{line}{line}"


def test_elsewhere_a_line_comes_when_a_link_changes_and_now_and_then(status: Status) -> None:
    out = io.StringIO()
    display = Display(status, out)
    for now in (0.0, 0.5, 1.0):
        display.refresh(now)
    status.server_link = "lost"
    for now in (1.5, 2.0, 2.5 + PLAIN_SECONDS):
        display.refresh(now)
    lines = out.getvalue().splitlines()
    assert [line.split(" | ")[2] for line in lines] == ["server ok", "server lost", "server lost"]
    assert TO_LINE_START not in out.getvalue()


def test_the_last_word_is_how_it_stood(status: Status) -> None:
    out = io.StringIO()
    display = Display(status, out)
    display.refresh(0.0)
    status.sent = 5
    status.note("the session has ended")
    display.close(0.1)
    assert out.getvalue().endswith("the session has ended\n" + status.line(0.1) + "\n")
