import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core import loudness
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, Samples
from musicmed_live.musicgen.level import LEVEL_FRAMES, Level


def noise(seconds: float, amplitude: float) -> Samples:
    steps = round(seconds * SAMPLE_RATE / LEVEL_FRAMES)
    return (np.random.default_rng(1).standard_normal((steps * LEVEL_FRAMES, 2)) * amplitude).astype(np.float32)


def lufs(samples: Samples) -> float:
    return loudness.loudness(loudness.energy(samples))


def test_quiet_and_loud_music_come_to_the_reference_loudness() -> None:
    for amplitude in (0.02, 0.3):
        levelled, _ = Level().towards(Emotion(0.0, 0.0)).apply(noise(12.0, amplitude))
        assert abs(lufs(levelled[-SAMPLE_RATE * 2 :]) - loudness.REFERENCE_LUFS) < 1.0


def test_an_activated_emotion_is_louder() -> None:
    calm, stirred = (
        lufs(Level().towards(Emotion(0.0, arousal)).apply(noise(15.0, 0.1))[0][-SAMPLE_RATE:])
        for arousal in (-1.0, 1.0)
    )
    assert abs(stirred - calm - 2 * loudness.AROUSAL_LU) < 0.5


def test_the_gain_never_moves_faster_than_it_may() -> None:
    samples = np.concatenate((noise(6.0, 0.02), noise(6.0, 0.8)))
    levelled, _ = Level().apply(samples)
    gain_db = 20 * np.log10(np.abs(levelled[::LEVEL_FRAMES, 0] / samples[::LEVEL_FRAMES, 0]))
    steps = np.abs(np.diff(gain_db))
    assert steps.max() < 0.13
    assert steps[150:].max() < 0.021


def test_silence_is_not_raised() -> None:
    levelled, level = Level().apply(noise(3.0, 1e-5))
    assert level == Level()
    assert np.abs(levelled).max() < 1e-4


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_the_result_does_not_depend_on_how_it_is_split(steps: list[int]) -> None:
    samples = noise(sum(steps) * LEVEL_FRAMES / SAMPLE_RATE, 0.1)
    whole, after = Level().apply(samples)
    level, parts, position = Level(), [samples[:0]], 0
    for count in steps:
        part, level = level.apply(samples[position : position + count * LEVEL_FRAMES])
        parts.append(part)
        position += count * LEVEL_FRAMES
    assert level == after
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
