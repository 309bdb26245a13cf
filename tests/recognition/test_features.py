import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.judgement import Mono
from musicmed_live.errors import CannotJudge
from musicmed_live.recognition.features import RATE, extract, listen
from tests.recognition.sounds import C_MAJOR, C_MINOR, chords, sine


def test_a_stereo_clip_keeps_its_length_in_seconds_and_its_level() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(96_000) / 48_000).astype(np.float32)
    mono = listen(np.stack([tone, tone], axis=1))
    assert len(mono) == 2 * RATE
    assert np.sqrt((mono**2).mean()) == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_the_onset_rate_counts_the_chords() -> None:
    assert extract(chords(C_MAJOR, 0.5))["onset_rate"] == pytest.approx(2.0, rel=0.15)
    assert extract(chords(C_MAJOR, 0.25))["onset_rate"] == pytest.approx(4.0, rel=0.15)


def test_a_faint_chord_between_loud_ones_is_a_faint_onset_but_no_strong_one() -> None:
    loud = chords(C_MAJOR, 0.5)
    measured = extract(loud + 0.01 * np.roll(loud, RATE // 4))
    faint, strong = (np.exp(measured[f"{name}_onset_rate"]) - 0.3 for name in ("faint", "strong"))
    assert faint == pytest.approx(4.0, rel=0.15)
    assert strong == pytest.approx(2.0, rel=0.15)


def test_louder_music_differs_in_level_but_not_in_key() -> None:
    soft, loud = extract(chords(C_MAJOR, 0.5)), extract(4 * chords(C_MAJOR, 0.5))
    assert loud["rms_mean"] == pytest.approx(4 * soft["rms_mean"], rel=1e-3)
    assert loud["level_db"] == pytest.approx(soft["level_db"] + 12.04, abs=0.2)
    assert loud["mode"] == pytest.approx(soft["mode"], abs=1e-5)


def test_major_and_minor_are_told_apart_in_every_key() -> None:
    for moved in (-5, 0, 3):
        major, minor = (tuple(tuple(key + moved for key in keys) for keys in music) for music in (C_MAJOR, C_MINOR))
        assert extract(chords(major, 1.0))["mode"] > 0.05
        assert extract(chords(minor, 1.0))["mode"] < -0.05


def test_a_higher_sine_has_a_higher_centre_register_and_bass() -> None:
    low, high = extract(sine(261.63, 4.0)), extract(sine(1046.5, 4.0))
    assert low["centroid"] == pytest.approx(np.log2(261.63), abs=0.1)
    assert high["centroid"] - low["centroid"] == pytest.approx(2.0, abs=0.1)
    assert low["register"] == pytest.approx(60.0, abs=0.5)
    assert high["bass"] == pytest.approx(84.0, abs=0.5)


def test_a_semitone_is_rougher_than_a_fifth() -> None:
    semitone = sine(440.0, 4.0, 0.2) + sine(466.16, 4.0, 0.2)
    fifth = sine(440.0, 4.0, 0.2) + sine(659.26, 4.0, 0.2)
    assert extract(semitone)["roughness"] > 3 * extract(fifth)["roughness"]


def test_noise_is_flat_and_a_sine_is_not() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(4 * RATE)).astype(np.float32)
    hiss, tone = extract(noise), extract(sine(440.0, 4.0))
    assert hiss["flatness"] > tone["flatness"] + 5
    assert hiss["entropy"] > 0.9 > tone["entropy"]


def test_a_change_of_sound_is_new_and_more_of_the_same_is_not() -> None:
    changing = np.concatenate([sine(220.0, 4.0), sine(3000.0, 4.0)])
    assert extract(changing)["novelty"] > 5 * abs(extract(sine(220.0, 8.0))["novelty"])


@pytest.mark.parametrize(
    ("mono", "reason"),
    [
        (sine(440.0, 2.9), "too short"),
        (np.zeros(4 * RATE, np.float32), "silent"),
        (np.full(4 * RATE, np.nan, np.float32), "not numbers"),
        (np.zeros((4 * RATE, 2), np.float32), "shape"),
    ],
)
def test_what_cannot_be_judged_is_said_in_a_sentence(mono: Mono, reason: str) -> None:
    with pytest.raises(CannotJudge, match=reason):
        extract(mono)


def test_one_burst_in_silence_is_silence() -> None:
    mono = np.zeros(30 * RATE, np.float32)
    mono[: RATE // 2] = sine(440.0, 0.5)
    with pytest.raises(CannotJudge, match="silent"):
        extract(mono)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    seconds=st.floats(3.0, 9.0),
    level=st.floats(0.01, 3.0),
    pulses=st.integers(0, 9),
)
def test_features_are_finite_whatever_is_heard(seed: int, seconds: float, level: float, pulses: int) -> None:
    """Noise, pulsed or not, clipped or not."""
    time = np.arange(round(seconds * RATE) + 1) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time))
    sound = np.clip(level * noise * (0.2 + (np.sin(2 * np.pi * pulses * time) >= 0)), -1, 1).astype(np.float32)
    assert all(np.isfinite(value) for value in extract(sound).values())
