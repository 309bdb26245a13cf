"""Where music lies: register, the lowest and the highest voice, and what sounds closely together."""

import math

import numpy as np
from numpy.typing import NDArray

from musicmed_live.recognition.constant_q import LOWEST_KEY
from musicmed_live.recognition.spectrum import FloatArray

BASS_INTERVALS = {"minor_second": 1, "minor_third": 3, "major_third": 4, "tritone": 6, "fifth": 7}  # semitones
_STRONG = 0.3  # of the strongest semitone of its column
_SOUNDING = 0.03  # of the strongest semitone of all


def measure_register(magnitude: FloatArray, chroma: FloatArray) -> dict[str, float]:
    """Features of the magnitude by semitone, shape (columns, 84), and by pitch class, (columns, 12)."""
    energy = (magnitude**2).sum(axis=0)
    keys = LOWEST_KEY + np.arange(len(energy))
    register = float((keys * energy).sum() / energy.sum())
    sounding = magnitude.max(axis=1) > _SOUNDING * magnitude.max()
    heard, classes = magnitude[sounding], chroma[sounding]
    strong = heard > _STRONG * heard.max(axis=1, keepdims=True)
    lowest = strong.argmax(axis=1)
    return {
        "register": register,
        "register_spread": math.sqrt(float(((keys - register) ** 2 * energy).sum() / energy.sum())),
        **_line("bass", LOWEST_KEY + lowest),
        **_line("top", keys[-1] - strong[:, ::-1].argmax(axis=1)),
        "keys_together": float(strong.sum(axis=1).mean()),
        **_closeness(heard),
        **_above_bass(lowest % 12, classes),
    }


def _line(name: str, keys: NDArray[np.intp]) -> dict[str, float]:
    """Height, spread and mean step of a voice, given as MIDI keys."""
    return {
        name: float(keys.mean()),
        f"{name}_spread": float(keys.std()),
        f"{name}_steps": float(np.abs(np.diff(keys)).mean()) if len(keys) > 1 else 0.0,
    }


def _closeness(heard: FloatArray) -> dict[str, float]:
    """How much sounds a semitone, a tone and a major seventh apart, in one register, over all that sounds."""
    energy = (heard**2).sum(axis=1)
    return {
        f"{name}_clash": float(((heard[:, apart:] * heard[:, :-apart]).sum(axis=1) / energy).mean())
        for name, apart in (("semitone", 1), ("tone", 2), ("seventh", 11))
    }


def _above_bass(bass: NDArray[np.intp], classes: FloatArray) -> dict[str, float]:
    """Share of the pitch classes that stand at these intervals above the lowest voice, mean over columns."""
    share = classes / np.maximum(classes.sum(axis=1, keepdims=True), 1e-12)
    columns = np.arange(len(bass))
    return {
        f"bass_{name}": float(share[columns, (bass + distance) % 12].mean())
        for name, distance in BASS_INTERVALS.items()
    }
