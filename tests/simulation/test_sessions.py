"""Sessions with virtual patients, what comes of them, and how it is told."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from musicmed_live.cli import main
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.path import Rules
from musicmed_live.simulation.outcomes import Outcome, judge_course, run_sessions, tally
from musicmed_live.simulation.patients import PatientKind, draw_patient
from musicmed_live.simulation.sessions import Course, Strategy, run_session

SECONDS = 300


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("kind", PatientKind)
def test_the_same_patient_has_the_same_session(kind: PatientKind, strategy: Strategy) -> None:
    patient = draw_patient(kind, 5)
    one = run_session(patient, strategy, SECONDS, Rules())
    assert one == run_session(patient, strategy, SECONDS, Rules())
    assert len(one.music) == len(one.mood) == SECONDS


def test_the_open_path_takes_no_notice_and_the_goal_is_played_at_once() -> None:
    patient = draw_patient(PatientKind.FOLLOWER, 5)
    once = run_session(patient, Strategy.ONCE, SECONDS, Rules())
    assert once.music[0] == once.music[29] != once.music[60]
    opened = run_session(patient, Strategy.OPEN, SECONDS, Rules())
    halfway = opened.music[0].blend(patient.goal, 0.5)
    assert opened.music[SECONDS // 2].distance(halfway) < 1e-9
    assert set(run_session(patient, Strategy.GOAL, SECONDS, Rules()).music) == {patient.goal}


def test_the_closed_loop_and_the_open_path_begin_at_the_same_first_report() -> None:
    patient = draw_patient(PatientKind.NOISY, 5)
    closed, opened = (run_session(patient, how, SECONDS, Rules()) for how in (Strategy.CLOSED, Strategy.OPEN))
    assert closed.music[0] == opened.music[0] != patient.start


def course(valences: list[float], moods: list[float] | None = None) -> Course:
    patient = replace(draw_patient(PatientKind.FOLLOWER, 1), goal=Emotion(1, 0))
    music, mood = (tuple(Emotion(v, 0) for v in line) for line in (valences, moods or valences))
    return Course(patient, Strategy.CLOSED, music, mood, 0.1)


def test_an_outcome_tells_when_the_goal_region_was_entered_and_how_far_it_was_in_the_end() -> None:
    found = judge_course(course([0.0] * 10 + [0.8] * 90))
    assert found == Outcome(10, found.final_distance, 0, 0)
    assert found.final_distance == pytest.approx(0.2)


def test_a_goal_that_is_not_reached_counts_as_the_sessions_length() -> None:
    assert judge_course(course([0.0] * 50)).seconds_to_goal == 50


def test_the_distance_of_music_and_mood_is_a_mean_over_the_session() -> None:
    assert judge_course(course([0.5] * 100, [0.0] * 50 + [0.5] * 50)).mean_distance == pytest.approx(0.25)


def test_a_turn_is_counted_and_a_tremble_is_not() -> None:
    there, back = [count / 50 for count in range(40)], [0.8 - count / 50 for count in range(20)]
    assert judge_course(course(there)).reversals == 0
    assert judge_course(course(there + back)).reversals == 1
    assert judge_course(course(there + back + there[20:])).reversals == 2
    assert judge_course(course([0.5, 0.55] * 50)).reversals == 0


def test_the_closed_loop_brings_those_nearer_whom_distance_puts_off() -> None:
    finals: dict[Strategy, float] = dict.fromkeys(Strategy, 0.0)
    for seed in range(12):
        patient = draw_patient(PatientKind.PUT_OFF, seed)
        for strategy in Strategy:
            finals[strategy] += judge_course(run_session(patient, strategy, 900, Rules())).final_distance
    assert finals[Strategy.CLOSED] < 0.95 * finals[Strategy.ONCE] < 0.7 * finals[Strategy.GOAL]


def test_kinds_take_turns_and_each_patient_is_under_each_strategy() -> None:
    courses = list(run_sessions(12, 3, 60, Rules()))
    assert len(courses) == 12 * len(Strategy)
    found = tally(courses)
    assert set(found) == {(kind, strategy) for kind in (*PatientKind, None) for strategy in Strategy}


def test_simulate_prints_a_table_and_draws_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "moods.svg"
    main(["simulate", "--patients", "6", "--minutes", "2", "--seed", "4", "--picture", str(picture)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "6 virtual patients, seed 4, 2 min each"
    for kind in (*PatientKind, "all"):
        assert len([line for line in lines if line.startswith(f"{kind} ")]) == len(Strategy)
    root = ElementTree.fromstring(picture.read_text())
    panels = root.findall("{http://www.w3.org/2000/svg}g")
    assert len(panels) == len(PatientKind) * len(Strategy)
    assert "href" not in picture.read_text()


def test_the_same_seed_gives_the_same_table(capsys: pytest.CaptureFixture[str]) -> None:
    def said(seed: str) -> str:
        main(["simulate", "--patients", "6", "--minutes", "2", "--seed", seed])
        return capsys.readouterr().out

    assert said("4") == said("4") != said("5")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--patients", "5"], "--patients: '5' is not a whole number from 6"),
        (["--minutes", "1.5"], "--minutes: '1.5' is not a whole number"),
        (["--seed", "-1"], "--seed: '-1' is not a whole number"),
    ],
)
def test_a_bad_value_is_named_with_what_is_accepted(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["simulate", "=".join(arguments)])
    assert exit_.value.code == 2
    assert named in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "--patients", "6", "--minutes", "2", "--picture", str(tmp_path / "no" / "moods.svg")])
    assert "No such file or directory" in capsys.readouterr().err
