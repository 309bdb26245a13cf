"""What tones and their sampler promise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from musicmed_live.composer.instruments import DRUM_BANK, INSTRUMENTS
from musicmed_live.composer.sampler import Sampler, layer_of
from musicmed_live.composer.tone import RELEASE_DB, Tone, low_pass, resample
from musicmed_live.composer.zones import Gen
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.errors import GeneratorFailed
from tests.composer.tiny_font import TinyFont, sine, span

SECOND = SAMPLE_RATE
CYCLE = 480  # frames after which 100 Hz, 300 Hz ... repeat at 48 kHz
LOOPS = (Gen.SAMPLE_MODES, 1)

# an instrument that plays the font's only preset just as it is
PLAIN = replace(INSTRUMENTS["strings"], bank=0, program=0, cutoffs_hz=None)
DRUM = replace(PLAIN, bank=DRUM_BANK)


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return Sampler()


def sound(tone: Tone) -> NDArray[np.float64]:
    return tone.wave * np.float64(tone.scale)


def tiny_sampler(path: Path, tiny: TinyFont) -> Sampler:
    return Sampler(tiny.write(path / "tiny.sf2"))


def looped(**settings: object) -> TinyFont:
    return TinyFont(sine(300, 4800), loop=(480, 4800), **{"zones": [[LOOPS]], **settings})  # type: ignore[arg-type]


def frequency_hz(wave: NDArray[np.float64]) -> float:
    """By the times of the first and the last rising zero crossing."""
    before = np.flatnonzero((wave[:-1] < 0) & (wave[1:] >= 0))
    at = before + wave[before] / (wave[before] - wave[before + 1])
    return float((len(at) - 1) / (at[-1] - at[0]) * SAMPLE_RATE)


@pytest.mark.parametrize("key", [45, 57, 64, 69, 70, 81, 96])
def test_a_tone_has_the_pitch_of_its_key(tmp_path: Path, key: int) -> None:
    tone = tiny_sampler(tmp_path, looped()).tone(PLAIN, key, 1, SECOND)
    cents = 1200 * np.log2(frequency_hz(sound(tone)[0]) / (300 * 2 ** ((key - 69) / 12)))
    assert abs(cents) < 0.5


def test_a_loop_sounds_for_as_long_as_it_is_held_and_has_no_seam(tmp_path: Path) -> None:
    tone = tiny_sampler(tmp_path, looped()).tone(PLAIN, 69, 1, 20 * SECOND)
    wave = sound(tone)[0]
    assert not tone.complete
    assert len(wave) >= 20 * SECOND
    for second in range(20):
        assert np.abs(wave[second * SECOND : (second + 1) * SECOND]).max() == pytest.approx(wave.max(), rel=0.01)
    assert np.abs(np.diff(wave)).max() < 1.02 * wave.max() * 2 * np.pi * 300 / SAMPLE_RATE


def test_a_recording_without_a_loop_ends_softly_and_is_complete(tmp_path: Path) -> None:
    tone = tiny_sampler(tmp_path, looped(zones=[[]])).tone(PLAIN, 69, 1, 5 * SECOND)
    assert tone.complete
    assert tone.suffices(10**9)
    assert tone.wave.shape[1] == pytest.approx(4800, abs=10)
    assert np.abs(tone.wave[0, -5:]).max() < 0.02 * tone.wave.max()


def test_a_tone_that_decays_is_complete_where_it_has_died_away(tmp_path: Path) -> None:
    dying = [LOOPS, (Gen.SUSTAIN, 1000), (Gen.DECAY, 0)]  # 100 dB in a second
    tone = tiny_sampler(tmp_path, looped(zones=[dying])).tone(PLAIN, 69, 1, 8 * SECOND)
    wave = sound(tone)[0]
    assert tone.complete
    assert 0.8 * SECOND < len(wave) <= SECOND
    half = np.abs(wave[SECOND // 2 :][: CYCLE * 2]).max() / np.abs(wave[: CYCLE * 2]).max()
    assert 20 * np.log10(half) == pytest.approx(-50, abs=1)


def test_an_attack_rises_evenly(tmp_path: Path) -> None:
    tone = tiny_sampler(tmp_path, looped(zones=[[LOOPS, (Gen.ATTACK, -1200)]])).tone(PLAIN, 69, 1, SECOND)
    envelope = np.abs(sound(tone)[0]).reshape(-1, CYCLE).max(axis=1)
    peaks = envelope / envelope.max()
    assert peaks[24] == pytest.approx(0.5, abs=0.02)  # after 0.25 s of 0.5 s
    assert peaks[49:] == pytest.approx(1, abs=0.02)


def test_the_volume_trembles_as_the_font_says(tmp_path: Path) -> None:
    zone = [LOOPS, (Gen.LFO_TO_VOLUME, 30), (Gen.LFO_FREQUENCY, 0)]  # 3 dB up and down, 8.176 Hz
    tone = tiny_sampler(tmp_path, looped(zones=[zone])).tone(PLAIN, 69, 1, SECOND)
    envelope = np.abs(sound(tone)[0]).reshape(-1, CYCLE).max(axis=1)
    assert 20 * np.log10(envelope.max() / envelope.min()) == pytest.approx(6, abs=0.5)


def test_the_release_is_the_fonts_within_bounds(tmp_path: Path) -> None:
    for timecents, seconds in ((-1200, 0.5 * RELEASE_DB / 100), (-12000, 0.03), (6000, 2.5)):
        tiny = looped(zones=[[LOOPS, (Gen.RELEASE, timecents)]])
        tone = tiny_sampler(tmp_path, tiny).tone(PLAIN, 69, 1, SECOND)
        assert tone.release_frames == pytest.approx(seconds * SECOND, abs=1)


def test_a_recording_sounds_once_even_where_two_zones_have_it(tmp_path: Path) -> None:
    once = tiny_sampler(tmp_path, looped()).tone(PLAIN, 69, 1, SECOND)
    resonance = [LOOPS, (Gen.PAN, 500), (Gen.ATTENUATION, 150)]
    twice = tiny_sampler(tmp_path, looped(zones=[[LOOPS], resonance])).tone(PLAIN, 69, 1, SECOND)
    np.testing.assert_array_equal(sound(twice), sound(once))


@pytest.mark.parametrize(("name", "channels"), [("piano", 2), ("strings", 2), ("flute", 1), ("bass", 1)])
def test_what_was_recorded_in_stereo_stays_stereo_and_mono_mono(sampler: Sampler, name: str, channels: int) -> None:
    wave = sampler.tone(INSTRUMENTS[name], 55, 1, SECOND).wave
    assert wave.shape[0] == channels
    assert channels == 1 or not np.array_equal(wave[0], wave[1])


def test_what_stands_in_one_place_is_mono_wherever_that_is(tmp_path: Path) -> None:
    tone = tiny_sampler(tmp_path, looped(zones=[[LOOPS, (Gen.PAN, 300)]])).tone(PLAIN, 69, 1, SECOND)
    assert tone.wave.shape[0] == 1


def test_a_key_outside_of_the_zones_is_folded_by_octaves(tmp_path: Path) -> None:
    tiny = looped(zones=[[LOOPS, (Gen.KEYS, span(60, 71))]])
    sampler = tiny_sampler(tmp_path, tiny)
    for outside, inside in ((45, 69), (93, 69), (59, 71), (72, 60)):
        np.testing.assert_array_equal(
            sampler.tone(PLAIN, outside, 1, SECOND).wave, sampler.tone(PLAIN, inside, 1, SECOND).wave
        )


def test_a_drum_is_not_folded(tmp_path: Path) -> None:
    tiny = looped(preset=(DRUM_BANK, 0), zones=[[LOOPS, (Gen.KEYS, span(60, 71))]])
    sampler = tiny_sampler(tmp_path, tiny)
    sampler.tone(replace(DRUM, program=0), 60, 1, SECOND)
    with pytest.raises(ValueError, match="no sound on key 59"):
        sampler.tone(replace(DRUM, program=0), 59, 1, SECOND)


def test_an_instrument_that_the_font_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeneratorFailed, match=r"tiny\.sf2 has no strings \(bank 0, program 7\)"):
        tiny_sampler(tmp_path, looped()).tone(replace(PLAIN, program=7), 69, 1, SECOND)


def test_layers_follow_velocity() -> None:
    layers = [layer_of(velocity) for velocity in range(1, 128)]
    assert layers == sorted(layers)
    assert set(layers) == set(range(4))


@pytest.mark.parametrize("name", ["piano", "strings", "flute", "horn", "bass"])
def test_louder_layers_are_brighter(sampler: Sampler, name: str) -> None:
    instrument = INSTRUMENTS[name]
    overtones = round(3.5 * 440 * 2 ** ((instrument.middle - 69) / 12))  # from the fourth partial on
    shares_db = []
    for layer in range(4):
        wave = sound(sampler.tone(instrument, instrument.middle, layer, SECOND))[:, :SECOND]
        power = (np.abs(np.fft.rfft(wave)) ** 2).sum(axis=0)
        shares_db.append(10 * np.log10(power[overtones:].sum() / power.sum()))
    assert shares_db == sorted(shares_db)
    assert shares_db[-1] > shares_db[0] + 2


@pytest.mark.parametrize("name", ["piano", "harp", "cello", "choir"])
def test_all_keys_of_an_instrument_are_about_equally_loud(sampler: Sampler, name: str) -> None:
    instrument = INSTRUMENTS[name]
    levels_db = []
    for key in range(instrument.lowest, instrument.highest + 1, 5):
        wave = sound(sampler.tone(instrument, key, 2, SECOND))[:, :SECOND]
        power = (wave**2).mean(axis=0).reshape(10, -1).mean(axis=1)
        levels_db.append(10 * np.log10(np.convolve(power, np.full(4, 0.25), "valid").max()))
    assert max(levels_db) - min(levels_db) < 4  # what remains is the K-weighting's shelf


@pytest.mark.parametrize("name", ["piano", "strings", "pizzicato", "tremolo", "harp", "timpani", "flute"])
def test_a_longer_tone_begins_with_the_very_same_samples(name: str) -> None:
    instrument = INSTRUMENTS[name]
    short = Sampler().tone(instrument, instrument.middle, 1, SECOND // 10)
    long = Sampler().tone(instrument, instrument.middle, 1, 6 * SECOND)
    frames = min(short.wave.shape[1], long.wave.shape[1])
    assert short.scale == long.scale
    np.testing.assert_array_equal(short.wave[:, :frames], long.wave[:, :frames])
    assert not short.wave[:, frames:].any()


def test_a_tone_that_was_made_is_kept(sampler: Sampler) -> None:
    flute = INSTRUMENTS["flute"]
    first = sampler.tone(flute, 70, 1, SECOND)
    assert sampler.tone(flute, 70, 1, SECOND // 2) is first
    assert sampler.tone(flute, 70, 2, SECOND) is not first


def test_a_tone_that_is_too_short_is_made_anew_and_replaces_it() -> None:
    sampler = Sampler()
    flute = INSTRUMENTS["flute"]
    sampler.tone(flute, 70, 1, SECOND // 2)
    long = sampler.tone(flute, 70, 1, 5 * SECOND)
    assert long.suffices(5 * SECOND)
    assert sampler.tone(flute, 70, 1, SECOND // 2) is long


wanted = st.tuples(
    st.sampled_from(["flute", "oboe", "clarinet", "piano"]),
    st.integers(60, 75),
    st.integers(0, 3),
    st.integers(1, 2 * SECOND),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(wanted, max_size=12), st.sampled_from([0, 100_000, 1_000_000, 4_000_000]))
def test_the_cache_never_exceeds_its_bound(notes: list[tuple[str, int, int, int]], bound: int) -> None:
    sampler = Sampler(cache_bytes=bound)
    for name, key, layer, held in notes:
        tone = sampler.tone(INSTRUMENTS[name], key, layer, held)
        assert tone.suffices(held)
        assert sampler.cached_bytes <= bound


def test_what_was_not_used_for_longest_goes_first() -> None:
    flute = INSTRUMENTS["flute"]
    sampler = Sampler(cache_bytes=700_000)  # the recordings, about 180 kB, and a few tones of 96 kB and more
    favourite = sampler.tone(flute, 70, 1, SECOND // 4)
    neglected = sampler.tone(flute, 71, 1, SECOND // 4)
    for key in range(72, 84):
        sampler.tone(flute, key, 1, SECOND // 4)
        assert sampler.tone(flute, 70, 1, SECOND // 4) is favourite
    assert sampler.tone(flute, 71, 1, SECOND // 4) is not neglected


def test_a_low_pass_takes_three_decibels_at_its_cutoff_and_nothing_far_below() -> None:
    impulse = np.zeros((1, SECOND), np.float32)
    impulse[0, 0] = 1
    low_pass(impulse, 1000)
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(impulse[0])))
    assert gain_db[1000] == pytest.approx(-3, abs=0.1)
    assert gain_db[10] == pytest.approx(0, abs=0.01)
    assert gain_db[8000] == pytest.approx(-18, abs=1.0)


def test_a_low_pass_equals_its_recursion() -> None:
    noise = np.random.default_rng(3).standard_normal(2000).astype(np.float32)
    filtered = noise[None, :].copy()
    low_pass(filtered, 700)
    pole = np.exp(-2 * np.pi * 700 / SAMPLE_RATE)
    state, expected = 0.0, []
    for x in noise:
        state = pole * state + (1 - pole) * float(x)
        expected.append(state)
    np.testing.assert_allclose(filtered[0], expected, atol=1e-5)


@pytest.mark.parametrize("step", [0.4, 0.7131, 1.0, 1.3])
def test_resampling_follows_the_curve_between_the_samples(step: float) -> None:
    source = sine(200, 60_000)
    wave = resample(source, step, 40_000)
    expected = 0.5 * np.sin(2 * np.pi * 200 / SAMPLE_RATE * (np.arange(40_000) * step + 1))
    np.testing.assert_allclose(wave, expected, atol=1e-4)
