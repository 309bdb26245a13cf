"""One note of a sound font as a waveform: pitched, enveloped up to its sustain, coloured. It knows no cache."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicmed_live.composer.soundfont import Recording
from musicmed_live.composer.zones import Gen, PlayedZone, Sample
from musicmed_live.core.generator import SAMPLE_RATE, frames_of

Wave = NDArray[np.float32]
Decode = Callable[[Sample, int | None], Recording]  # the first frames of a sample, None: all

RELEASE_DB = 80.0  # a released note ends this far below where it was let go
_SILENCE_DB = 100.0  # the depth that decay and release times of a font are given for
_OVERSHOOT = 1.25  # cubic interpolation may pass its points by a quarter of their span
_STRETCH = 16_384  # frames that are interpolated at once: their arrays stay in the processor's cache
_SHORTEST = frames_of(1.0)  # tone; its loudness is measured over that time
_SHELF_HZ, _SHELF_GAIN = 1680.0, 1.585  # of the K-weighting
_POINTS = 4  # that a cubic passes through
_END_FADE = frames_of(0.01)
_SHORTEST_RELEASE, LONGEST_RELEASE = frames_of(0.03), frames_of(2.5)
_SILENT = 3e-5  # -90 dB: a gain of that is none


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """A note from its onset on, as long as its key is held."""

    wave: NDArray[np.int16]  # (channels, frames); one channel, or left and right
    scale: float  # amplitude of one step of `wave`
    release_frames: int  # from letting go of the key until -`RELEASE_DB`
    complete: bool  # silent after the end of `wave`; else the note goes on

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.wave.nbytes

    def suffices(self, held_frames: int) -> bool:
        """Whether it is long enough to be held for `held_frames` and then let go."""
        return self.complete or held_frames + self.release_frames <= self.wave.shape[1]


def make_tone(
    zones: Sequence[PlayedZone], held_frames: int, cutoff_hz: float | None, levelled: bool, decode: Decode
) -> Tone:
    """The tone that `zones` (at least one) sound together, enough of it to be held that long and let go.

    A longer tone of the same note begins with the very same samples. Where the zones lie at different places
    of the panorama it is stereo; where they all lie at the same, mono: its seat is for the mixer to choose.
    `levelled`: its loudness is 1.0 (else as the font has it), because recordings of one instrument, as they follow
    each other along the keys, may differ by several dB.
    """
    release_frames = max(_release_frames(zone) for zone in zones)
    mixed, complete = _play_zones(zones, _rounded_up(held_frames + release_frames), decode)
    if cutoff_hz is not None:
        low_pass(mixed, cutoff_hz)
    loudness = max(_loudness(mixed), _SILENT) if levelled else 1.0
    step = sum(_gain(zone) for zone in zones) * _OVERSHOOT / 32767  # same for every length of the tone
    mixed *= np.float32(1 / step)
    wave = np.rint(mixed, out=mixed).astype(np.int16)
    return Tone(_without_end_silence(wave) if complete else wave, step / loudness, release_frames, complete)


def low_pass(wave: Wave, cutoff_hz: float) -> None:
    """Filters (channels, frames) in place: one pole, -3 dB at `cutoff_hz`, gain 1 at 0 Hz.

    y[n] = (1 - p) * sum of p^k x[n - k] is a product of (1 + p^(2^i) z^-(2^i)), so that a few whole-array
    additions make it: no recursion, and each sample depends on earlier ones only.
    """
    pole = math.exp(-2 * math.pi * cutoff_hz / SAMPLE_RATE)
    wave *= np.float32(1 - pole)
    shift = 1
    while pole > 1e-6 and shift < wave.shape[1]:
        wave[:, shift:] += np.float32(pole) * wave[:, :-shift]
        pole, shift = pole * pole, 2 * shift


def _loudness(mixed: Wave) -> float:
    """RMS of the loudest 0.4 s of the first second, highs raised like in the K-weighting of ITU-R BS.1770-4."""
    head = mixed[:, :_SHORTEST]
    low = head.copy()
    low_pass(low, _SHELF_HZ)
    weighted = head + np.float32(_SHELF_GAIN - 1) * (head - low)
    power = np.square(weighted).mean(axis=0).reshape(-1, frames_of(0.1)).mean(axis=1)
    return math.sqrt(float(np.convolve(power, np.full(4, 0.25), "valid").max()))


def _play_zones(zones: Sequence[PlayedZone], frames: int, decode: Decode) -> tuple[Wave, bool]:
    """All of them, (1 or 2, frames), and whether they are silent after that."""
    stereo = max(zone[Gen.PAN] for zone in zones) - min(zone[Gen.PAN] for zone in zones) > 1
    mixed = np.zeros((2 if stereo else 1, frames), np.float32)
    complete = True
    for zone in zones:
        voice, ended = _play_zone(zone, frames, decode)
        voice *= np.float32(_gain(zone))
        for channel, share in zip(mixed, _pan_shares(zone) if stereo else (1.0,), strict=True):
            if share > 0:
                channel[: len(voice)] += voice * np.float32(share)
        complete = complete and ended
    return mixed, complete


def _play_zone(zone: PlayedZone, frames: int, decode: Decode) -> tuple[Wave, bool]:
    """Up to `frames` of the zone with its envelope, and whether it is silent from there on."""
    ratio = _pitch_ratio(zone) * zone.sample.rate_hz / SAMPLE_RATE
    source, loops = _source(zone, decode, math.ceil(frames * ratio) + _POINTS)
    whole = frames if loops else max(int((len(source) - _POINTS) / ratio), 0)
    voice = resample(source, ratio, min(frames, whole))
    if len(voice) > whole - _END_FADE and not loops:
        ramp = np.arange(whole, 0, -1, dtype=np.float32)[: len(voice)] / _END_FADE
        voice *= np.minimum(ramp, 1)
    last_gain = _shape(voice, zone)
    return voice, len(voice) < frames or last_gain < _SILENT


def _gain(zone: PlayedZone) -> float:
    centibels = 0.4 * zone[Gen.ATTENUATION]  # as EMU's hardware has it, and all fonts since
    return float(10 ** (-centibels / 200))


def _pan_shares(zone: PlayedZone) -> tuple[float, float]:
    angle = (min(max(zone[Gen.PAN], -500), 500) / 1000 + 0.5) * math.pi / 2
    left, right = math.cos(angle), math.sin(angle)
    return left if left > _SILENT else 0.0, right if right > _SILENT else 0.0


def _pitch_ratio(zone: PlayedZone) -> float:
    root = zone.sample.root_key if zone[Gen.ROOT_KEY] < 0 else zone[Gen.ROOT_KEY]
    cents = (zone.key - root) * zone[Gen.SCALE_TUNING] + 100 * zone[Gen.COARSE_TUNE] + zone[Gen.FINE_TUNE]
    return float(2 ** ((cents + zone.sample.correction_cents) / 1200))


def _source(zone: PlayedZone, decode: Decode, needed: int) -> tuple[NDArray[np.int16], bool]:
    """What the zone plays of its recording, a loop unrolled to `needed` samples, and whether there is a loop."""
    sample = zone.sample
    start = max(int(zone[Gen.START_OFFSET] + 32768 * zone[Gen.START_COARSE_OFFSET]), 0)
    first = sample.loop_start + int(zone[Gen.LOOP_START_OFFSET] + 32768 * zone[Gen.LOOP_START_COARSE_OFFSET])
    end = sample.loop_end + int(zone[Gen.LOOP_END_OFFSET] + 32768 * zone[Gen.LOOP_END_COARSE_OFFSET])
    if int(zone[Gen.SAMPLE_MODES]) & 1 == 0 or not start <= first < end:
        return decode(sample, None).frames[start:], False
    if start + needed <= end:
        return decode(sample, start + needed).frames[start : start + needed], True
    recording = decode(sample, None).frames
    rounds = math.ceil((needed - (end - start)) / (end - first))
    return np.concatenate([recording[start:end], np.tile(recording[first:end], rounds)]), True


def resample(source: NDArray[np.int16], step: float, frames: int) -> Wave:
    """`frames` values of `source`, full scale 1.0, taken every `step` samples by cubic Hermite interpolation.

    Catmull & Rom, "A class of local interpolating splines", 1974. `source` reaches 4 samples beyond the last.
    """
    wave = np.empty(frames, np.float32)
    for begin in range(0, frames, _STRETCH):
        at = np.arange(begin, min(begin + _STRETCH, frames)) * step
        index = at.astype(np.int32)
        x = (at - index).astype(np.float32)
        first = int(index[0])
        index -= first
        points = source[first : first + int(index[-1]) + _POINTS].astype(np.float32) * np.float32(1 / 32768)
        before, here, after, beyond = (points[shift:].take(index) for shift in range(_POINTS))
        rise = here - after
        cubic = beyond - before + 3 * rise
        square = before - here - rise - cubic
        cubic *= x
        cubic += square
        cubic *= x
        cubic += after - before
        cubic *= x * np.float32(0.5)
        np.add(cubic, here, out=wave[begin : begin + len(x)])
    return wave


def _shape(voice: Wave, zone: PlayedZone) -> float:
    """Applies delay, attack, hold, decay and the volume LFO in place; returns the gain at the end."""
    attack = frames_of(zone.seconds(Gen.DELAY))
    peak = attack + frames_of(zone.seconds(Gen.ATTACK))
    fall = peak + frames_of(zone.seconds(Gen.HOLD, Gen.KEY_TO_HOLD))
    voice[:attack] = 0
    rising = voice[attack:peak]
    rising *= np.arange(len(rising), dtype=np.float32) / max(peak - attack, 1)
    _tremble(voice, zone)
    falling = voice[fall:]
    sustain_db = min(max(zone[Gen.SUSTAIN], 0), 10 * _SILENCE_DB) / 10
    if sustain_db == 0 or len(falling) == 0:
        return 1.0
    db_per_frame = _SILENCE_DB / SAMPLE_RATE / max(zone.seconds(Gen.DECAY, Gen.KEY_TO_DECAY), 1e-3)
    decay = gain_of_db(-np.minimum(np.arange(len(falling), dtype=np.float32) * db_per_frame, sustain_db))
    falling *= decay
    return float(decay[-1])


def _tremble(voice: Wave, zone: PlayedZone) -> None:
    depth_db = zone[Gen.LFO_TO_VOLUME] / 10
    trembling = voice[frames_of(zone.seconds(Gen.LFO_DELAY)) :]
    if depth_db == 0 or len(trembling) == 0:
        return
    hertz = 8.176 * 2 ** (zone[Gen.LFO_FREQUENCY] / 1200)
    cycles = np.arange(len(trembling), dtype=np.float32) * np.float32(hertz / SAMPLE_RATE) + np.float32(0.75)
    triangle = 1 - np.abs((cycles - np.floor(cycles)) * 4 - 2)  # begins at 0 and rises
    trembling *= gain_of_db(triangle * depth_db)


def gain_of_db(db: Wave) -> Wave:
    """Amplitudes of levels in dB."""
    amplitudes: Wave = np.exp(db * np.float32(math.log(10) / 20))
    return amplitudes


def _release_frames(zone: PlayedZone) -> int:
    frames = frames_of(zone.seconds(Gen.RELEASE) * RELEASE_DB / _SILENCE_DB)
    return min(max(frames, _SHORTEST_RELEASE), LONGEST_RELEASE)


def _rounded_up(frames: int) -> int:
    """The next length of 1 s, 1.5 s, 2 s, 3 s, 4 s ...: few lengths, so that few tones are made twice."""
    length = _SHORTEST
    while length < frames:
        if length + length // 2 >= frames:
            return length + length // 2
        length *= 2
    return length


def _without_end_silence(wave: NDArray[np.int16]) -> NDArray[np.int16]:
    sounding = np.flatnonzero(wave.any(axis=0))
    end = int(sounding[-1]) + 1 if len(sounding) else 1
    return wave[:, :end].copy()
