"""The hall that the instruments play in: a synthetic impulse response and its streaming convolution."""

import copy
from collections import deque
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, frames_of

Mono = NDArray[np.float32]  # (frames,)
Planes = NDArray[np.float32]  # (CHANNELS, frames): left and right, each in one piece of memory
_Spectrum = NDArray[np.complex64]

_T60_SECONDS = 2.6  # time in which the sound falls by 60 dB, at middle frequencies
_PRE_DELAY_SECONDS = 0.022
_TAIL_SECONDS = 1.1 * _T60_SECONDS
HALL_FRAMES = frames_of(_PRE_DELAY_SECONDS + _TAIL_SECONDS)  # so long the hall answers
_ONSET_SECONDS = 0.04  # in which the dense part builds up
_ENDING_SECONDS = 0.4  # in which the tail, by then at -57 dB, is led to nothing
_BANDS = (  # lower edge, T60 relative to the middle, level: air and walls swallow the high, a hall's bass booms
    (140.0, 1.0, 1.0),
    (600.0, 0.95, 0.9),
    (2000.0, 0.62, 0.7),
    (5000.0, 0.36, 0.5),
    (9000.0, 0.0, 0.0),
)
_REFLECTIONS = 10  # early ones, per ear
_EARLY_SECONDS = 0.06  # in which they arrive
_EARLY_SHARE = 0.15  # of the energy
_SEED = 42  # of sixty halls this one colours the notes of an orchestra least

_BLOCK = 8192  # frames per partition: the cheapest together with a last, incomplete block per call
_REMEMBERED_SECONDS = 16


class Room:
    """Convolves what is sent to it with the hall, stretch by stretch.

    Uniformly partitioned overlap-save (Stockham 1966; Gardner 1995 for the partitions) on a grid of absolute
    positions: the split into stretches changes nothing but the rounding.
    """

    def __init__(self, position: int = 0) -> None:
        """Silent until `position`."""
        self.position = position
        self._hall = _hall_spectra()  # (partitions, CHANNELS, bins)
        before = len(self._hall) + 1
        kept = before + frames_of(_REMEMBERED_SECONDS) // _BLOCK + 1
        self._sent: deque[Mono] = deque(maxlen=kept)  # blocks of the grid; the last one is being filled
        self._sent.extend(np.zeros(_BLOCK, np.float32) for _ in range(before))
        self._restore()

    def render(self, send: Mono) -> Planes:
        """The hall's answer during the frames that `send` brings, (CHANNELS, len(send))."""
        wet = np.empty((CHANNELS, len(send)), np.float32)
        done = 0
        while done < len(send):
            begin = self.position % _BLOCK
            end = min(begin + len(send) - done, _BLOCK)
            self._sent[-1][begin:end] = send[done : done + end - begin]
            newest = self._spectrum(-1)
            answer = np.fft.irfft(self._older + self._hall[0] * newest, axis=-1)
            wet[:, done : done + end - begin] = answer[:, _BLOCK + begin : _BLOCK + end]
            done += end - begin
            self.position += end - begin
            if end == _BLOCK:
                self._begin_block(newest)
        return wet

    def rewind(self, position: int) -> None:
        """Forget what was sent from `position` on. The caller sees to it that this is at most 15 s back."""
        for _ in range(self.position // _BLOCK - position // _BLOCK):
            self._sent.pop()
        self._sent[-1] = self._sent[-1].copy()  # a fork may hold it, too
        self._sent[-1][position % _BLOCK :] = 0
        self.position = position
        self._restore()

    def fork(self) -> "Room":
        """Another one that goes on from here by itself."""
        twin = copy.copy(self)
        twin._sent, twin._spectra = self._sent.copy(), self._spectra.copy()
        twin._sent[-1] = self._sent[-1].copy()
        return twin

    def _begin_block(self, finished: _Spectrum) -> None:
        self._spectra.appendleft(finished)
        self._sent.append(np.zeros(_BLOCK, np.float32))
        self._older = self._sum_older()

    def _restore(self) -> None:
        past = len(self._hall) - 1
        self._spectra = deque((self._spectrum(-2 - back) for back in range(past)), maxlen=past)  # newest first
        self._older = self._sum_older()

    def _sum_older(self) -> _Spectrum:
        """What all but the newest block contribute, (CHANNELS, bins)."""
        total = np.zeros(self._hall.shape[1:], np.complex64)
        for partition, spectrum in zip(self._hall[1:], self._spectra, strict=True):
            total += partition * spectrum
        return total

    def _spectrum(self, index: int) -> _Spectrum:
        """Of the block `index` (of the deque) with its predecessor, (bins,)."""
        pair = np.concatenate([self._sent[index - 1], self._sent[index]])
        return np.fft.rfft(pair).astype(np.complex64, copy=False)  # which it is: numpy keeps single precision


def hall_response() -> Planes:
    """The impulse response of the hall, (CHANNELS, about 2.9 s). Each channel's energy is 1.

    Early reflections, then noise that decays faster the higher it is, uncorrelated between the ears: Moorer,
    "About this reverberation business", Computer Music Journal 3:2, 1979.
    """
    random = np.random.default_rng(_SEED)
    late, early = _late_noise(random), _early_reflections(random)
    response = late * np.sqrt(1 - _EARLY_SHARE)
    response[:, : early.shape[1]] += early * np.sqrt(_EARLY_SHARE)
    response = _unit_energy(response)
    silence = np.zeros((CHANNELS, frames_of(_PRE_DELAY_SECONDS)))
    return np.concatenate([silence, response], axis=1).astype(np.float32)


def _late_noise(random: np.random.Generator) -> NDArray[np.float64]:
    frames = frames_of(_TAIL_SECONDS)
    noise = random.standard_normal((CHANNELS, frames))
    late = np.zeros((CHANNELS, frames))
    for band, (_, share, level) in zip(_split_bands(noise), _BANDS[:-1], strict=True):
        late += band * _decay(frames, share * _T60_SECONDS) * level
    onset = frames_of(_ONSET_SECONDS)
    late[:, :onset] *= np.linspace(0, 1, onset) ** 1.5
    ending = frames_of(_ENDING_SECONDS)
    late[:, -ending:] *= np.linspace(1, 0, ending)
    return _unit_energy(late)


def _early_reflections(random: np.random.Generator) -> NDArray[np.float64]:
    early = np.zeros((CHANNELS, frames_of(_EARLY_SECONDS)))
    for ear in early:
        times = np.sort(random.choice(early.shape[1], _REFLECTIONS, replace=False))
        ear[times] = random.choice([-1.0, 1.0], _REFLECTIONS) * 0.85 ** np.arange(_REFLECTIONS)
    return _unit_energy(early)


def _unit_energy(response: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = response / np.sqrt((response**2).sum(axis=1, keepdims=True))
    return scaled


def _split_bands(noise: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The bands of `_BANDS`, with edges that are smooth over half an octave and add up to one."""
    spectrum = np.fft.rfft(noise)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(noise.shape[1], 1 / SAMPLE_RATE), 1e-3))
    above = [0.5 + 0.5 * np.sin(np.pi * np.clip((octaves - np.log2(edge)) * 2, -0.5, 0.5)) for edge, _, _ in _BANDS]
    return [np.fft.irfft(spectrum * (low - high), noise.shape[1]) for low, high in pairwise(above)]


def _decay(frames: int, t60_seconds: float) -> NDArray[np.float64]:
    amplitudes: NDArray[np.float64] = np.exp(np.arange(frames) * (-np.log(1000) / (t60_seconds * SAMPLE_RATE)))
    return amplitudes


@cache
def _hall_spectra() -> _Spectrum:
    """The response in partitions of a block, each as a spectrum of twice that, (partitions, CHANNELS, bins)."""
    response = hall_response()
    partitions = -(-response.shape[1] // _BLOCK)
    padded = np.zeros((CHANNELS, partitions * _BLOCK), np.float32)
    padded[:, : response.shape[1]] = response
    blocks = padded.reshape(CHANNELS, partitions, _BLOCK).swapaxes(0, 1)
    return np.fft.rfft(blocks, 2 * _BLOCK).astype(np.complex64)
