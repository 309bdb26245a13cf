"""Sessions with virtual patients, second by second: the closed loop, the open path, and the goal from the start."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.estimate import Estimator
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.path import Planner, Rules, plan
from musicmed_live.simulation.patients import SENSED_SD, Mood, Patient, Telling

NOTICED_MOVE = 0.1  # a listener has to find their way anew where the music moves at least so far at once


class Strategy(StrEnum):
    """What decides where the music goes."""

    CLOSED = "closed loop"  # the planner, told of reports and readings
    OPEN = "open path"  # planned once, from the first report: the linear path
    GOAL = "goal at once"


@dataclass(frozen=True, slots=True)
class Course:
    """What was played and what was felt, each second."""

    patient: Patient
    strategy: Strategy
    music: tuple[Emotion, ...]
    mood: tuple[Emotion, ...]


Play = Callable[[int, Emotion], Emotion]  # the music in a second, given the mood before it


def run_session(patient: Patient, strategy: Strategy, seconds: int, rules: Rules) -> Course:
    """One session; the same patient has the same chances under each strategy."""
    mood, telling = Mood(patient, seconds), Telling(patient, seconds)
    play = _PLAYS[strategy](patient, telling, seconds, rules)
    music, moods = [], []
    for second in range(seconds):
        music.append(play(second, mood.now))
        moods.append(mood.hear(music[-1]))
    return Course(patient, strategy, tuple(music), tuple(moods))


def _closed(patient: Patient, telling: Telling, seconds: int, rules: Rules) -> Play:
    start = telling.report(0, patient.start)
    assert start is not None
    estimator, planner = Estimator(start, 0.0), Planner(patient.goal, seconds * SAMPLE_RATE, rules)
    planner.meet(start, 0)

    def play(second: int, mood: Emotion) -> Emotion:
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


def _open(patient: Patient, telling: Telling, seconds: int, rules: Rules) -> Play:
    start = telling.report(0, patient.start)
    assert start is not None
    path = plan(start, patient.goal, 0, seconds * SAMPLE_RATE, rules)
    return lambda second, _mood: path.at(second * SAMPLE_RATE)


def _goal(patient: Patient, _telling: Telling, _seconds: int, _rules: Rules) -> Play:
    return lambda _second, _mood: patient.goal


_PLAYS: dict[Strategy, Callable[[Patient, Telling, int, Rules], Play]] = {
    Strategy.CLOSED: _closed,
    Strategy.OPEN: _open,
    Strategy.GOAL: _goal,
}
