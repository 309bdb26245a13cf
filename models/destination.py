"""The folder that a data set is prepared in: one that can be written, is nothing else's, and is one process's alone."""

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
    for place in (out, *out.parents):
        if os.path.lexists(place) and not place.is_dir():
            within = "" if place == out else f", so {out} cannot be in it"
            raise InvalidInput(f"{place} is a file{within}; give a folder as --out", "out")
    if any((out / name).exists() for name in (CONFIG, DECODER)):
        raise InvalidInput(f"{out} is the folder of a model; give another --out", "out")
    if sounds is not None and out.resolve() == sounds.resolve():
        raise InvalidInput(f"{out} is the folder of the sounds; give another --out, such as {out / 'prepared'}", "out")


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Keep other preparations out of `out`, which is made where it is not there; the claim goes with the process.

    Raises `InvalidInput` where another one is at work in it, `CannotServe` where it cannot be written.
    """
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
                f"another preparation is at work in {out}; let it end, or give another --out", "out"
            ) from None
        yield
