"""Sessions with virtual patients, second by second: the closed loop, the open path, and the goal from the start."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.estimate import REPORT_SD, Estimator
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.path import Rules, plan
from musicmed_live.core.planner import Planner
from musicmed_live.simulation.patients import SENSED_SD, Mood, Patient, Telling

NOTICED_MOVE = 0.1  # a listener has to find their way anew where the music moves at least so far at once


class Strategy(StrEnum):
    """What decides where the music goes."""

    CLOSED = "closed loop"  # the planner, told of reports and readings
    OPEN = "open path"  # the linear path: evenly from the first report to the goal, over the whole session
    ONCE = "planned once"  # the planner's own path from the first report, whatever comes after it
    GOAL = "goal at once"


@dataclass(frozen=True, slots=True)
class Course:
    """What was played and what was felt, each second."""

    patient: Patient
    strategy: Strategy
    music: tuple[Emotion, ...]
    mood: tuple[Emotion, ...]
    report_sd: float  # what the closed loop has learned of the patient's reports


Play = Callable[[int, Emotion], Emotion]  # the music in a second, given the mood before it


def run_session(
    patient: Patient, strategy: Strategy, seconds: int, rules: Rules, report_sd: float = REPORT_SD
) -> Course:
    """One session; the same patient has the same chances under each strategy.

    `report_sd` is what earlier sessions have taught of the patient's reports.
    """
    mood, telling, estimator = Mood(patient, seconds), Telling(patient, seconds), Estimator(None, 0.0, report_sd)
    match strategy:
        case Strategy.CLOSED:
            play = _closed(patient, telling, estimator, seconds, rules)
        case Strategy.OPEN:
            play = _open(patient, telling, seconds)
        case Strategy.ONCE:
            play = _once(patient, telling, seconds, rules)
        case Strategy.GOAL:
            play = _goal(patient)
    music, moods = [], []
    for second in range(seconds):
        music.append(play(second, mood.now))
        moods.append(mood.hear(music[-1]))
    return Course(patient, strategy, tuple(music), tuple(moods), estimator.report_sd)


def _closed(patient: Patient, telling: Telling, estimator: Estimator, seconds: int, rules: Rules) -> Play:
    start, planner = _first_report(patient, telling), Planner(patient.goal, seconds * SAMPLE_RATE, rules)
    estimator.report(start, 0.0)
    planner.meet(start, 0)

    def play(second: int, mood: Emotion) -> Emotion:
        """The music in that second, after what the patient says and shows of the mood before it."""
        position, before = second * SAMPLE_RATE, planner.decision
        music = before.path.at(position)
        said = telling.report(second, mood) if second else None
        if said is not None:
            thought = estimator.at(second)
            estimator.report(said, second)
            planner.report(said, thought, position, music)
        if patient.wears_sensor:
            estimator.observe_arousal(telling.sensed_arousal(second, mood), SENSED_SD, second)
            thought = estimator.at(second)
            assert thought is not None
            planner.sense(thought, position, music)
        telling.ask(second, planner.at(position).asks)
        played = planner.decision.path.at(position)
        if played.distance(music) >= NOTICED_MOVE:
            estimator.music_changed(second)
        return played

    return play


def _open(patient: Patient, telling: Telling, seconds: int) -> Play:
    start = _first_report(patient, telling)
    return lambda second, _mood: start.blend(patient.goal, second / seconds)


def _once(patient: Patient, telling: Telling, seconds: int, rules: Rules) -> Play:
    path = plan(_first_report(patient, telling), patient.goal, 0, seconds * SAMPLE_RATE, rules)
    return lambda second, _mood: path.at(second * SAMPLE_RATE)


def _first_report(patient: Patient, telling: Telling) -> Emotion:
    start = telling.report(0, patient.start)
    assert start is not None, "everybody says how they feel when the session begins"
    return start


def _goal(patient: Patient) -> Play:
    return lambda _second, _mood: patient.goal
