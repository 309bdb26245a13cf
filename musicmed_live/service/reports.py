"""`musicmed-live journal` and `musicmed-live report`: what was kept of sessions, told, and forgotten."""

import argparse
import json
import sys
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from musicmed_live.core.messages import parse_patient
from musicmed_live.errors import CannotServe
from musicmed_live.service.profiles import default_folder

if TYPE_CHECKING:
    from musicmed_live.journal.entries import Sitting
    from musicmed_live.journal.store import Journal


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line's others."""
    journal = commands.add_parser("journal", help="what was kept of sessions: list it, delete it")
    actions = journal.add_subparsers(required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="the sessions, the newest first")
    listed.add_argument("--patient", metavar="NAME", help="of this one alone")
    listed.set_defaults(run=list_sessions)
    forgotten = actions.add_parser("forget", help="delete everything that was kept of a patient's sessions")
    forgotten.add_argument("--patient", metavar="NAME", required=True, help="the pseudonym")
    forgotten.set_defaults(run=forget)
    report = commands.add_parser("report", help="what happened in a session: a page, or a table")
    report.add_argument(
        "id", metavar="ID", help="of the session, or its beginning; `musicmed-live journal list` has it"
    )
    report.add_argument(
        "--out", type=Path, metavar="FILE.html", help="default, where nothing else is asked for: session-ID.html"
    )
    report.add_argument("--csv", type=Path, metavar="FILE.csv", help="write a table")
    report.add_argument("--fhir", type=Path, metavar="FILE.json", help="write an HL7 FHIR R4 bundle")
    report.set_defaults(run=write_report)
    for parser in (listed, forgotten, report):
        add_journal(parser)


def add_journal(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Add the option that names a journal."""
    parser.add_argument(
        "--journal",
        metavar="URL",
        help="what happened is kept there: sqlite:///FILE, or postgresql://USER@HOST/NAME; default: a file of this user"
        + more,
    )


def list_sessions(options: argparse.Namespace) -> None:
    """Say which sessions there are."""
    patient = None if options.patient is None else parse_patient({"patient": options.patient})
    with _opened(options) as journal:
        found = journal.sessions(patient)
    for sitting in found:
        _say(f"{sitting.id}  {_utc(sitting.opened_at)}  {_length(sitting):>10}  {sitting.patient}")
    if not found:
        _say("no sessions")


def forget(options: argparse.Namespace) -> None:
    """Delete a patient's sessions."""
    patient = parse_patient({"patient": options.patient})
    assert patient is not None
    with _opened(options) as journal:
        found = journal.forget(patient)
    _say(f"{found} session{'s' * (found != 1)} of {patient} deleted")


def write_report(options: argparse.Namespace) -> None:
    """Write the page, the table, the bundle, or several of them.

    Raises `InvalidInput` where there is no such session.
    """
    from musicmed_live.journal.account import account_of
    from musicmed_live.journal.entries import short_id
    from musicmed_live.journal.fhir import bundle
    from musicmed_live.journal.page import page
    from musicmed_live.journal.table import table

    with _opened(options) as journal:
        sitting = journal.find(options.id)
        account = account_of(sitting, journal.entries(sitting.id))
    out = options.out
    if out is None and options.csv is None and options.fhir is None:
        out = Path(f"session-{short_id(sitting.id)}.html")
    if out is not None:
        _write(out, page(account))
    if options.csv is not None:
        _write(options.csv, table(account))
    if options.fhir is not None:
        _write(options.fhir, json.dumps(bundle(account), indent=1) + "\n")


def default_address() -> str:
    """Where the journal is unless told otherwise: beside the profiles."""
    return f"sqlite:///{default_folder().parent / 'journal.sqlite'}"


def place_of(address: str | None) -> str:
    """The address of the journal that was asked for; None: the default.

    Raises `InvalidInput` where there can be no journal.
    """
    from musicmed_live.journal.database import check_place
    from musicmed_live.service.journaling import NONE

    if address is None:
        return default_address()
    if address != NONE:
        check_place(address)
    return address


def _opened(options: argparse.Namespace) -> "AbstractContextManager[Journal]":
    from musicmed_live.journal.store import Journal

    return closing(Journal(place_of(options.journal), makes=False))


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _length(sitting: "Sitting") -> str:
    if sitting.ended_at is None:
        return "not ended"
    minutes, seconds = divmod(max(0, round(sitting.ended_at - sitting.opened_at)), 60)
    return f"{minutes}:{seconds:02} min"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8", newline="")
    except OSError as fault:
        raise CannotServe(f"{path}: {fault.strerror}; name another file") from None
    _say(str(path))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
