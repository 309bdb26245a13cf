"""Sounds and timelines to test with."""

import numpy as np

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
