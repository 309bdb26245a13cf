"""A mono signal made gently wide, so that its two sides still sum to what it was."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from musicmed_live.core.generator import SAMPLE_RATE, Samples

WIDTH = 0.35  # the side signal's gain
LOWEST_HZ = 250.0  # below it the side signal is gone
_TURNS_HZ = (400.0, 1_100.0, 2_900.0, 7_500.0)  # where the side signal is in opposite phase once more
_TURN_Q = 0.7

WideningState = NDArray[np.float64]  # (sections, 2), what the filters remember


def begin_widening() -> WideningState:
    """What `widen` takes before the first sample."""
    return np.zeros((len(_SECTIONS), 2))


def widen(mono: NDArray[np.float32], state: WideningState) -> tuple[Samples, WideningState]:
    """Stereo of `mono`, 48 kHz, shape (n,), and what the filters remember after it; any split gives the same samples.

    Pseudo-stereo after Schroeder (1958, J. Audio Eng. Soc. 6, 74-79) and Orban (1970, J. Audio Eng. Soc. 18, 157-164):
    left = mono + side, right = mono - side, where the side signal is the mono one, high-passed, through a chain of
    all-passes that turns its phase with frequency. So some partials lean left and others right by at most 6.4 dB, the
    bass stays in the middle, and (left + right) / 2 is the mono signal. With the side signal's power at most
    WIDTH ** 2 of the mono one's, the correlation of left and right is never below (1 - WIDTH ** 2) / (1 + WIDTH ** 2),
    0.78, and the power rises by at most 0.5 dB.
    """
    if not len(mono):
        return np.empty((0, 2), np.float32), state
    side, after = sosfilt(_SECTIONS, mono, zi=state)
    return np.stack((mono + side, mono - side), axis=1).astype(np.float32), after


def _all_pass(frequency_hz: float) -> NDArray[np.float64]:
    """A second-order all-pass, half a turn late at its frequency (Bristow-Johnson, Audio EQ Cookbook)."""
    angle = 2 * np.pi * frequency_hz / SAMPLE_RATE
    alpha = np.sin(angle) / (2 * _TURN_Q)
    poles = np.array([1 + alpha, -2 * np.cos(angle), 1 - alpha]) / (1 + alpha)
    return np.concatenate((poles[::-1], poles))


def _sections() -> NDArray[np.float64]:
    """The whole path from mono to side as second-order sections."""
    high_pass = butter(4, LOWEST_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
    sections = np.concatenate((high_pass, [_all_pass(frequency) for frequency in _TURNS_HZ]))
    sections[0, :3] *= WIDTH
    return sections


_SECTIONS = _sections()
