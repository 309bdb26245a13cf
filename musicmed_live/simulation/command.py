"""`musicmed-live simulate`: sessions with virtual patients, a table of what came of them, and a picture."""

import argparse
import sys
from pathlib import Path

from musicmed_live.core.path import Rules
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.simulation.outcomes import run_sessions, tally
from musicmed_live.simulation.patients import PatientKind
from musicmed_live.simulation.picture import draw
from musicmed_live.simulation.sessions import Course, Strategy

PATIENTS, MAX_PATIENTS = 120, 100_000
MINUTES, MAX_MINUTES = 15, 240


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line's others."""
    simulate = commands.add_parser("simulate", help="try the planner on virtual patients: a table, and a picture")
    simulate.add_argument("--patients", metavar="N", default=str(PATIENTS), help=f"how many; default: {PATIENTS}")
    simulate.add_argument("--seed", metavar="N", default="1", help="the same seed draws the same patients; default: 1")
    simulate.add_argument("--minutes", metavar="N", default=str(MINUTES), help=f"of each session; default: {MINUTES}")
    simulate.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw where music and moods went")
    simulate.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    simulate(
        _whole(options.patients, "patients", len(PatientKind), MAX_PATIENTS),
        _whole(options.seed, "seed", 0, 2**32),
        _whole(options.minutes, "minutes", 2, MAX_MINUTES),
        options.picture,
    )


def simulate(patients: int, seed: int, minutes: int, picture: Path | None) -> None:
    """Run the sessions, print the table, draw the picture. Raises `CannotServe` where that cannot be written."""
    courses: list[Course] = []
    for course in run_sessions(patients, seed, minutes * 60, Rules()):
        courses.append(course)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{len(courses)} of {patients * len(Strategy)} sessions")
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    sys.stdout.write(f"{patients} virtual patients, seed {seed}, {minutes} min each\n\n{table(courses)}")
    if picture is None:
        return
    try:
        picture.write_text(draw(courses), encoding="utf-8")
    except OSError as fault:
        raise CannotServe(f"{picture}: {fault.strerror}") from fault
    sys.stdout.write(f"\n{picture}\n")


def table(courses: list[Course]) -> str:
    """A line for each kind of patient and strategy, and for all kinds together."""
    found = tally(courses)
    lines = [f"{'patient':<22}{'strategy':<14}{'to goal, s':>11}{'final':>8}{'apart':>8}{'turns':>8}"]
    for kind in (*PatientKind, None):
        for strategy in Strategy:
            outcome = found[kind, strategy]
            lines.append(
                f"{'all' if kind is None else kind.value:<22}{strategy.value:<14}{outcome.seconds_to_goal:>11.0f}"
                f"{outcome.final_distance:>8.2f}{outcome.mean_distance:>8.2f}{outcome.reversals:>8.1f}"
            )
    return "\n".join(lines) + "\n"


def _whole(text: str, option: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise InvalidInput(f"--{option}: {text[:60]!r} is not a whole number from {low} to {high}", option)
    return int(text)
