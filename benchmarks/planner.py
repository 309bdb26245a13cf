"""What the planner is worth to virtual patients: `python -m benchmarks.planner`.

400 patients of six kinds in sessions of a quarter of an hour: the closed loop against the open linear path, which goes
evenly from the first report to the goal over the whole session; and, as `once_*`, against the planner's own path where
it is planned once from the first report: it leads faster, and stays at either end. A goal that is never reached counts
as the session's length. What the patients are, and why, is in docs/planner.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from benchmarks.report import print_figures, print_table
from musicmed_live.core.path import Rules
from musicmed_live.simulation.outcomes import Key, Outcome, judge_course, run_sessions, tally
from musicmed_live.simulation.patients import PatientKind, draw_patient
from musicmed_live.simulation.sessions import Strategy, run_session

CLOSED, OPEN, ONCE = Strategy.CLOSED, Strategy.OPEN, Strategy.ONCE
PATIENTS = 400
SECONDS = 900
SEED = 1


class Ratios(NamedTuple):
    """Closed loop over open path."""

    seconds_to_goal: float
    final_distance: float
    mean_distance: float


def main() -> None:
    found = tally(run_sessions(PATIENTS, SEED, SECONDS, Rules()))
    figures = _figures(found, OPEN, "") | _figures(found, ONCE, "once_")
    print_figures("planner", {**figures, "returning_noisy_ratio": _returning(PatientKind.NOISY)})


def _figures(found: Mapping[Key, Outcome], peer: Strategy, prefix: str) -> dict[str, float]:
    """The closed loop over another strategy, as a table, and its figures."""
    ratios = {kind: _ratios(found[kind, CLOSED], found[kind, peer]) for kind in (*PatientKind, None)}
    rows = [
        (kind or "all", ratio.seconds_to_goal, ratio.final_distance, ratio.mean_distance, found[kind, CLOSED].reversals)
        for kind, ratio in ratios.items()
    ]
    columns = ("patient", "time to goal", "final distance", "mean distance", "turns")
    print_table(columns, rows, f"closed loop / {peer}")
    return {
        f"{prefix}time_to_goal_ratio": ratios[PatientKind.FOLLOWER].seconds_to_goal,
        f"{prefix}final_distance_ratio": ratios[None].final_distance,
        f"{prefix}worst_kind_ratio": max(ratios[kind].final_distance for kind in PatientKind),
    }


def _returning(kind: PatientKind) -> float:
    """The final distance of patients whose reports an earlier session has learned to weigh, over the open path's."""
    closed, opened = [], []
    for number in range(PATIENTS // len(PatientKind)):
        patient = draw_patient(kind, number)
        earlier = run_session(replace(patient, seed=PATIENTS + number), CLOSED, SECONDS, Rules())
        closed.append(judge_course(run_session(patient, CLOSED, SECONDS, Rules(), earlier.report_sd)).final_distance)
        opened.append(judge_course(run_session(patient, OPEN, SECONDS, Rules())).final_distance)
    return fmean(closed) / fmean(opened)


def _ratios(closed: Outcome, opened: Outcome) -> Ratios:
    return Ratios(
        closed.seconds_to_goal / opened.seconds_to_goal,
        closed.final_distance / opened.final_distance,
        closed.mean_distance / opened.mean_distance,
    )


if __name__ == "__main__":
    main()
