"""Sounds and timelines to test with."""

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy.signal import lfilter

from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Block, Cue, Samples
from musicmed_live.core.timeline import Clip, Timeline, Track

BEAT = SAMPLE_RATE // 2  # 120 bpm
BEATS_PER_BAR = 4
BAR = BEATS_PER_BAR * BEAT
TONE_HZ = 221.3  # no whole number of waves in a beat


def tone(start: int, frames: int, amplitude: float = 0.1, hz: float = TONE_HZ, phase: float = 0.0) -> Samples:
    """A sine that stands still in time, so that any two stretches of it join without a seam."""
    wave = amplitude * np.sin(2 * np.pi * hz / SAMPLE_RATE * np.arange(start, start + frames) + phase)
    return np.repeat(wave[:, None], CHANNELS, axis=1).astype(np.float32)


def noise(frames: int, amplitude: float, seed: int = 0) -> Samples:
    """White noise, the same in each run. Its two channels are independent."""
    return (amplitude * np.random.default_rng(seed).standard_normal((frames, CHANNELS))).astype(np.float32)


def add_beats(track: Track, position: int, samples: Samples) -> None:
    """Append `samples` as beats, with a bar line at the first one and after every `BEATS_PER_BAR`."""
    for number, offset in enumerate(range(0, len(samples), BEAT)):
        cue = Cue.BEAT if number % BEATS_PER_BAR else Cue.BAR
        beat = samples[offset : offset + BEAT]
        track.add(Block(position + offset, beat, cue, 120.0, "C ionian", ("piano",)))


def track_of(samples: Samples, position: int = 0) -> Track:
    """A track of beats."""
    track = Track()
    add_beats(track, position, samples)
    return track


def timeline_of(samples: Samples, emotion: Emotion = NEUTRAL) -> Timeline:
    """A timeline of one clip that is composed to its end."""
    timeline = Timeline()
    timeline.append(Clip(0, len(samples), emotion, emotion, track_of(samples)))
    return timeline


def largest_step(samples: Samples) -> float:
    """The largest difference between two neighbouring frames."""
    return float(np.abs(np.diff(samples, axis=0)).max(initial=0.0))


# IEC 61672-1:2013, table 3: A-weighting in dB at the nominal frequencies in Hz.
A_TABLE: dict[float, float] = {
    **{20: -50.5, 25: -44.7, 31.5: -39.4, 40: -34.6, 50: -30.2, 63: -26.2, 80: -22.5, 100: -19.1, 125: -16.1},
    **{160: -13.4, 200: -10.9, 250: -8.6, 315: -6.6, 400: -4.8, 500: -3.2, 630: -1.9, 800: -0.8, 1000: 0.0},
    **{1250: 0.6, 1600: 1.0, 2000: 1.2, 2500: 1.3, 3150: 1.2, 4000: 1.0, 5000: 0.5, 6300: -0.1, 8000: -1.1},
    **{10_000: -2.5, 12_500: -4.3, 16_000: -6.6, 20_000: -9.3},
}


def a_weighted(samples: Samples) -> NDArray[np.float64]:
    """As a sound level meter hears them: by the standard's table, over the whole at once."""
    hz = np.fft.rfftfreq(2 * len(samples), 1 / SAMPLE_RATE)
    table = np.log(list(A_TABLE)), list(A_TABLE.values())
    gain = 10 ** (np.interp(np.log(np.maximum(hz, 1.0)), *table) / 20)
    spectrum = np.fft.rfft(samples.astype(np.float64), 2 * len(samples), axis=0)
    return np.asarray(np.fft.irfft(spectrum * gain[:, None], axis=0)[: len(samples)])


def k_weighted(samples: Samples) -> NDArray[np.float64]:
    """As BS.1770 hears them: by pyloudnorm's filters."""
    filtered = samples.astype(np.float64)
    for stage in pyloudnorm.Meter(SAMPLE_RATE)._filters.values():
        filtered = np.asarray(lfilter(stage.b, stage.a, filtered, axis=0))
    return filtered
