"""What the benchmark of physiology takes for clean, and how it spoils it."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.physiology import injected, last
from benchmarks.recordings import Seconds, clean_stretches, load

BEATS: Seconds = np.cumsum(np.random.default_rng(1).normal(0.9, 0.03, 80))


def test_beats_that_both_find_are_one_clean_stretch_even_where_one_is_always_later() -> None:
    [stretch] = clean_stretches(BEATS, BEATS + 0.2)

    assert stretch == pytest.approx(BEATS)


def test_a_beat_that_only_one_finds_ends_a_stretch() -> None:
    stretches = clean_stretches(BEATS, np.delete(BEATS, 40))

    assert [len(stretch) for stretch in stretches] == [40, 39]


def test_a_beat_that_both_invent_ends_a_stretch() -> None:
    beats = np.sort(np.append(BEATS, (BEATS[39] + BEATS[40]) / 2))

    assert all(len(stretch) <= 41 for stretch in clean_stretches(beats, beats))


def test_stretches_that_are_too_short_are_left_out() -> None:
    assert clean_stretches(BEATS[:20], BEATS[:20]) == []


def test_one_beat_in_ten_is_spoilt_the_same_way_each_time() -> None:
    beats = np.arange(1000.0)
    spoilt = injected(beats, seed=3)

    assert np.array_equal(spoilt, injected(beats, seed=3))
    assert len(np.setxor1d(beats, spoilt)) == pytest.approx(1000 * 0.1 * 4 / 3, rel=0.2)  # a moved beat shows twice
    assert (np.diff(spoilt) > 0).all()


def test_a_window_has_the_beats_of_the_intervals_that_ended_in_it() -> None:
    assert last(np.arange(10.0), 8.5, 3).tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("header", ["timer", "datetime"])
def test_the_rate_of_a_recording_is_that_of_its_times(tmp_path: Path, header: str) -> None:
    times = (
        range(0, 2010, 10)
        if header == "timer"
        else [f"2016-11-24 13:58:{ms / 1000:09.6f}" for ms in range(0, 2010, 10)]
    )
    path = tmp_path / "finger.csv"
    path.write_text(f"{header},hr\n" + "".join(f"{time},{place}\n" for place, time in enumerate(times)))
    recording = load(path)

    assert recording.rate_hz == pytest.approx(100)
    assert recording.wave.tolist() == list(range(201))
