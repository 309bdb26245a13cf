"""`musicmed-live access`: tokens for the staff, given out and taken back by whoever looks after the server."""

import argparse
import sys
from datetime import UTC, datetime

from musicmed_live.errors import InvalidInput
from musicmed_live.service.access import (
    MOST_DAYS,
    Access,
    StaffRole,
    check_person,
    kept_secret,
    parse_staff_role,
    renew_secret,
    secret_path,
)

DEFAULT_DAYS = 30


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line's others."""
    access = commands.add_parser("access", help="let the staff in, and out again")
    actions = access.add_subparsers(required=True, metavar="ACTION")
    granted = actions.add_parser("grant", help="print a token for one of the staff; it is kept nowhere")
    granted.add_argument("--role", metavar="ROLE", required=True, help=f"one of: {', '.join(StaffRole)}")
    granted.add_argument("--name", metavar="NAME", required=True, help="of the person, as the others are told it")
    granted.add_argument(
        "--days", metavar="N", default=str(DEFAULT_DAYS), help=f"how long it is good; default: {DEFAULT_DAYS}"
    )
    granted.set_defaults(run=grant)
    revoked = actions.add_parser("revoke", help="take back every token, those of open sessions included")
    revoked.add_argument("--all", action="store_true", required=True, help="there are no others to choose from")
    revoked.set_defaults(run=revoke)


def grant(options: argparse.Namespace) -> None:
    """Print a token on stdout, and about it on stderr, so that it can be piped."""
    role, name = parse_staff_role(options.role), check_person(options.name)
    days = parse_days("--days", options.days, MOST_DAYS)
    access = Access(kept_secret(secret_path()))
    token = access.grant(role, name=name, seconds=days * 86400)
    expires = access.check(token).expires
    assert expires is not None
    sys.stdout.write(token + "\n")
    sys.stderr.write(f"{role} {name}, until {datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M} UTC\n")


def revoke(_options: argparse.Namespace) -> None:
    """Renew the secret. A server that runs takes it over by itself."""
    renew_secret(secret_path())
    sys.stdout.write(
        "Every token is taken back, within seconds where the server runs. What is connected stays so until it leaves; "
        "restart the server to have it ask again.\n"
    )


def parse_days(option: str, text: str, most: int) -> int:
    """A number of days as it was typed. Raises `InvalidInput`."""
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
        raise InvalidInput(f"{option}: {text[:60]!r} is not a whole number of days from 1 to {most}", "days")
    return int(text)
