"""The instruments' notes as tones, made when they are first wanted and kept within a bound of memory."""

from bisect import bisect
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from pathlib import Path

from musicmed_live.composer.instruments import DRUM_BANK, Instrument
from musicmed_live.composer.soundfont import Recording, SoundFont
from musicmed_live.composer.tone import Tone, make_tone
from musicmed_live.composer.zones import Sample, Zone
from musicmed_live.errors import GeneratorFailed

PACKAGED_FONT = Path(__file__).parent / "font" / "musescore-general-subset.sf3"
CACHE_BYTES = 256 * 2**20

_DECODED_AT_ONCE = 2**17  # samples: the long recordings of a piano are rarely needed to their end
_LAYER_BEGINS = (42, 62, 84)  # velocities at which the second, third and fourth layer begin
_LAYER_PLAYED_AT = (30, 55, 80, 105)  # the velocity whose recordings and envelopes a layer takes


def layer_of(velocity: float) -> int:
    """The brightness layer, 0..3, of a velocity."""
    return bisect(_LAYER_BEGINS, velocity)


class Sampler:
    """Makes tones of a font. Voices of one process share it: they play the same few hundred notes."""

    def __init__(self, font: Path = PACKAGED_FONT, cache_bytes: int = CACHE_BYTES) -> None:
        """`cache_bytes` bounds recordings and tones together. Raises `GeneratorFailed` for a bad font."""
        self._font = SoundFont(font)
        self._kept = _Kept(cache_bytes)

    @property
    def cached_bytes(self) -> int:
        """Memory of the recordings and tones that are kept now."""
        return self._kept.nbytes

    def tone(self, instrument: Instrument, key: int, layer: int, held_frames: int) -> Tone:
        """The tone of `key` (MIDI), long enough to be held for `held_frames` and to fade out after that.

        A key outside of the instrument's zones is folded into them by octaves. Raises `GeneratorFailed` where the
        font lacks the instrument, and `ValueError` where no octave of the key has a sound (drums have no octaves).
        """
        name = (instrument, key, layer)
        kept = self._kept.get(name)
        if isinstance(kept, Tone) and kept.suffices(held_frames):
            return kept
        tone = self._make(instrument, key, layer, held_frames)
        self._kept.put(name, tone)
        return tone

    def _make(self, instrument: Instrument, key: int, layer: int, held_frames: int) -> Tone:
        velocity = _LAYER_PLAYED_AT[layer]
        key, zones = self._zones(instrument, key, velocity)
        cutoff = None
        if instrument.cutoffs_hz is not None:
            fundamental_hz = 440.0 * 2 ** ((key - 69) / 12)
            # lower than that it would not darken a high note but silence it
            cutoff = max(instrument.cutoffs_hz[layer], 2 * fundamental_hz)
        levelled = instrument.bank != DRUM_BANK  # a kit is balanced as it is
        played = [zone.played(key, velocity) for zone in zones]
        return make_tone(played, held_frames, cutoff, levelled, self._recording)

    def _zones(self, instrument: Instrument, key: int, velocity: float) -> tuple[int, list[Zone]]:
        """The key, folded, and what sounds for it: each recording once (some presets double one as resonance)."""
        preset = self._font.presets.get((instrument.bank, instrument.program))
        if preset is None:
            raise GeneratorFailed(
                f"the sound font {self._font.path} has no {instrument.name} "
                f"(bank {instrument.bank}, program {instrument.program}); use the font of the package"
            )
        for folded in _octaves(key) if instrument.bank != DRUM_BANK else (key,):
            zones = {zone.sample: zone for zone in reversed(preset) if zone.covers(folded, velocity)}
            if zones:
                return folded, list(reversed(zones.values()))
        raise ValueError(f"{instrument.name} has no sound on key {key}")

    def _recording(self, sample: Sample, frames: int | None) -> Recording:
        kept = self._kept.get(sample)
        if isinstance(kept, Recording) and kept.suffices(frames):
            return kept
        if frames is not None:
            frames = -(-frames // _DECODED_AT_ONCE) * _DECODED_AT_ONCE
        recording = self._font.decode(sample, frames)
        self._kept.put(sample, recording)
        return recording


def _octaves(key: int) -> Iterator[int]:
    """The key, then its octaves within 0..127, the nearest first."""
    yield key
    for distance in range(12, 128, 12):
        yield from (near for near in (key - distance, key + distance) if 0 <= near <= 127)


class _Kept:
    """What was used last, within a bound of bytes; the longest unused goes first."""

    def __init__(self, limit_bytes: int) -> None:
        self.nbytes = 0
        self._limit_bytes = limit_bytes
        self._items: OrderedDict[Hashable, Tone | Recording] = OrderedDict()

    def get(self, name: Hashable) -> Tone | Recording | None:
        if name not in self._items:
            return None
        self._items.move_to_end(name)
        return self._items[name]

    def put(self, name: Hashable, item: Tone | Recording) -> None:
        """Keep `item`, unless it is larger than the whole bound."""
        if name in self._items:
            self.nbytes -= self._items.pop(name).nbytes
        if item.nbytes > self._limit_bytes:
            return
        while self.nbytes + item.nbytes > self._limit_bytes:
            self.nbytes -= self._items.popitem(last=False)[1].nbytes
        self._items[name] = item
        self.nbytes += item.nbytes
