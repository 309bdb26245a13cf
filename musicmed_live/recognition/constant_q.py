"""A constant-Q transform: the sound by semitones.

J. C. Brown, "Calculation of a constant Q spectral transform", Journal of the Acoustical Society of America 89 (1991);
octave by octave on ever lower rates with the same kernels, as C. Schörkhuber and A. Klapuri have it ("Constant-Q
transform toolbox for music processing", SMC 2010). Lengths and scaling are those of librosa.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import firwin, get_window, upfirdn

from musicmed_live.core.judgement import Mono
from musicmed_live.recognition.spectrum import RATE, Spectrogram

LOWEST_KEY, OCTAVES, BINS_PER_SEMITONE = 24, 7, 3  # from C1 on
HOP = 2048  # frames between two columns: 93 ms
_BINS_PER_OCTAVE = 12 * BINS_PER_SEMITONE
_TAPS = 29  # of the filter before every second frame is left out; what it has to pass ends far below its edge


def semitones(mono: Mono) -> Spectrogram:
    """Magnitude by semitone from C1 up of every `HOP` frames: shape (1 + frames // HOP, 84)."""
    columns = 1 + len(mono) // HOP
    kernels, length = _kernels()
    octaves = []
    hop = HOP
    for _ in range(OCTAVES):
        padded = np.pad(mono, (length // 2, length))
        frames = sliding_window_view(padded, length)[::hop][:columns]
        octaves.append(np.abs(fft.rfft(frames, axis=1) @ kernels))
        mono, hop = _half_the_rate(mono), hop // 2
    # a low tone's kernel is longer by as much as its rate is lower
    scaled = [octave * np.float32(2 ** (down / 2)) for down, octave in enumerate(octaves)]
    bins = np.concatenate(scaled[::-1], axis=1)
    return np.asarray(bins.reshape(columns, 12 * OCTAVES, BINS_PER_SEMITONE).max(axis=2))


def _half_the_rate(mono: Mono) -> Mono:
    """Every second frame, without what would be mirrored."""
    taps = firwin(_TAPS, 0.5, window=("kaiser", 9.0)).astype(np.float32)
    return np.asarray(upfirdn(taps, mono, down=2)[_TAPS // 4 :][: -(-len(mono) // 2)])


@cache
def _kernels() -> tuple[NDArray[np.complex64], int]:
    """Kernels of the highest octave in the frequency domain, shape (bins, 36), and their length in frames."""
    step = 2 ** (1 / _BINS_PER_OCTAVE)
    lowest_hz = 440.0 * 2 ** ((LOWEST_KEY + 12 * (OCTAVES - 1) - 69) / 12) / step  # the middle one of three is in tune
    centre_hz = lowest_hz * step ** np.arange(_BINS_PER_OCTAVE)
    quality = (step**2 + 1) / (step**2 - 1)
    lengths = quality * RATE / centre_hz
    size = 1 << int(np.ceil(np.log2(lengths.max())))
    kernels = np.zeros((size, _BINS_PER_OCTAVE), np.complex128)
    for column, (hz, length) in enumerate(zip(centre_hz, lengths, strict=True)):
        offset = np.arange(int(-length // 2), int(length // 2))
        wave = get_window("hann", len(offset)) * np.exp(2j * np.pi * hz / RATE * offset)
        kernels[size // 2 + offset, column] = wave / np.abs(wave).sum() * np.sqrt(length)
    spectra = np.fft.fft(kernels, axis=0)[: size // 2 + 1].conj() / size
    return spectra.astype(np.complex64), size
