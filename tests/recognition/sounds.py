"""Sounds whose features are known."""

import numpy as np

from musicmed_live.core.judgement import Mono
from musicmed_live.recognition.spectrum import RATE

C_MAJOR = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
C_MINOR = ((60, 63, 67), (65, 68, 72), (67, 70, 74), (60, 63, 67))


def sine(hz: float, seconds: float, level: float = 0.5) -> Mono:
    """A sine of this amplitude."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def chords(keys: tuple[tuple[int, ...], ...], seconds_each: float, seconds: float = 8.0) -> Mono:
    """Decaying sines: the chords, repeated for so long."""
    fading = np.exp(-4 * np.arange(round(seconds_each * RATE)) / RATE)
    struck = [sum(sine(440 * 2 ** ((key - 69) / 12), seconds_each, 0.1) for key in chord) * fading for chord in keys]
    once = np.concatenate(struck)
    return np.tile(once, 1 + int(seconds * RATE / len(once)))[: round(seconds * RATE)].astype(np.float32)
