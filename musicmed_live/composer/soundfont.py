"""Reading SoundFont files: sf2, and sf3, whose samples are Ogg Vorbis.

"SoundFont Technical Specification", version 2.04, E-mu Systems and Creative Technology, 2006: section 4 for the RIFF
structure, 7 for the tables.
"""

import io
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from musicmed_live.composer.zones import DEFAULTS, Gen, Modulator, Sample, Zone, is_linear
from musicmed_live.errors import GeneratorFailed

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

_COMPRESSED = 0x10  # sample kind, of sf3


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
                if is_linear(source) and (amount_source == 0 or is_linear(amount_source))
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
            values[number] = values.get(number, DEFAULTS.get(number, 0)) + amount
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
