"""Reading SoundFont files: sf2, and sf3, whose samples are Ogg Vorbis.

"SoundFont Technical Specification", version 2.04, E-mu Systems and Creative Technology, 2006; the numbers below
are those of its section 8. Of the modulators only those are read that follow velocity or key in a straight line.
"""

import io
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from musicmed_live.errors import GeneratorFailed


class Gen(IntEnum):
    """The generators (parameters of a zone) that are used here, by their number in the specification."""

    START_OFFSET = 0  # frames
    LOOP_START_OFFSET = 2  # frames
    LOOP_END_OFFSET = 3  # frames
    START_COARSE_OFFSET = 4  # 32768 frames
    LFO_TO_VOLUME = 13  # centibels
    PAN = 17  # -500 left .. 500 right
    LFO_DELAY = 21  # timecents
    LFO_FREQUENCY = 22  # cents above 8.176 Hz
    DELAY = 33  # timecents, as are the other stages of the volume envelope
    ATTACK = 34
    HOLD = 35
    DECAY = 36  # to -100 dB
    SUSTAIN = 37  # centibels below the peak
    RELEASE = 38  # to -100 dB
    KEY_TO_HOLD = 39  # timecents per key below 60
    KEY_TO_DECAY = 40
    INSTRUMENT = 41
    KEYS = 43
    VELOCITIES = 44
    LOOP_START_COARSE_OFFSET = 45
    ATTENUATION = 48  # centibels
    LOOP_END_COARSE_OFFSET = 50
    COARSE_TUNE = 51  # semitones
    FINE_TUNE = 52  # cents
    SAMPLE = 53
    SAMPLE_MODES = 54  # 1: loops
    SCALE_TUNING = 56  # cents per key
    ROOT_KEY = 58


_DEFAULTS: dict[int, int] = {
    **dict.fromkeys((Gen.LFO_DELAY, Gen.DELAY, Gen.ATTACK, Gen.HOLD, Gen.DECAY, Gen.RELEASE), -12000),
    Gen.SCALE_TUNING: 100,
    Gen.ROOT_KEY: -1,
}

_NOT_SUMMED = {Gen.INSTRUMENT, Gen.KEYS, Gen.VELOCITIES, Gen.SAMPLE}

_NAME = ("name", "S20")
_RECORDS = {
    "phdr": np.dtype([_NAME, ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")]),
    "inst": np.dtype([_NAME, ("bag", "<u2")]),
    "bag": np.dtype([("gen", "<u2"), ("mod", "<u2")]),
    "gen": np.dtype([("number", "<u2"), ("amount", "<i2")]),
    "mod": np.dtype(
        [
            ("source", "<u2"),
            ("number", "<u2"),
            ("amount", "<i2"),
            ("amount_source", "<u2"),
            ("transform", "<u2"),
        ]
    ),
    "shdr": np.dtype(
        [
            _NAME,
            *((field, "<u4") for field in ("start", "end", "loop_start", "loop_end", "rate")),
            ("root", "u1"),
            ("correction", "i1"),
            ("link", "<u2"),
            ("kind", "<u2"),
        ]
    ),
}
_RECORDS |= {"pbag": _RECORDS["bag"], "ibag": _RECORDS["bag"], "pgen": _RECORDS["gen"]}
_RECORDS |= {"igen": _RECORDS["gen"], "pmod": _RECORDS["mod"], "imod": _RECORDS["mod"]}
_KNOWN_IDS = {name.encode() for name in _RECORDS} | {b"RIFF", b"LIST", b"smpl", b"sm24"}

_VELOCITY, _KEY = 2, 3  # note-on controllers (8.2.1)
_COMPRESSED = 0x10  # sample kind, of sf3


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a recording lies in the file, and how it is to be played."""

    name: str
    start: int  # byte within the sample part of the file
    end: int
    compressed: bool  # Ogg Vorbis; else 16-bit little-endian
    loop_start: int  # frame within the recording
    loop_end: int
    rate_hz: int
    root_key: int
    correction_cents: int


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A sample, decoded."""

    frames: NDArray[np.int16]  # (frames,)
    whole: bool  # else only its beginning

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.frames.nbytes

    def suffices(self, frames: int | None) -> bool:
        """Whether it holds as many frames, or all there are (None)."""
        return self.whole or (frames is not None and frames <= len(self.frames))


@dataclass(frozen=True, slots=True)
class Modulator:
    """Moves a generator with velocity and key: amount * source * amount_source, each 0..1 or -1..1."""

    source: int
    amount_source: int  # 0: none
    number: int  # the generator that is moved
    amount: int

    def at(self, key: int, velocity: float) -> float:
        """What it adds to its generator for a note of that key and velocity."""
        second = _linear(self.amount_source, key, velocity) if self.amount_source else 1.0
        return self.amount * _linear(self.source, key, velocity) * second


@dataclass(frozen=True, slots=True)
class Zone:
    """One recording of a preset and the notes that it is played for."""

    keys: tuple[int, int]  # lowest, highest
    velocities: tuple[int, int]
    sample: Sample
    generators: dict[int, int]  # instrument and preset summed; those not in the file are left out
    modulators: tuple[Modulator, ...]

    def covers(self, key: int, velocity: float) -> bool:
        """Whether a note of that key and velocity plays this zone."""
        (low, high), (soft, loud) = self.keys, self.velocities
        return low <= key <= high and soft <= int(velocity) <= loud

    def played(self, key: int, velocity: float) -> "PlayedZone":
        """The zone for one note: its modulators applied."""
        values: dict[int, float] = dict(self.generators)
        for modulator in self.modulators:
            before = values.get(modulator.number, _DEFAULTS.get(modulator.number, 0))
            values[modulator.number] = before + modulator.at(key, velocity)
        return PlayedZone(self.sample, key, values)


@dataclass(frozen=True, slots=True)
class PlayedZone:
    """What one zone contributes to one note."""

    sample: Sample
    key: int
    values: dict[int, float]

    def __getitem__(self, number: Gen) -> float:
        """A generator in its own unit."""
        return self.values.get(number, _DEFAULTS.get(number, 0))

    def seconds(self, stage: Gen, per_key: Gen | None = None) -> float:
        """The length of a stage given in timecents; -12000, the least, is none at all."""
        timecents = self[stage] + ((60 - self.key) * self[per_key] if per_key else 0)
        return 2.0 ** (timecents / 1200) if timecents > -12000 else 0.0


class SoundFont:
    """A font that stays on disk: zones are read at once, recordings when they are wanted."""

    path: Path
    presets: dict[tuple[int, int], tuple[Zone, ...]]  # by (bank, program)

    def __init__(self, path: Path) -> None:
        """Raises `GeneratorFailed` where the file is missing or is no SoundFont."""
        self.path = path
        try:
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise GeneratorFailed(
                f"the sound font {path} cannot be read ({error}); install the package again, or name another font"
            ) from error
        try:
            self._samples_at, tables = _find_tables(self._bytes)
            self.presets = _read_presets(tables)
        except (KeyError, IndexError, ValueError, struct.error) as error:
            raise GeneratorFailed(
                f"{path} is no SoundFont (sf2 or sf3) or is damaged ({error!r}); "
                "install the package again, or name another font"
            ) from error

    def decode(self, sample: Sample, frames: int | None = None) -> Recording:
        """The recording, or its first `frames`. Raises `GeneratorFailed` where it is damaged."""
        raw = self._bytes[self._samples_at + sample.start : self._samples_at + sample.end]
        if not sample.compressed:
            return Recording(np.frombuffer(raw, "<i2").astype(np.int16), whole=True)
        try:
            with soundfile.SoundFile(io.BytesIO(raw)) as file:
                decoded = file.read(-1 if frames is None else frames, dtype="int16")
                return Recording(decoded, whole=len(decoded) == file.frames)
        except soundfile.LibsndfileError as error:
            raise GeneratorFailed(
                f"sample {sample.name!r} of {self.path} is damaged ({error}); install the package again"
            ) from error


def _linear(source: int, key: int, velocity: float) -> float:
    """The value of a linear source (8.2): bit 8 turns it round, bit 9 makes it bipolar."""
    x = (velocity if source & 0x7F == _VELOCITY else key) / 127
    x = 1 - x if source & 0x100 else x
    return 2 * x - 1 if source & 0x200 else x


def _is_linear(source: int) -> bool:
    return source & 0xFCFF in (_VELOCITY, _KEY)


def _find_tables(content: mmap.mmap) -> tuple[int, dict[str, NDArray[np.void]]]:
    """Where the samples begin, and the tables of the `pdta` list by name."""
    if content[:4] != b"RIFF" or content[8:12] != b"sfbk":
        raise ValueError("it does not begin with RIFF and sfbk")
    lists = {content[at : at + 4]: (at, size) for _, at, size in _parts(content, 12, len(content))}
    at, size = lists[b"sdta"]
    samples_at = {name: start for name, start, _ in _parts(content, at + 4, at + size)}[b"smpl"]
    at, size = lists[b"pdta"]
    tables = {
        name.decode(): np.frombuffer(content[start : start + length], _RECORDS[name.decode()])
        for name, start, length in _parts(content, at + 4, at + size)
    }
    return samples_at, tables


def _parts(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and size of each RIFF part. Some sf3 writers leave out the pad byte of odd parts."""
    while at + 8 <= end:
        name, size = struct.unpack("<4sI", content[at : at + 8])
        if at + 8 + size > end:
            raise ValueError(f"part {name!r} is cut short")
        yield name, at + 8, size
        at += 8 + size
        if size % 2 and content[at : at + 4] not in _KNOWN_IDS:
            at += 1


def _read_presets(tables: dict[str, NDArray[np.void]]) -> dict[tuple[int, int], tuple[Zone, ...]]:
    samples = [_sample(row) for row in tables["shdr"][:-1]]
    presets = _Level(tables["phdr"], tables["pbag"], tables["pgen"], tables["pmod"])
    instruments = _Level(tables["inst"], tables["ibag"], tables["igen"], tables["imod"])
    parts = [
        instruments.zones(index, closing=Gen.SAMPLE) for index in range(len(tables["inst"]) - 1)
    ]  # an instrument is shared by several presets
    return {
        (int(row["bank"]), int(row["program"])): tuple(
            zone
            for outer in presets.zones(index, closing=Gen.INSTRUMENT)
            for inner in parts[outer.generators[Gen.INSTRUMENT]]
            if (zone := _combine(outer, inner, samples)) is not None
        )
        for index, row in enumerate(tables["phdr"][:-1])
    }


def _sample(row: np.void) -> Sample:
    compressed = bool(row["kind"] & _COMPRESSED)
    start, end, loop_start, loop_end = (int(row[f]) for f in ("start", "end", "loop_start", "loop_end"))
    if not compressed:  # sf2 counts frames from the first sample of the file, sf3 bytes and frames of its own
        loop_start, loop_end, start, end = loop_start - start, loop_end - start, 2 * start, 2 * end
    name = bytes(row["name"]).split(b"\0")[0].decode("latin-1")
    root, correction = int(row["root"]), int(row["correction"])
    return Sample(
        name, start, end, compressed, loop_start, loop_end, int(row["rate"]), root if root < 128 else 60, correction
    )


@dataclass(frozen=True, slots=True)
class _Settings:
    """What one bag of the file sets."""

    generators: dict[int, int]
    modulators: dict[tuple[int, int, int], Modulator]

    def over(self, other: "_Settings") -> "_Settings":
        """These, and from `other` (the global zone) what is not set here."""
        return _Settings(other.generators | self.generators, other.modulators | self.modulators)


@dataclass(frozen=True, slots=True)
class _Level:
    """The presets or the instruments of a font: rows, their bags, and what is in the bags."""

    rows: NDArray[np.void]
    bags: NDArray[np.void]
    gens: NDArray[np.void]
    mods: NDArray[np.void]

    def zones(self, index: int, closing: Gen) -> list[_Settings]:
        """The bags of one row that name what they play, each over the row's global bag (7.3)."""
        found: list[_Settings] = []
        common = _Settings({}, {})
        first, end = int(self.rows[index]["bag"]), int(self.rows[index + 1]["bag"])
        for number in range(first, end):
            settings = self._bag(number)
            if closing in settings.generators:
                found.append(settings.over(common))
            elif number == first:
                common = settings
        return found

    def _bag(self, number: int) -> _Settings:
        here, following = self.bags[number], self.bags[number + 1]
        gens = self.gens[here["gen"] : following["gen"]].tolist()
        mods = self.mods[here["mod"] : following["mod"]].tolist()
        return _Settings(
            dict(gens),
            {
                (source, amount_source, target): Modulator(source, amount_source, target, amount)
                for source, target, amount, amount_source, _ in mods
                if _is_linear(source) and (amount_source == 0 or _is_linear(amount_source))
            },
        )


def _combine(preset: _Settings, instrument: _Settings, samples: list[Sample]) -> Zone | None:
    """The zone of an instrument's zone within a preset's: ranges meet, values add (9.4). None: they never meet."""
    keys = _meet(_range(preset, Gen.KEYS), _range(instrument, Gen.KEYS))
    velocities = _meet(_range(preset, Gen.VELOCITIES), _range(instrument, Gen.VELOCITIES))
    if keys[0] > keys[1] or velocities[0] > velocities[1]:
        return None
    values = {n: v for n, v in instrument.generators.items() if n not in _NOT_SUMMED}
    for number, amount in preset.generators.items():
        if number not in _NOT_SUMMED:
            values[number] = values.get(number, _DEFAULTS.get(number, 0)) + amount
    return Zone(
        keys,
        velocities,
        samples[instrument.generators[Gen.SAMPLE]],
        values,
        (*instrument.modulators.values(), *preset.modulators.values()),
    )


def _range(settings: _Settings, which: Gen) -> tuple[int, int]:
    bounds = settings.generators.get(which, 0x7F00)
    return bounds & 0xFF, bounds >> 8


def _meet(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), min(one[1], other[1])
