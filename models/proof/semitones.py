"""Music as how loud each semitone is, 50 times a second: what the tiny codec's tokens tell.

Constant-Q analysis: Brown & Puckette, "An efficient algorithm for the calculation of a constant Q transform", Journal
of the Acoustical Society of America 92 (1992).
"""

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from musicmed_live.musicgen.decoder import FRAME_RATE
from musicmed_live.musicgen.parts import CODEC_RATE

SEMITONES = 72  # from C2 to B7
FREQUENCIES_HZ: NDArray[np.float64] = 440.0 * 2 ** ((np.arange(SEMITONES) - 33) / 12)
RANGE_DB = 42.0  # what lies further below the loudest that the codec can play is silence
LOUDEST = 0.12  # amplitude of one semitone, full scale is 1.0

_LOUDNESS_POWER = 0.6
_NEPER = RANGE_DB / 2 * math.log(10) / 20  # logarithm of an amplitude, of a level's 1
_QUALITY = 1 / (2 ** (1 / 12) - 1)  # of a filter that tells neighbouring semitones apart
_HOP = CODEC_RATE // FRAME_RATE
_SPAN = 16_384  # samples of a Fourier transform; the longest filter, of C2, has 8,230
_HEARD_BY_BOTH = 0.5  # what the quick filter hears louder than this is a neighbour's
_BINS = 3_072  # of it, up to 6 kHz: beyond, no filter listens
_AT_ONCE = 250  # frames, to bound memory

Levels = NDArray[np.float32]  # (frames, SEMITONES), -1: silent, 1: as loud as the codec can play


def levels(mono: NDArray[np.float32]) -> Levels:
    """How loud each semitone is in `mono`, (samples,) at 32 kHz; a frame for each whole 20 ms.

    Only those count that are as loud as their neighbours or louder: a filter also hears the semitones beside its own,
    and played beside them they would beat. How loud these are is asked of filters half as long, which tell semitones
    less well apart, and better when a note begins.
    """
    frames = len(mono) // _HOP
    padded = np.pad(mono, (_SPAN - _HOP) // 2 + _HOP)
    spans = np.lib.stride_tricks.sliding_window_view(padded, _SPAN)[_HOP::_HOP][:frames]
    found = [_peaks(spans[begin : begin + _AT_ONCE]) for begin in range(0, frames, _AT_ONCE)]
    return np.concatenate(found) if found else np.empty((0, SEMITONES), np.float32)


def level_of(amplitude: NDArray[np.floating]) -> Levels:
    """Amplitudes 0 .. 1 on a scale of decibels from -1, `RANGE_DB` below `LOUDEST`, to 1, which is `LOUDEST`."""
    level_db = 20 * np.log10(np.maximum(amplitude, 1e-9) / LOUDEST)
    return np.asarray(np.clip(1 + 2 * level_db / RANGE_DB, -1.0, 1.0), np.float32)


def loudness_of(level: torch.Tensor) -> torch.Tensor:
    """0 .. 1, which is that of `LOUDEST`: a power of the amplitude (Stevens 1957)."""
    return torch.exp((level - 1) * (_LOUDNESS_POWER * _NEPER))


def level_of_loudness(loudness: torch.Tensor) -> torch.Tensor:
    """The inverse of `loudness_of`, from -1 on."""
    return (loudness.log() / (_LOUDNESS_POWER * _NEPER) + 1).clamp(min=-1.0)


def _peaks(spans: NDArray[np.float32]) -> Levels:
    spectrum = np.fft.rfft(spans)[:, :_BINS].astype(np.complex64)
    sharp, quick = (np.abs(spectrum @ _filters(quality)) for quality in (_QUALITY, _QUALITY / 2))
    beside = np.pad(sharp, ((0, 0), (1, 1)))
    is_peak = (sharp >= beside[:, :-2]) & (sharp >= beside[:, 2:]) & (sharp >= _HEARD_BY_BOTH * quick)
    return np.where(is_peak, level_of(quick), np.float32(-1.0))


@cache
def _filters(quality: float) -> NDArray[np.complex64]:
    """One filter per semitone, (_BINS, SEMITONES): a sinusoid of amplitude 1 in its middle gives 1."""
    columns = []
    for frequency in FREQUENCIES_HZ:
        length = round(quality * CODEC_RATE / frequency)
        window = np.hanning(length + 2)[1:-1]
        at = np.arange(length) - length / 2
        wave = np.zeros(_SPAN, np.complex128)
        begin = (_SPAN - length) // 2
        wave[begin : begin + length] = 2 * window / window.sum() * np.exp(2j * np.pi * frequency / CODEC_RATE * at)
        columns.append(np.conj(np.fft.fft(wave))[:_BINS] / _SPAN)
    return np.stack(columns, axis=1).astype(np.complex64)
