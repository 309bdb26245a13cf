"""What came of sessions with virtual patients, and of many of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.path import Rules
from musicmed_live.simulation.patients import PatientKind, draw_patient
from musicmed_live.simulation.sessions import Course, Strategy, run_session

GOAL_REGION = 0.25  # around the goal
FINAL_SECONDS = 60  # over which the final distance is averaged
REVERSAL = 0.1  # a turn towards the goal or away from it is one where the music goes on so far


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one session, or the means of several."""

    seconds_to_goal: float  # until the mood is first in the goal region; the session's length where it never is
    final_distance: float  # of the mood from the goal, over the last minute
    mean_distance: float  # of music and mood
    reversals: float  # how often the music turns round, towards the goal or away from it


def judge_course(course: Course) -> Outcome:
    """What came of one session."""
    goal = course.patient.goal
    away = [mood.distance(goal) for mood in course.mood]
    arrived = next((second for second, distance in enumerate(away) if distance <= GOAL_REGION), len(away))
    apart = fmean(mood.distance(music) for mood, music in zip(course.mood, course.music, strict=True))
    return Outcome(arrived, fmean(away[-FINAL_SECONDS:]), apart, _reversals(course.music, goal))


def _reversals(music: Sequence[Emotion], goal: Emotion) -> int:
    """Turns of the music's distance to the goal, small to and fro left out."""
    count, direction = 0, 0
    low = high = music[0].distance(goal)
    for emotion in music:
        distance = emotion.distance(goal)
        low, high = min(low, distance), max(high, distance)
        turned = 1 if distance - low >= REVERSAL else -1 if high - distance >= REVERSAL else 0
        if turned and turned != direction:
            count += direction != 0
            direction = turned
        if direction == turned and turned:
            low = high = distance
    return count


def mean_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """The means of at least one."""
    return Outcome(
        fmean(outcome.seconds_to_goal for outcome in outcomes),
        fmean(outcome.final_distance for outcome in outcomes),
        fmean(outcome.mean_distance for outcome in outcomes),
        fmean(outcome.reversals for outcome in outcomes),
    )


def run_sessions(patients: int, seed: int, seconds: int, rules: Rules) -> Iterable[Course]:
    """Each of so many patients, the kinds taking turns, under each strategy."""
    kinds = tuple(PatientKind)
    for number in range(patients):
        patient = draw_patient(kinds[number % len(kinds)], seed * 1_000_003 + number)
        for strategy in Strategy:
            yield run_session(patient, strategy, seconds, rules)


Key = tuple[PatientKind | None, Strategy]


def tally(courses: Iterable[Course]) -> dict[Key, Outcome]:
    """Mean outcomes by kind, None being all kinds, and strategy."""
    found: dict[Key, list[Outcome]] = {}
    for course in courses:
        outcome = judge_course(course)
        for kind in (course.patient.kind, None):
            found.setdefault((kind, course.strategy), []).append(outcome)
    return {key: mean_outcome(outcomes) for key, outcomes in found.items()}
