"""What the planner is worth to virtual patients: `python -m benchmarks.planner`.

400 patients of six kinds in sessions of a quarter of an hour: the closed loop against the open linear path, planned
once from the first report. A goal that is never reached counts as the session's length. What the patients are, and
why, is in docs/planner.md.
"""

from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from benchmarks.report import print_figures, print_table
from musicmed_live.core.path import Rules
from musicmed_live.simulation.outcomes import Outcome, judge_course, run_sessions, tally
from musicmed_live.simulation.patients import PatientKind, draw_patient
from musicmed_live.simulation.sessions import Strategy, run_session

CLOSED, OPEN = Strategy.CLOSED, Strategy.OPEN
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
    ratios = {kind: _ratios(found[kind, CLOSED], found[kind, OPEN]) for kind in (*PatientKind, None)}
    rows = [
        (kind or "all", ratio.seconds_to_goal, ratio.final_distance, ratio.mean_distance, found[kind, CLOSED].reversals)
        for kind, ratio in ratios.items()
    ]
    columns = ("patient", "time to goal", "final distance", "mean distance", "turns")
    print_table(columns, rows, "closed loop / open path")
    print_figures(
        "planner",
        {
            "time_to_goal_ratio": ratios[PatientKind.FOLLOWER].seconds_to_goal,
            "final_distance_ratio": ratios[None].final_distance,
            "worst_kind_ratio": max(ratios[kind].final_distance for kind in PatientKind),
            "returning_noisy_ratio": _returning(PatientKind.NOISY),
        },
    )


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
