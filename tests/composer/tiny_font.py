"""Builds small sf2 files, so that tests can say exactly what is in a font."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musicmed_live.composer.zones import Gen

Gens = list[tuple[int, int]]
RATE_HZ = 48_000


def span(low: int, high: int) -> int:
    """A key or velocity range as a generator's amount."""
    return low | high << 8


def sine(frequency_hz: float, frames: int) -> NDArray[np.int16]:
    """A recording at half of full scale."""
    wave: NDArray[np.int16] = np.rint(16384 * np.sin(2 * np.pi * frequency_hz / RATE_HZ * np.arange(frames))).astype(
        np.int16
    )
    return wave


@dataclass
class TinyFont:
    """One preset (0, 0) with one instrument; every zone plays the one recording, root key 69."""

    recording: NDArray[np.int16]
    loop: tuple[int, int] = (0, 0)
    zones: Sequence[Gens] = field(default_factory=lambda: [[]])
    global_zone: Gens = field(default_factory=list)
    preset_zone: Gens = field(default_factory=list)
    modulators: Sequence[tuple[int, int, int, int, int]] = ()  # of every zone
    preset: tuple[int, int] = (0, 0)  # bank, program
    pads_odd_parts: bool = True
    comment: bytes = b"odd"  # of the INFO list

    def write(self, path: Path) -> Path:
        """Writes it and returns `path`."""
        lists = [
            (b"LIST", b"INFO" + self._part(b"ICMT", self.comment)),
            (b"LIST", b"sdta" + self._part(b"smpl", self.recording.tobytes() + bytes(92))),
            (b"LIST", b"pdta" + b"".join(self._part(name, rows) for name, rows in self._tables())),
        ]
        body = b"sfbk" + b"".join(self._part(name, content) for name, content in lists)
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        return path

    def _part(self, name: bytes, content: bytes) -> bytes:
        pad = b"\0" if len(content) % 2 and self.pads_odd_parts else b""
        return name + struct.pack("<I", len(content)) + content + pad

    def _tables(self) -> list[tuple[bytes, bytes]]:
        bank, program = self.preset
        inner = [*([self.global_zone] if self.global_zone else []), *([*z, (Gen.SAMPLE, 0)] for z in self.zones)]
        outer = [[*self.preset_zone, (Gen.INSTRUMENT, 0)]]
        mods = [self.modulators if (Gen.SAMPLE, 0) in gens else () for gens in inner]
        return [
            (b"phdr", _preset(b"tiny", program, bank, 0) + _preset(b"EOP", 0, 0, len(outer))),
            *_zone_tables(b"p", outer, [()]),
            (b"inst", struct.pack("<20sH", b"tiny", 0) + struct.pack("<20sH", b"EOI", len(inner))),
            *_zone_tables(b"i", inner, mods),
            (b"shdr", _sample(len(self.recording), self.loop) + bytes(46)),
        ]


def _preset(name: bytes, program: int, bank: int, bag: int) -> bytes:
    return struct.pack("<20sHHHIII", name, program, bank, bag, 0, 0, 0)


def _sample(frames: int, loop: tuple[int, int]) -> bytes:
    return struct.pack("<20sIIIIIBbHH", b"tone", 0, frames, *loop, RATE_HZ, 69, 0, 0, 1)


def _zone_tables(
    prefix: bytes, zones: Sequence[Gens], mods: Sequence[Sequence[tuple[int, int, int, int, int]]]
) -> list[tuple[bytes, bytes]]:
    bags, gen_rows, mod_rows = b"", b"", b""
    for gens, zone_mods in zip(zones, mods, strict=True):
        bags += struct.pack("<HH", len(gen_rows) // 4, len(mod_rows) // 10)
        gen_rows += b"".join(struct.pack("<Hh", *gen) for gen in gens)
        mod_rows += b"".join(struct.pack("<HHhHH", *mod) for mod in zone_mods)
    bags += struct.pack("<HH", len(gen_rows) // 4, len(mod_rows) // 10)
    return [(prefix + b"bag", bags), (prefix + b"mod", mod_rows + bytes(10)), (prefix + b"gen", gen_rows + bytes(4))]
