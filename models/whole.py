"""Files that are there whole or not at all, whatever ends the program while they are written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from soundfile import LibsndfileError

from musicmed_live.errors import CannotServe

_UNWRITTEN = (OSError, SafetensorError, LibsndfileError)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: it becomes `path` once it is on the disk, and is removed otherwise."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """As `beside`, in a folder that is made where it is not there.

    Raises `CannotServe` where that fails, as on a full disk; what was at `path` before is still there then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as partial:
            yield partial
    except _UNWRITTEN as fault:
        raise unwritable(path, fault) from fault


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder of files: an empty one to write to, which takes the place of the one at `path`."""
    partial, former = (path.with_name(f".{path.name}.{state}") for state in ("partial", "former"))
    try:
        if former.exists() and not path.exists():  # the program was ended between the two renamings
            former.rename(path)
        for left in (partial, former):
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            path.rename(former)
        partial.rename(path)
    except _UNWRITTEN as fault:
        raise unwritable(path, fault) from fault
    finally:
        for left in (partial, former):
            shutil.rmtree(left, ignore_errors=True)


def unwritable(path: Path, fault: Exception) -> CannotServe:
    """What to say where something cannot be written."""
    reason = fault.strerror if isinstance(fault, OSError) else ""
    return CannotServe(
        f"{path} cannot be written ({reason or fault}); what was there before is whole: make room and go on"
    )
