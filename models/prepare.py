"""From tracks to token shards: read, cut, encoded by several processes, and written a whole shard at a time.

What a shard consists of is decided before any sound is read. So a preparation that was ended, by whatever, goes on with
the first shard that is not there; at most the work on one shard is lost.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from models.captions import captions
from models.segments import SEGMENT_SECONDS, Unusable, cut, read_mono
from models.shards import Prepared, Segment, ShardWriter
from models.tokens import SoundEncoder, codec_of, fastest_type
from models.tracks import Track, Wanted
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.musicgen.weights import open_checkpoint

SHARD_SEGMENTS = 512  # that are planned for a shard: 4 hours of sound
UNKNOWN_SEGMENTS = 8  # that are reckoned for a track whose length is not known

_BATCH_SEGMENTS = 8  # that a process encodes at once

Advance = Callable[[int], None]  # is told how many files are done


@dataclass(frozen=True, slots=True)
class Shard:
    """What goes into one file."""

    split: str
    number: int  # in its split
    tracks: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some tracks."""

    segments: list[Segment]
    skipped: dict[str, str]  # by path, and why


@dataclass(frozen=True, slots=True)
class Machine:
    """On what the tokens are made."""

    device: str  # as torch names it
    processes: int


def default_machine(device: str) -> Machine:
    """The device asked for, or with `auto` a GPU where there is one; a process for each core, at most four on a GPU.

    Raises `InvalidInput` where there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("--device: torch finds no GPU here; use --device cpu", "device")
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(chosen, cores if chosen == "cpu" else min(cores, 4))


def plan_shards(selected: Sequence[Wanted]) -> list[Shard]:
    """The shards that these tracks, in the order of their splits, are written to."""
    shards = []
    for split, wanted in groupby(selected, key=lambda one: one.track.split):
        groups = _groups(list(wanted), SHARD_SEGMENTS)
        shards += [Shard(split, number, tuple(group)) for number, group in enumerate(groups)]
    return shards


def prepare(
    selected: Sequence[Wanted],
    sounds: Path,
    model: str | Path,
    out: Path,
    origin: dict[str, Any],
    machine: Machine,
    advance: Advance = lambda _files: None,
) -> Prepared:
    """Write the token shards of tracks, whose files lie in `sounds`, to `out`, or those of them that are not there yet.

    `origin` is kept, and compared when a preparation is gone on with. Files that cannot be used are named in the report
    and do not end anything. Raises `BadWeights` for a model that is none, `InvalidInput` where `out` holds something
    else, `CannotServe` where the disk is full or a process died.
    """
    codec = codec_of(open_checkpoint(model).codec())
    writer = ShardWriter(out, codec, SEGMENT_SECONDS, origin)
    with _workers(machine, sounds, model) as workers:
        for shard in plan_shards(selected):
            if not writer.has(shard.split, shard.number):
                outcome = _collected(workers, shard, advance)
                writer.write(shard.split, shard.number, outcome.segments, outcome.skipped)
            else:
                advance(len(shard.tracks))
    return writer.finish()


def reckoned(tracks: Sequence[Wanted]) -> int:
    """About how many segments come of these tracks."""
    return sum(_reckoned(wanted) for wanted in tracks)


def _reckoned(wanted: Wanted) -> int:
    return wanted.segments if wanted.track.seconds is not None else UNKNOWN_SEGMENTS


def _groups(tracks: Sequence[Wanted], segments: int) -> Iterator[list[Wanted]]:
    """Consecutive tracks, about so many segments at a time."""
    group: list[Wanted] = []
    for wanted in tracks:
        group.append(wanted)
        if reckoned(group) >= segments:
            yield group
            group = []
    if group:
        yield group


def _collected(workers: Executor, shard: Shard, advance: Advance) -> Outcome:
    whole = Outcome([], {})
    groups = list(_groups(shard.tracks, _BATCH_SEGMENTS))
    try:
        for group, part in zip(groups, workers.map(_encode, groups), strict=True):
            whole.segments.extend(part.segments)
            whole.skipped.update(part.skipped)
            advance(len(group))
    except BrokenProcessPool as fault:
        raise CannotServe(
            "a process that encodes was ended, most likely for want of memory; what is finished is whole: "
            "run the same command again, with fewer --processes"
        ) from fault
    return whole


@contextmanager
def _workers(machine: Machine, sounds: Path, model: str | Path) -> Iterator[Executor]:
    """Workers that are ready to `_encode`. One alone works in this process, on all cores."""
    settings = (sounds, str(model), machine.device, machine.processes)
    workers: Executor
    if machine.processes == 1:
        workers = ThreadPoolExecutor(1, initializer=_begin, initargs=settings)
    else:
        context = get_context("spawn")  # torch, and what it has begun, cannot be forked
        workers = ProcessPoolExecutor(machine.processes, context, initializer=_begin, initargs=settings)
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)


_here = threading.local()  # of a worker: its encoder, and where the sounds are


def _begin(sounds: Path, model: str, device: str, processes: int) -> None:
    if processes > 1:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that collects
        torch.set_num_threads(1)
    chosen = torch.device(device)
    _here.sounds = sounds
    _here.encoder = SoundEncoder(open_checkpoint(model).codec(), chosen, fastest_type(chosen))


def _encode(tracks: Sequence[Wanted]) -> Outcome:
    """The segments of some tracks, encoded together."""
    cuts, skipped = [], {}
    for wanted in tracks:
        try:
            found = cut(read_mono(_here.sounds / wanted.track.path), wanted.segments)
        except Unusable as fault:
            skipped[wanted.track.path] = fault.message
        else:
            cuts += [(wanted.track, one.start_seconds, one.sound) for one in found]
    codes = _here.encoder.encode([sound for _, _, sound in cuts])
    segments = [_segment(track, start, tokens) for (track, start, _), tokens in zip(cuts, codes, strict=True)]
    return Outcome(segments, skipped)


def _segment(track: Track, start_seconds: float, codes: Any) -> Segment:
    name = f"{track.id}@{start_seconds:.1f}"
    return Segment(
        id=name,
        track=track.id,
        start_seconds=start_seconds,
        codes=codes,
        valence=track.emotion.valence if track.emotion else None,
        arousal=track.emotion.arousal if track.emotion else None,
        moods=track.moods,
        instruments=track.instruments,
        genres=track.genres,
        captions=captions(track, name),
        licence=track.licence,
    )
