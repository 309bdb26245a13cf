"""Pink noise to calibrate an output with: the same in each run, and a loop without a seam."""

import functools
import math

import numpy as np

from musicmed_live.core.exposure import dbfs_a, energy_of
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Samples
from musicmed_live.core.loudness import linear, loudness

NOISE_LUFS = -23.0
SECONDS = 10
LOWEST_HZ, HIGHEST_HZ = 50.0, 16_000.0  # what any loudspeaker plays
_SEED = 870


def pink_noise() -> Samples:
    """`SECONDS` of it at `NOISE_LUFS`, shape (frames, 2), its channels independent: equal power in each octave.

    It is made as a spectrum of which every wave fits a whole number of times, so its end runs into its beginning.
    """
    return _pink_noise().copy()


@functools.cache
def _pink_noise() -> Samples:
    frames = SECONDS * SAMPLE_RATE
    hz = np.fft.rfftfreq(frames, 1 / SAMPLE_RATE)
    audible = (hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ)
    phases = np.random.default_rng(_SEED).uniform(0, 2 * math.pi, (len(hz), CHANNELS))
    amplitude = np.where(audible, 1 / np.sqrt(np.maximum(hz, LOWEST_HZ)), 0.0)
    noise = np.fft.irfft(amplitude[:, None] * np.exp(1j * phases), frames, axis=0)
    gain = linear(NOISE_LUFS - loudness(energy_of(noise.astype(np.float32)).k))
    return (noise * gain).astype(np.float32)


@functools.cache
def noise_dbfs_a() -> float:
    """The noise's A-weighted level, as `exposure.dbfs_a` counts it."""
    return dbfs_a(energy_of(_pink_noise()).a)
