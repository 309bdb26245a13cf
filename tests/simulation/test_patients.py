"""Virtual patients: the same seed is the same person, and each kind does what it is named for."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.emotion import Emotion
from musicmed_live.simulation.patients import Mood, Patient, PatientKind, Telling, draw_patient

SECONDS = 900

kinds = st.sampled_from(PatientKind)
seeds = st.integers(0, 2**32)


def after(patient: Patient, music: Emotion, seconds: int = SECONDS) -> Emotion:
    mood = Mood(patient, seconds)
    for _ in range(seconds):
        mood.hear(music)
    return mood.now


@given(kinds, seeds)
def test_the_same_seed_draws_the_same_patient(kind: PatientKind, seed: int) -> None:
    assert draw_patient(kind, seed) == draw_patient(kind, seed)


@given(kinds, seeds, st.builds(Emotion, st.floats(-1, 1), st.floats(-1, 1)))
def test_a_mood_has_the_same_chances_each_time_and_stays_in_the_plane(
    kind: PatientKind, seed: int, music: Emotion
) -> None:
    patient = draw_patient(kind, seed)
    assert after(patient, music, 60) == after(patient, music, 60)


@pytest.mark.parametrize("seed", range(5))
def test_a_follower_comes_to_the_music_and_a_non_responder_does_not(seed: int) -> None:
    follower = draw_patient(PatientKind.FOLLOWER, seed)
    assert after(follower, follower.goal).distance(follower.goal) < 0.4
    still = draw_patient(PatientKind.NON_RESPONDER, seed)
    assert after(still, still.goal).distance(still.goal) > 0.7 * still.start.distance(still.goal) - 0.2


@pytest.mark.parametrize("seed", range(5))
def test_who_is_put_off_by_distance_follows_what_is_near_only(seed: int) -> None:
    patient = draw_patient(PatientKind.PUT_OFF, seed)
    near = patient.start.blend(patient.goal, 0.25)
    assert after(patient, near).distance(near) < 0.25
    assert after(patient, patient.goal).distance(patient.goal) > 0.6


def test_music_is_not_felt_before_its_time() -> None:
    patient = draw_patient(PatientKind.FOLLOWER, 1)
    far, near = Mood(patient, 60), Mood(patient, 60)
    for _ in range(patient.delay_seconds):
        assert far.hear(patient.goal) == near.hear(patient.start)
    assert far.hear(patient.goal) != near.hear(patient.start)


def reports(kind: PatientKind, seed: int) -> list[Emotion]:
    patient = draw_patient(kind, seed)
    telling = Telling(patient, SECONDS)
    said = (telling.report(second, patient.start) for second in range(SECONDS))
    return [emotion for emotion in said if emotion is not None]


def test_a_rare_reporter_says_less_and_a_sensor_only_patient_nothing_after_the_start() -> None:
    assert 10 <= len(reports(PatientKind.FOLLOWER, 3)) <= 31
    assert 2 <= len(reports(PatientKind.RARE, 3)) <= 9
    assert len(reports(PatientKind.SENSOR_ONLY, 3)) == 1


def test_a_noisy_reporter_is_further_off() -> None:
    def error(kind: PatientKind) -> float:
        found = [
            (emotion.distance(draw_patient(kind, seed).start)) for seed in range(10) for emotion in reports(kind, seed)
        ]
        return math.fsum(found) / len(found)

    assert error(PatientKind.NOISY) > 1.8 * error(PatientKind.FOLLOWER)


def test_some_answer_when_they_are_asked_and_one_who_never_reports_does_not() -> None:
    def answers(kind: PatientKind) -> int:
        count = 0
        for seed in range(40):
            patient = draw_patient(kind, seed)
            telling = Telling(patient, SECONDS)
            unasked = [second for second in range(130, 160) if telling.report(second, patient.start)]
            telling.ask(130, True)
            asked = [second for second in range(130, 160) if telling.report(second, patient.start)]
            count += len(asked) > len(unasked)
        return count

    assert 10 <= answers(PatientKind.RARE) <= 30
    assert answers(PatientKind.SENSOR_ONLY) == 0


def test_what_a_wearable_shows_is_right_in_the_mean_and_wrong_for_a_while() -> None:
    patient = draw_patient(PatientKind.SENSOR_ONLY, 2)
    telling = Telling(patient, SECONDS)
    errors = [telling.sensed_arousal(second, Emotion(0, 0)) for second in range(SECONDS)]
    assert abs(math.fsum(errors) / SECONDS) < 0.1
    steps = [abs(a - b) for a, b in pairwise(errors)]
    assert math.fsum(steps) / len(steps) < 0.15
