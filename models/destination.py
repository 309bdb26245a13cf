"""The folder that something is made in: one that can be written, is nothing else's, and is one process's alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.musicgen.audiocraft import DECODER
from musicmed_live.musicgen.weights import CONFIG

LOCK = ".lock"


def check_destination(out: Path, sounds: Path | None = None) -> None:
    """Raise `InvalidInput` where `out` cannot be a folder, or is that of a model or of the sounds themselves."""
    check_folder(out)
    if any((out / name).exists() for name in (CONFIG, DECODER)):
        raise InvalidInput(f"{out} is the folder of a model; give another --out", "out")
    if sounds is not None and out.resolve() == sounds.resolve():
        raise InvalidInput(f"{out} is the folder of the sounds; give another --out, such as {out / 'prepared'}", "out")


def check_folder(out: Path) -> None:
    """Raise `InvalidInput` where `out` cannot be a folder, since it is a file, or below one."""
    for place in (out, *out.parents):
        if os.path.lexists(place) and not place.is_dir():
            within = "" if place == out else f", so {out} cannot be in it"
            raise InvalidInput(f"{place} is a file{within}; give a folder as --out", "out")


@contextmanager
def claimed(out: Path, work: str) -> Iterator[None]:
    """Keep others out of `out`, which is made where it is not there; the claim goes with the process.

    `work` is what is done there. Raises `InvalidInput` where another process is at it, or it is no folder,
    `CannotServe` where it cannot be written.
    """
    check_folder(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / LOCK).open("a")
    except OSError as fault:
        raise CannotServe(f"{out} cannot be written ({fault.strerror or fault}); give another --out") from fault
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                f"another {work} is at work in {out}; let it end, or give another --out", "out"
            ) from None
        yield
