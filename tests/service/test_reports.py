"""`musicmed-live journal` and `musicmed-live report`, as somebody types them."""

import csv
import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from musicmed_live.cli import main
from musicmed_live.journal.entries import Kind
from musicmed_live.journal.store import Journal
from musicmed_live.service.reports import default_address
from tests.journal.stories import ANNA, entry, opened, story

BERT = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Of a journal with a session of anna's that has ended and one of bert's that never played."""
    written = f"sqlite:///{tmp_path}/journal.sqlite"
    with closing(Journal(written)) as journal:
        journal.write(story())
        journal.write([entry(60, Kind.OPENED, opened("bert"), BERT)])
    return written


def says(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines on standard output."""
    main(list(arguments))
    return capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert said.count("\n") == 1
    return said


def test_sessions_are_listed_with_when_how_long_and_who(capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert says(capsys, "journal", "list", "--journal", address) == [
        f"{BERT}  2026-09-21 14:14 UTC   not ended  bert",
        f"{ANNA}  2026-09-21 14:13 UTC   15:00 min  anna",
    ]
    assert says(capsys, "journal", "list", "--journal", address, "--patient", "bert") == [
        f"{BERT}  2026-09-21 14:14 UTC   not ended  bert"
    ]
    assert says(capsys, "journal", "list", "--journal", address, "--patient", "carl") == ["no sessions"]


def test_a_patient_is_forgotten_on_request(capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert says(capsys, "journal", "forget", "--journal", address, "--patient", "anna") == ["1 session of anna deleted"]
    assert says(capsys, "journal", "forget", "--journal", address, "--patient", "anna") == [
        "0 sessions of anna deleted"
    ]
    assert len(says(capsys, "journal", "list", "--journal", address)) == 1


def test_a_report_is_written_where_one_wishes(
    capsys: pytest.CaptureFixture[str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, table = tmp_path / "a.html", tmp_path / "a.csv"
    told = says(capsys, "report", ANNA[:6], "--journal", address, "--out", str(page), "--csv", str(table))
    assert told == [str(page), str(table)]
    assert "<h1>Session of anna, 2026-09-21 14:13 UTC</h1>" in page.read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(table.read_bytes().decode())))
    assert len(rows) > len(story())
    monkeypatch.chdir(tmp_path)
    assert says(capsys, "report", ANNA, "--journal", address) == ["session-01234567.html"]
    assert (tmp_path / "session-01234567.html").read_text("utf-8") == page.read_text("utf-8")


def test_a_session_that_never_played_has_a_report(
    capsys: pytest.CaptureFixture[str], address: str, tmp_path: Path
) -> None:
    says(capsys, "report", BERT, "--journal", address, "--out", str(tmp_path / "b.html"))
    assert "This session never played" in (tmp_path / "b.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "beef"), "none whose id begins with"),
        (("report", ""), "none whose id begins with"),
        (("report", ANNA, "--out", "/proc/none/a.html"), "name another file"),
        (("journal", "list", "--patient", "anna maria"), "is not a pseudonym"),
        (("journal", "forget", "--patient", "*"), "is not a pseudonym"),
        (("journal", "forget"), "--patient"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], address: str, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused(capsys, *arguments, "--journal", address)


@pytest.mark.parametrize("command", ["serve", "play"])
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--journal", "mysql://host/a", "is not sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("--journal", "", "is not sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("--journal", "sqlite:////", "is a folder; name a file in it"),
        ("--journal", "sqlite:////no/such/folder/journal.sqlite", "there is no folder /no/such/folder; make it"),
        ("--journal", "journal.sqlite", "is not sqlite:///FILE or postgresql://USER@HOST/NAME"),
        *(
            ("--keep-days", days, "is not a whole number of days from 1 to 36500")
            for days in ("0", "-1", "x", "9" * 5000)
        ),
    ],
)
def test_a_server_refuses_what_it_cannot_keep(
    capsys: pytest.CaptureFixture[str], command: str, option: str, value: str, words: str
) -> None:
    assert words in refused(capsys, command, "--port", "0", f"{option}={value}")


def test_a_server_refuses_a_journal_of_a_newer_version(
    capsys: pytest.CaptureFixture[str], address: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as newer, newer:
        newer.execute("UPDATE schema SET version = 1000")
    assert "it is of version 1000" in refused(capsys, "serve", "--port", "0", "--journal", address)


def test_a_server_leaves_another_program_s_database_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "photos.sqlite"
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("CREATE TABLE photos (name TEXT)")
    before = path.read_bytes()
    for arguments in (("serve", "--port", "0"), ("journal", "list")):
        words = refused(capsys, *arguments, "--journal", f"sqlite:///{path}")
        assert "is another program's database; name another file" in words
    assert path.read_bytes() == before


@pytest.mark.parametrize("there", ["nothing", "an empty file"])
@pytest.mark.parametrize("arguments", [("journal", "list"), ("report", ANNA), ("journal", "forget", "--patient", "a")])
def test_what_only_looks_makes_no_journal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], there: str
) -> None:
    path = tmp_path / "jurnal.sqlite"
    if there != "nothing":
        path.touch()
    assert "there is no journal at sqlite:///" in refused(capsys, *arguments, "--journal", f"sqlite:///{path}")
    assert path.exists() == (there != "nothing")


def test_where_no_journal_was_ever_kept_there_is_none_to_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert "there is no journal at" in refused(capsys, "journal", "list")
    assert not list(tmp_path.iterdir())


def test_the_journal_is_the_user_s_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert default_address() == "sqlite:////srv/state/musicmed-live/journal.sqlite"
