"""One loudness for all music that is compared: how loud something is played says nothing of who plays it."""

import numpy as np

from musicmed_live.core.judgement import Mono

_RMS = 0.08  # full scale is 1.0


def at_one_loudness(mono: Mono) -> Mono:
    """The same with a root mean square of -22 dBFS; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(mono), dtype=np.float64)))
    return mono * np.float32(_RMS / rms) if rms > 0 else mono
