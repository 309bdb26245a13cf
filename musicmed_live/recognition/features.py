"""Audio features from which the emotion that a listener perceives in music is estimated.

Everything is measured on mono audio at 22.05 kHz. Definitions follow the MIRtoolbox where a published regression
was fitted with it (O. Lartillot and P. Toiviainen, "A Matlab toolbox for musical feature extraction from audio",
DAFx 2007), and librosa where it has them.
"""

import math

import numpy as np
from scipy.signal import resample_poly

from musicmed_live.core.generator import SAMPLE_RATE, Samples
from musicmed_live.core.judgement import Mono
from musicmed_live.errors import CannotJudge
from musicmed_live.recognition.rhythm import (
    LOW_BANDS,
    measure_fluctuation,
    measure_onsets,
    novelty,
    spectral_flux,
)
from musicmed_live.recognition.spectrum import (
    RATE,
    SILENCE,
    FloatArray,
    Spectrogram,
    magnitudes,
    mel_levels_db,
    root_mean_squares,
    roughness,
    spectral_shape,
)
from musicmed_live.recognition.tonality import measure_tonality

__all__ = ["RATE", "SHORTEST_SECONDS", "extract", "listen"]

SHORTEST_SECONDS = 3.0
_ROUGHNESS_EVERY = 8  # frames of the spectrogram
_AUDIBLE_SHARE = 0.05  # of the frames that must not be silent


def listen(samples: Samples) -> Mono:
    """Stereo at 48 kHz, shape (frames, 2), as mono at 22.05 kHz."""
    common = math.gcd(RATE, SAMPLE_RATE)
    mono = resample_poly(samples.mean(axis=1), RATE // common, SAMPLE_RATE // common)
    return np.asarray(mono, dtype=np.float32)


def extract(mono: Mono) -> dict[str, float]:
    """All features of `mono`, shape (frames,) at `RATE`, by name.

    Raises `CannotJudge` where it is shorter than `SHORTEST_SECONDS`, not finite, silent or not mono.
    """
    if mono.ndim != 1:
        raise CannotJudge(f"sound of the shape {mono.shape} is not mono: give one value for each frame")
    if len(mono) < SHORTEST_SECONDS * RATE:
        raise CannotJudge(f"{len(mono) / RATE:.1f} s of sound are too short: {SHORTEST_SECONDS:g} s are needed")
    if not np.isfinite(mono).all():
        raise CannotJudge("the sound holds values that are not numbers: whatever made it has failed")
    rms = root_mean_squares(mono)
    if (rms > SILENCE).mean() < _AUDIBLE_SHARE:
        raise CannotJudge("the sound is silent: there is nothing to judge above -60 dBFS")
    spectrogram = magnitudes(mono)
    mel_db = mel_levels_db(spectrogram)
    return {
        **_dynamics(rms),
        **_timbre(spectrogram[rms > SILENCE]),
        **measure_onsets(spectral_flux(mel_db)),
        "low_flux": float(spectral_flux(mel_db[:, :LOW_BANDS]).mean()),
        **measure_fluctuation(mono),
        **measure_tonality(mono),
        "novelty": novelty(mel_db),
    }


def _dynamics(rms: FloatArray) -> dict[str, float]:
    level_db = 20 * np.log10(np.maximum(rms, SILENCE))
    return {
        "rms_mean": float(rms.mean()),
        "rms_std": float(rms.std()),
        "rms_variation": float(rms.std() / max(rms.mean(), SILENCE)),
        "level_db": float(level_db.mean()),
        "level_std_db": float(level_db.std()),
        "quiet_level_db": float(np.percentile(level_db, 10)),
        "level_range_db": float(np.percentile(level_db, 90) - np.percentile(level_db, 10)),
        "low_energy": float((rms < rms.mean()).mean()),
    }


def _timbre(spectrogram: Spectrogram) -> dict[str, float]:
    """Shape of the spectrum, mean over frames; frequencies as octaves above 1 Hz."""
    shape = spectral_shape(spectrogram)
    return {
        "centroid": float(np.log2(shape["centroid"]).mean()),
        "spread": float(np.log2(shape["spread"]).mean()),
        "entropy": float(shape["entropy"].mean()),
        "rolloff": float(np.log2(shape["rolloff"]).mean()),
        "flatness": float(np.log(shape["flatness"]).mean()),
        "roughness": float(roughness(spectrogram[::_ROUGHNESS_EVERY]).mean()),
    }
