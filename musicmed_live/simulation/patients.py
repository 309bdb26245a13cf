"""Virtual patients: how a mood answers music, and what is told of it.

The mood is a point that two places pull at, music and home, and that wanders a little: the Ornstein-Uhlenbeck process
of P. Kuppens, Z. Oravecz and F. Tuerlinckx, "Feelings change", Journal of Personality and Social Psychology 99 (2010),
with music as a second attractor. What is drawn, from where, and why, is in docs/planner.md; none of it knows the
planner.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.emotion import Emotion, parse_emotion

STARTS = ("anxious", "tense", "angry", "afraid", "sad", "gloomy", "nervous", "bored")
GOALS = ("calm", "content", "relaxed", "pleased")
START_SD = 0.1  # of a start around its word, on either axis

HOME, HOME_SD = Emotion(0.2, -0.1), 0.2  # where moods rest: mildly pleasant, rather calm
HOME_SECONDS = 3600.0  # they get there within hours
FOLLOWING_SECONDS = (60.0, 200.0)
DELAY_SECONDS = (4, 12)
REACH = (0.3, 0.6)
WANDERING_PER_SQRT_SECOND = 0.005  # a mood left alone for a quarter of an hour wanders by .15

REPORT_SD, NOISY_REPORT_SD = 0.1, 0.3
REPORT_SECONDS, RARE_REPORT_SECONDS = 60.0, 240.0  # mean time between reports
ANSWER_SHARE = 0.5  # of the times that a report is asked for, it comes
ANSWER_SECONDS = (5, 20)
SENSED_SD = 0.2
SENSED_CORRELATED_SECONDS = 10.0


class PatientKind(StrEnum):
    """What is peculiar to a patient."""

    FOLLOWER = "follower"
    NON_RESPONDER = "non-responder"
    PUT_OFF = "put off by distance"
    NOISY = "noisy reporter"
    RARE = "rare reporter"
    SENSOR_ONLY = "sensor only"


@dataclass(frozen=True, slots=True)
class Patient:
    """One virtual patient, and what becomes of them by chance."""

    kind: PatientKind
    seed: int
    start: Emotion
    goal: Emotion
    home: Emotion  # where the mood goes of itself
    following_seconds: float  # time constant, the inverse of the gain, of following the music; infinite: it does not
    delay_seconds: int  # until music is felt
    reach: float  # distance in the plane at which the music's pull has fallen to 1/e; infinite: it never falls
    report_sd: float  # on either axis
    report_seconds: float  # mean time between reports; infinite: after the first one there are none
    wears_sensor: bool


def draw_patient(kind: PatientKind, seed: int) -> Patient:
    """A patient of `kind`; the same seed, the same patient."""
    dice = np.random.default_rng([seed, 0])
    word, goal = dice.choice(STARTS), dice.choice(GOALS)
    start = _near(parse_emotion(str(word), "start"), dice.normal(0, START_SD, 2))
    home, following = _near(HOME, dice.normal(0, HOME_SD, 2)), float(dice.uniform(*FOLLOWING_SECONDS))
    delay, reach = int(dice.integers(*DELAY_SECONDS, endpoint=True)), dice.uniform(*REACH)
    put_off = kind is PatientKind.PUT_OFF
    if kind in (PatientKind.NOISY, PatientKind.RARE, PatientKind.SENSOR_ONLY):
        put_off = bool(dice.integers(2))  # how somebody responds has nothing to do with how they report
    return Patient(
        kind,
        seed,
        start,
        parse_emotion(str(goal), "goal"),
        home,
        following_seconds=math.inf if kind is PatientKind.NON_RESPONDER else following,
        delay_seconds=delay,
        reach=float(reach) if put_off else math.inf,
        report_sd=NOISY_REPORT_SD if kind is PatientKind.NOISY else REPORT_SD,
        report_seconds=_REPORT_SECONDS.get(kind, REPORT_SECONDS),
        wears_sensor=kind is PatientKind.SENSOR_ONLY,
    )


_REPORT_SECONDS = {PatientKind.RARE: RARE_REPORT_SECONDS, PatientKind.SENSOR_ONLY: math.inf}


class Mood:
    """How a patient feels, second by second."""

    def __init__(self, patient: Patient, seconds: int) -> None:
        dice = np.random.default_rng([patient.seed, 1])
        self.now = patient.start
        self._patient = patient
        self._wandering = dice.normal(0, WANDERING_PER_SQRT_SECOND, (seconds, 2)).tolist()
        self._second = 0
        self._felt: deque[Emotion] = deque([patient.start], maxlen=patient.delay_seconds + 1)

    def hear(self, music: Emotion) -> Emotion:
        """The mood after another second with `music`."""
        patient, mood, home = self._patient, self.now, self._patient.home
        self._felt.append(music)
        felt = self._felt[0]
        to_music = math.exp(-((felt.distance(mood) / patient.reach) ** 2)) / patient.following_seconds
        to_home = 1 / HOME_SECONDS
        wandering = self._wandering[self._second]
        self._second += 1
        moved = (
            to_music * (felt.valence - mood.valence) + to_home * (home.valence - mood.valence) + wandering[0],
            to_music * (felt.arousal - mood.arousal) + to_home * (home.arousal - mood.arousal) + wandering[1],
        )
        self.now = _near(mood, moved)
        return self.now


class Telling:
    """What a patient says and shows of it, in a session of so many seconds."""

    def __init__(self, patient: Patient, seconds: int) -> None:
        dice = np.random.default_rng([patient.seed, 2])
        self._patient = patient
        self._errors = dice.normal(0, patient.report_sd, (seconds, 2)).tolist()
        self._reports_at = _times(dice, patient.report_seconds, seconds)
        self._answers = dice.random(seconds) < ANSWER_SHARE
        self._answer_after = dice.integers(*ANSWER_SECONDS, size=seconds, endpoint=True)
        self._answer_at: int | None = None
        self._asked = False
        self._sensed = _correlated(dice, SENSED_SD, SENSED_CORRELATED_SECONDS, seconds)

    def report(self, second: int, mood: Emotion) -> Emotion | None:
        """What the patient says in that second, if anything."""
        if second not in self._reports_at and second != self._answer_at:
            return None
        return _near(mood, self._errors[second])

    def ask(self, second: int, asked: bool) -> None:
        """A report is asked for, or not any more; some answer after a while."""
        if asked and not self._asked and self._answers[second] and math.isfinite(self._patient.report_seconds):
            self._answer_at = second + int(self._answer_after[second])
        self._asked = asked

    def sensed_arousal(self, second: int, mood: Emotion) -> float:
        """What a wearable would make of the arousal: right in the mean, with a slow error of SD `SENSED_SD`."""
        return min(1.0, max(-1.0, mood.arousal + self._sensed[second]))


def _times(dice: np.random.Generator, mean_seconds: float, seconds: int) -> frozenset[int]:
    """Whole seconds of reports: the first one at once, then at intervals that are .5 to 1.5 times the mean."""
    times, second = [0], 0.0
    while math.isfinite(mean_seconds) and second < seconds:
        second += mean_seconds * dice.uniform(0.5, 1.5)
        times.append(round(second))
    return frozenset(times)


def _correlated(dice: np.random.Generator, sd: float, correlated_seconds: float, seconds: int) -> list[float]:
    """Noise of `sd` whose autocorrelation falls to 1/e in `correlated_seconds`."""
    kept = math.exp(-1 / correlated_seconds)
    value, values = float(dice.normal(0, sd)), []
    for step in dice.normal(0, sd * math.sqrt(1 - kept**2), seconds).tolist():
        values.append(value)
        value = kept * value + step
    return values


def _near(emotion: Emotion, moved: Sequence[float] | NDArray[np.float64]) -> Emotion:
    """Another emotion, so far from `emotion`, held within the plane."""
    return Emotion(
        min(1.0, max(-1.0, emotion.valence + float(moved[0]))),
        min(1.0, max(-1.0, emotion.arousal + float(moved[1]))),
    )
