"""Safe sound in a session: ceilings that hold, a level that is known or not, and a week that is counted and limited."""

import numpy as np
import pytest

from musicmed_live.core.bounds import Bounds
from musicmed_live.core.ceilings import TOLERANCE_LU
from musicmed_live.core.events import Bound, Pause
from musicmed_live.core.exposure import WEEK_PA2H, Week, dbfs_a, mean_energy, pa2h
from musicmed_live.core.generator import SAMPLE_RATE, Samples, frames_of
from musicmed_live.core.mixer import GRID, Mixer
from musicmed_live.service.safety import QUIET_DBA, QUIETING_FRAMES, SafeSound
from tests.core.sounds import noise, timeline_of
from tests.service.stage import stage
from tests.service.test_live import play

HOUR = 500_000
OFFSET_DB = 100.0
MUSIC: Samples = np.tile(noise(SAMPLE_RATE, 0.05), (90, 1))


def level_dba(mixer: Mixer, start: float, end: float) -> float:
    return OFFSET_DB + dbfs_a(mean_energy(mixer.energies(frames_of(start), frames_of(end))).a)


def heard_for(seconds: float, offset_db: float | None = OFFSET_DB) -> tuple[Mixer, SafeSound]:
    mixer = Mixer(timeline_of(MUSIC))
    safety = SafeSound(mixer, offset_db, 0)
    mixer.read(0, frames_of(seconds))
    return mixer, safety


def test_without_an_output_only_the_loudness_is_known() -> None:
    _, safety = heard_for(5.0, None)
    safety.know(Week(), {})
    safety.count(frames_of(5.0), HOUR)
    level = safety.level_object(frames_of(5.0))
    assert level["lufs"] is not None
    assert level["dba"] is None
    assert safety.dose_object(HOUR) is None
    assert not safety.unkept_pa2h


def test_with_one_the_level_is_that_of_the_last_3_s() -> None:
    mixer, safety = heard_for(5.0)
    assert safety.level_object(frames_of(5.0))["dba"] == pytest.approx(level_dba(mixer, 2.0, 5.0), abs=0.05)
    assert safety.level_object(0) == safety.level_object(None) == {"lufs": None, "dba": None}


def test_what_is_heard_is_counted_once_whatever_the_steps() -> None:
    mixer, safety = heard_for(20.0)
    for position in (100, GRID, 3 * GRID + 7, frames_of(7.77), frames_of(7.77), frames_of(20.0)):
        safety.count(position, HOUR)
    expected = pa2h(level_dba(mixer, 0.0, 20.0), 20.0 / 3600)
    assert safety.unkept_pa2h == pytest.approx({HOUR: expected}, rel=0.001)


def test_of_a_patient_of_whom_nothing_is_kept_no_dose_is_told() -> None:
    _, safety = heard_for(2.0)
    safety.count(frames_of(2.0), HOUR)
    assert safety.dose_object(HOUR) is None


def test_what_is_kept_is_not_counted_twice() -> None:
    _, safety = heard_for(20.0)
    safety.know(Week({HOUR - 1: 0.4}), {})
    safety.count(frames_of(10.0), HOUR)
    before = safety.dose_object(HOUR)
    doses = safety.unkept_pa2h
    safety.know(Week({HOUR - 1: 0.4, **doses}), doses)
    assert not safety.unkept_pa2h
    assert before == safety.dose_object(HOUR)
    safety.count(frames_of(20.0), HOUR)
    assert safety.unkept_pa2h[HOUR] == pytest.approx(doses[HOUR], rel=0.05)


def test_once_the_week_is_used_up_the_music_goes_down_within_a_minute_to_what_hardly_counts() -> None:
    mixer, safety = heard_for(5.0)
    loud = level_dba(mixer, 0.0, 5.0)
    assert loud > QUIET_DBA + 10
    safety.know(Week({HOUR: WEEK_PA2H}), {})
    safety.count(frames_of(5.0), HOUR)
    assert safety.heed(Bounds(), frames_of(5.0))
    assert not safety.heed(Bounds(), frames_of(5.1))
    assert safety.dose_object(HOUR) == {"week_share": pytest.approx(1.0, abs=0.01), "limited": True}
    mixer.read(0, frames_of(80.0))
    levels = [level_dba(mixer, second, second + 3.0) for second in range(0, 77)]
    assert np.diff(levels).min() > -1.0
    assert max(levels[5 + QUIETING_FRAMES // SAMPLE_RATE :]) <= QUIET_DBA + TOLERANCE_LU
    assert levels[30] > QUIET_DBA + 3


def test_a_session_that_begins_when_the_week_is_used_up_is_quiet_from_its_first_seconds() -> None:
    mixer = Mixer(timeline_of(MUSIC))
    safety = SafeSound(mixer, OFFSET_DB, 0)
    safety.know(Week({HOUR: WEEK_PA2H}), {})
    safety.count(0, HOUR)
    assert safety.heed(Bounds(), 0)
    mixer.read(0, frames_of(20.0))
    assert level_dba(mixer, 4.0, 20.0) <= QUIET_DBA + TOLERANCE_LU


def test_a_therapist_s_lower_level_stays_where_the_week_is_used_up() -> None:
    mixer, safety = heard_for(5.0)
    safety.know(Week({HOUR: 2.0}), {})
    safety.count(frames_of(5.0), HOUR)
    safety.heed(Bounds(loudest_dba=45.0), frames_of(5.0))
    mixer.read(0, frames_of(20.0))
    assert level_dba(mixer, 12.0, 20.0) <= 45.0 + TOLERANCE_LU


def test_a_week_later_it_may_be_louder_again() -> None:
    _, safety = heard_for(5.0)
    safety.know(Week({HOUR: 2.0}), {})
    safety.count(frames_of(1.0), HOUR)
    assert safety.heed(Bounds(), frames_of(1.0))
    safety.count(frames_of(1.0), HOUR + 200)
    assert safety.heed(Bounds(), frames_of(1.0))
    assert safety.dose_object(HOUR + 200) == {"week_share": 0.0, "limited": False}


# In a live session


def test_a_loudness_that_is_lowered_while_it_plays_is_told_as_a_cut_and_kept() -> None:
    with stage() as on:
        play(on, 10.0)
        before = on.live.state()["level"]["lufs"]
        on.do(Bound({"loudest_lufs": -40.0}))
        on.wait(10.0)
        assert before > -35.0
        assert on.live.state()["level"]["lufs"] <= -40.0 + TOLERANCE_LU
        assert "level" in [reason for _, reason in on.cuts]
        on.check()


def test_what_does_not_sound_has_no_level() -> None:
    with stage() as on:
        assert on.live.state()["level"] == {"lufs": None, "dba": None}
        play(on, 5.0)
        on.do(Pause())
        on.wait(5.0)
        assert on.live.state()["level"] == {"lufs": None, "dba": None}
        assert on.live.state()["dose"] is None
