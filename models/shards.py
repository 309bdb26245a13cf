"""Token shards: segments of music as a codec's tokens, with their emotion and words, in Parquet files.

A folder has `train-00000.parquet`, `validation-00000.parquet` and so on, and `prepared.json`, which says what they were
made from. A shard appears whole or not at all, so whatever ends a preparation, what was finished can be used and is
not made again. Each carries the report of its own making; `prepared.json` adds them up.
"""

import errno
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.whole import beside
from musicmed_live.errors import CannotServe, InvalidInput, shown

VERSION = 1
PREPARED = "prepared.json"
SPLITS = ("train", "validation", "test")
QUADRANTS = ("pleasant-aroused", "unpleasant-aroused", "unpleasant-calm", "pleasant-calm")
UNKNOWN = "unknown"  # where a segment's emotion is not known

_REPORT = b"musicmed_live.report"
_WORDS = pa.list_(pa.string())
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("track", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64(), nullable=False),
        pa.field("codes", pa.list_(pa.list_(pa.int16())), nullable=False),
        pa.field("valence", pa.float64()),
        pa.field("arousal", pa.float64()),
        pa.field("moods", _WORDS),
        pa.field("instruments", _WORDS),
        pa.field("genres", _WORDS),
        pa.field("captions", _WORDS),
        pa.field("licence", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A stretch of a track, mostly 30 s, as tokens, and what is known of it."""

    id: str  # of its own in the data set
    track: str
    start_seconds: float  # in the track
    codes: NDArray[np.int16]  # shape (codebooks, frames), 0 .. vocab - 1, not delayed
    valence: float | None  # -1 .. 1, as arousal; both known or neither
    arousal: float | None
    moods: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()  # several ways to say the same
    licence: str = ""

    @property
    def quadrant(self) -> str:
        """One of `QUADRANTS`, or `UNKNOWN`."""
        return quadrant(self.valence, self.arousal)


@dataclass(frozen=True, slots=True)
class Codec:
    """The codec that made the tokens; tokens of another one mean nothing to a model."""

    sha256: str  # of its weights
    frame_rate: int  # token frames per second
    codebooks: int
    vocab: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a split consists of."""

    shards: int = 0
    segments: int = 0
    seconds: float = 0.0
    quadrants: Mapping[str, int] = field(default_factory=dict)  # segments, by the name of their quadrant
    licences: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)  # what became no segment, and why

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            self.shards + other.shards,
            self.segments + other.segments,
            self.seconds + other.seconds,
            dict(Counter(self.quadrants) + Counter(other.quadrants)),
            dict(Counter(self.licences) + Counter(other.licences)),
            {**self.skipped, **other.skipped},
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a folder of shards was made from, and what it holds."""

    codec: Codec
    segment_seconds: float
    origin: Mapping[str, Any]  # the source and all that decides what is made of it
    splits: Mapping[str, Tally]
    complete: bool  # whether all that was planned is there


def quadrant(valence: float | None, arousal: float | None) -> str:
    """The quadrant of the plane: one of `QUADRANTS`, or `UNKNOWN`. An axis belongs to its positive side."""
    if valence is None or arousal is None:
        return UNKNOWN
    return f"{'pleasant' if valence >= 0 else 'unpleasant'}-{'aroused' if arousal >= 0 else 'calm'}"


class ShardWriter:
    """Writes the shards of one folder, and goes on where an earlier writer of the same data set ended."""

    def __init__(self, folder: Path, codec: Codec, segment_seconds: float, origin: Mapping[str, Any]) -> None:
        """Begin, or go on. `origin` is what decides the contents, as JSON has it; it is compared.

        Raises `InvalidInput` where the folder holds shards of another origin or codec, `CannotServe` where it cannot be
        written.
        """
        self._folder = folder
        self._begun = Prepared(codec, segment_seconds, origin, {}, complete=False)
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("*.partial"):  # of a writer that was killed
                left.unlink()
        if (folder / PREPARED).exists():
            _check_same(read_prepared(folder), self._begun, folder)
        elif any(folder.glob("*.parquet")):
            raise InvalidInput(f"{folder} holds Parquet files but no {PREPARED}; give another folder", "out")
        else:
            self._write_prepared(self._begun)

    def has(self, split: str, number: int) -> bool:
        """Whether that shard is there already."""
        return self._path(split, number).exists()

    def write(
        self, split: str, number: int, segments: Sequence[Segment], skipped: Mapping[str, str] | None = None
    ) -> Path:
        """Write a shard, whole or not at all, and bring `prepared.json` up to date. `skipped`: what became no segment.

        Raises `InvalidInput` for a segment that breaks its own rules, `CannotServe` where the disk is full.
        """
        codec, path = self._begun.codec, self._path(split, number)
        for segment in segments:
            _check_segment(segment, codec)
        tally = _tally(segments, codec, skipped or {})
        table = pa.Table.from_pylist([_row(segment) for segment in segments], schema=_SCHEMA)
        table = table.replace_schema_metadata({_REPORT: json.dumps(asdict(tally))})
        with _writing(self._folder), beside(path) as partial:
            pq.write_table(table, partial, compression="zstd")
        self._summarise(complete=False)
        return path

    def finish(self) -> Prepared:
        """Say in `prepared.json` that nothing is missing. Raises `CannotServe` where that cannot be written."""
        return self._summarise(complete=True)

    def _summarise(self, complete: bool) -> Prepared:
        begun = self._begun
        prepared = Prepared(begun.codec, begun.segment_seconds, begun.origin, _tallies(self._folder), complete)
        self._write_prepared(prepared)
        return prepared

    def _write_prepared(self, prepared: Prepared) -> None:
        text = json.dumps({"version": VERSION, **asdict(prepared)}, indent=2)
        with _writing(self._folder), beside(self._folder / PREPARED) as partial:
            partial.write_text(text + "\n")

    def _path(self, split: str, number: int) -> Path:
        return self._folder / f"{split}-{number:05}.parquet"


def read_prepared(folder: Path) -> Prepared:
    """What `folder` holds, by its `prepared.json`. Raises `InvalidInput` where there is none that can be used."""
    path = folder / PREPARED
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != VERSION:
            raise InvalidInput(f"{path} is of version {shown(content['version'])}, not {VERSION}; prepare it anew")
        splits = {split: Tally(**tally) for split, tally in content["splits"].items()}
        codec = Codec(**content["codec"])
        prepared = Prepared(codec, content["segment_seconds"], content["origin"], splits, content["complete"])
    except FileNotFoundError:
        raise InvalidInput(f"{folder} has no {PREPARED}: it was not made by `musicmed-live models prepare`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InvalidInput(f"{path} cannot be read ({fault}); prepare the folder anew") from fault
    return prepared


def open_split(folder: Path, split: str) -> datasets.Dataset:
    """The segments of a split, in memory (about 12 KB each), with the columns of `Segment`.

    Raises `InvalidInput` where there are none, or a shard is damaged or holds what is no token of the codec.
    """
    prepared = read_prepared(folder)
    paths = _shards(folder, split)
    tables = [_read(path, prepared.codec) for path in paths]
    if not sum(len(table) for table in tables):
        others = ", ".join(name for name, tally in prepared.splits.items() if tally.segments)
        found = f", only in: {others}" if others else ""
        way_out = "prepare more tracks into another folder" if prepared.complete else "go on preparing it"
        raise InvalidInput(f"{folder} has no segments in the split {split!r}{found}; {way_out}", "split")
    return datasets.Dataset(pa.concat_tables(tables), split=datasets.NamedSplit(split))


def each_segment(split: datasets.Dataset) -> Iterator[Segment]:
    """The rows of a split, one by one."""
    words = ("moods", "instruments", "genres", "captions")
    for row in split:
        codes = np.array(row["codes"], np.int16)
        yield Segment(**row | {"codes": codes} | {name: tuple(row[name]) for name in words})


def _shards(folder: Path, split: str) -> list[Path]:
    return sorted(folder.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].parquet"))


def _tallies(folder: Path) -> dict[str, Tally]:
    found = {}
    for split in SPLITS:
        reports = (_report(path) for path in _shards(folder, split))
        if (total := sum_of(reports)).shards:
            found[split] = total
    return found


def sum_of(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    total = Tally()
    for tally in tallies:
        total = total.plus(tally)
    return total


def _tally(found: Sequence[Segment], codec: Codec, skipped: Mapping[str, str]) -> Tally:
    frames = sum(segment.codes.shape[1] for segment in found)
    quadrants = dict(Counter(segment.quadrant for segment in found))
    licences = dict(Counter(segment.licence for segment in found))
    return Tally(1, len(found), frames / codec.frame_rate, quadrants, licences, dict(skipped))


def _row(segment: Segment) -> dict[str, Any]:
    return {name: getattr(segment, name) for name in _SCHEMA.names} | {"codes": list(segment.codes)}


def _check_segment(segment: Segment, codec: Codec) -> None:
    codes, at = segment.codes, (segment.valence, segment.arousal)
    if codes.dtype != np.int16 or codes.ndim != 2 or codes.shape[0] != codec.codebooks or not codes.size:
        raise InvalidInput(f"{segment.id}: codes are {codes.dtype} {codes.shape}, not int16 ({codec.codebooks}, n)")
    if codes.min() < 0 or codes.max() >= codec.vocab:
        raise InvalidInput(f"{segment.id}: tokens go from {codes.min()} to {codes.max()}, not 0 to {codec.vocab - 1}")
    known = [value for value in at if value is not None]
    if len(known) == 1 or any(not math.isfinite(value) or abs(value) > 1 for value in known):
        raise InvalidInput(f"{segment.id}: valence and arousal are {at}, not two numbers from -1 to 1, or none")


def _read(path: Path, codec: Codec) -> Any:
    """A shard's table, checked. Untyped as all of pyarrow."""
    try:
        table = pq.read_table(path).replace_schema_metadata(None)
        table = table.cast(_SCHEMA)
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise InvalidInput(f"{path} is damaged ({_one_line(fault)}); remove it and prepare again") from fault
    if len(table) and not _holds_tokens(table.column("codes").combine_chunks(), codec):
        raise InvalidInput(f"{path} holds other than {codec.codebooks} x n tokens below {codec.vocab}; remove it")
    return table


def _holds_tokens(codes: Any, codec: Codec) -> bool:
    books = codes.flatten()
    frames = pc.list_value_length(books).to_numpy(zero_copy_only=False).reshape(-1)
    if pc.unique(pc.list_value_length(codes)).to_pylist() != [codec.codebooks]:
        return False
    per_segment = frames.reshape(-1, codec.codebooks)
    if not (per_segment[:, :1] == per_segment).all() or per_segment.min() < 1:
        return False
    tokens = books.flatten()
    limits = pc.min_max(tokens)
    return not tokens.null_count and limits["min"].as_py() >= 0 and limits["max"].as_py() < codec.vocab


def _report(path: Path) -> Tally:
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Tally(**json.loads(metadata[_REPORT]))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as fault:
        raise InvalidInput(f"{path} is damaged ({_one_line(fault)}); remove it and prepare again") from fault


def _check_same(found: Prepared, wanted: Prepared, folder: Path) -> None:
    if found.codec != wanted.codec:
        raise InvalidInput(f"{folder} holds tokens of another codec; give another folder, or their model")
    ours, theirs = json.loads(json.dumps(wanted.origin)), found.origin
    differing = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if differing or found.segment_seconds != wanted.segment_seconds:
        raise InvalidInput(
            f"{folder} was begun with other settings ({', '.join(differing) or 'segment_seconds'}); "
            "give another folder, or the same settings to go on"
        )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "make room and run the same command again" if full else "see to that, or give another folder"
        raise CannotServe(
            f"{folder} cannot be written ({fault.strerror or fault}); what is finished there is whole: {way_out}"
        ) from fault


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:120]
