from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.joins import level_jump_db, longest_gap_seconds, step_ratio, true_peak_dbtp
from musicmed_live.core.generator import SAMPLE_RATE, Samples


def tone(seconds: float, hz: float = 440.0, level: float = 0.5, phase: float = 0.0) -> Samples:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = level * np.sin(2 * np.pi * hz * time + phase)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def write(path: Path, samples: Samples) -> Path:
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_24")
    return path


def test_a_join_that_continues_the_wave_steps_no_more_than_the_wave_itself() -> None:
    whole = tone(1.0)
    assert step_ratio(whole[:20_000], whole[20_000:]) <= 1.0


def test_a_click_at_a_join_shows() -> None:
    whole = tone(1.0)
    after = whole[20_000:].copy()
    after[0] += 0.2
    assert step_ratio(whole[:20_000], after) > 2.0


def test_half_the_level_is_a_jump_of_6_db_in_either_direction() -> None:
    samples = np.concatenate([tone(2.0), tone(2.0, level=0.25)])
    assert level_jump_db(samples, 2 * SAMPLE_RATE) == pytest.approx(6.02, abs=0.01)
    assert level_jump_db(samples[::-1], 2 * SAMPLE_RATE) == pytest.approx(6.02, abs=0.01)


def test_the_true_peak_lies_above_the_samples_where_the_wave_peaks_between_them(tmp_path: Path) -> None:
    between = tone(12.0, hz=SAMPLE_RATE / 4, level=0.5, phase=np.pi / 4)  # every sample at 0.707 of the peak
    assert true_peak_dbtp(write(tmp_path / "tone.flac", between)) == pytest.approx(-6.02, abs=0.1)


def test_a_gap_is_silence_before_the_last_sound(tmp_path: Path) -> None:
    silence = np.zeros((SAMPLE_RATE // 2, 2), np.float32)
    samples = np.concatenate([tone(0.5), silence[: SAMPLE_RATE // 5], tone(0.5), silence])
    assert longest_gap_seconds(write(tmp_path / "gap.flac", samples)) == pytest.approx(0.2, abs=0.011)
