"""How loud it is at an ear, and the week's dose: numbers from the standards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.exposure import (
    SENSITIVE_WEEK_PA2H,
    WEEK_HOURS,
    Energy,
    Week,
    a_weighting_db,
    dbfs_a,
    energy_of,
    mean_energy,
    pa2h,
)
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.loudness import energy
from musicmed_live.core.mixer import GRID
from tests.core.sounds import A_TABLE, a_weighted, noise, tone

# WHO-ITU H.870, table "weekly equivalent levels", mode 1: so many hours at so many dB(A) are all of a week's dose.
ALL_OF_A_WEEK = [
    (80, 40.0),
    (83, 20.0),
    (86, 10.0),
    (89, 5.0),
    (92, 2.5),
    (95, 1.25),
    (98, 37.5 / 60),
    (101, 18.75 / 60),
]


@pytest.mark.parametrize(("hz", "table_db"), A_TABLE.items())
def test_a_weighting_is_the_standard_s(hz: float, table_db: float) -> None:
    exact_hz = 1000 * 10 ** (round(10 * np.log10(hz / 1000)) / 10)  # the table's frequencies are nominal
    assert a_weighting_db(exact_hz) == pytest.approx(table_db, abs=0.06)


@pytest.mark.parametrize(("level_dba", "hours"), ALL_OF_A_WEEK)
def test_the_week_s_dose_is_that_of_the_recommendation_s_table(level_dba: float, hours: float) -> None:
    assert Week().add(0, pa2h(level_dba, hours)).share(0) == pytest.approx(1.0, abs=0.02)


def test_a_child_s_week_is_75_dba_for_40_hours() -> None:
    assert Week().add(0, pa2h(75, 40.0)).share(0, SENSITIVE_WEEK_PA2H) == pytest.approx(1.0, abs=0.02)


def test_a_pascal_is_94_db() -> None:
    assert pa2h(93.98, 1.0) == pytest.approx(1.0, rel=0.001)


def test_what_is_a_week_old_counts_no_more() -> None:
    week = Week().add(100, 0.8).add(130, 0.4)
    assert week.share(130) == pytest.approx(0.75)
    assert week.share(99 + WEEK_HOURS) == pytest.approx(0.75)
    assert week.share(100 + WEEK_HOURS) == pytest.approx(0.25)
    assert week.add(100 + WEEK_HOURS, 0.4).hours == pytest.approx({130: 0.4, 100 + WEEK_HOURS: 0.4})


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0.0, 1.0)), max_size=20))
def test_a_week_never_has_more_hours_than_a_week(doses: list[tuple[int, float]]) -> None:
    week = Week()
    for hour, dose in sorted(doses):
        week = week.add(hour, dose)
    latest = max((hour for hour, _ in doses), default=0)
    assert len(week.hours) <= WEEK_HOURS
    assert week.share(latest) == pytest.approx(sum(d for hour, d in doses if hour > latest - WEEK_HOURS) / 1.6)


def test_a_stretch_has_the_energy_that_a_meter_shows() -> None:
    music = noise(SAMPLE_RATE, 0.1) + tone(0, SAMPLE_RATE, 0.1, 440.0)
    mean = mean_energy(energy_of(music[start : start + GRID]) for start in range(0, SAMPLE_RATE, GRID))
    assert dbfs_a(mean.a) == pytest.approx(10 * np.log10((a_weighted(music) ** 2).sum(axis=1).mean()), abs=0.1)
    assert energy_of(music).k == energy(music)
    assert mean_energy([]) == Energy()


def test_low_notes_are_hardly_overrated_by_being_measured_in_pieces() -> None:
    music = tone(0, 4 * SAMPLE_RATE, 0.1, 55.0) + tone(0, 4 * SAMPLE_RATE, 0.03, 220.0)
    mean = mean_energy(energy_of(music[start : start + GRID]) for start in range(0, len(music), GRID))
    assert dbfs_a(mean.a) == pytest.approx(10 * np.log10((a_weighted(music) ** 2).sum(axis=1).mean()), abs=0.7)


def test_silence_has_a_floor() -> None:
    assert dbfs_a(0.0) == -120.0
