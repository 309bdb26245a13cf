"""The folder that a training leaves its things in: whether it may be used, and one training at a time in it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from models import checkpoints
from models.conditioned import ADAPTER
from models.record import HISTORY
from musicmed_live.errors import CannotServe, InvalidInput

LOCK = ".lock"


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Keep other trainings out of `out`, which is made where it is not there; the claim ends with the process.

    Raises `InvalidInput` where another training is at work in it, or it is no folder; `CannotServe` where it cannot be
    written.
    """
    _check_folder(out)
    with _opened(out) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                f"another training is at work in {out}; let it end, or give another --out", "out"
            ) from None
        yield


def _opened(out: Path) -> TextIO:
    try:
        out.mkdir(parents=True, exist_ok=True)
        return (out / LOCK).open("a", encoding="utf-8")
    except OSError as fault:
        raise CannotServe(f"{out} cannot be written ({fault.strerror}); give another --out") from fault


def check_begun(out: Path, resume: bool) -> None:
    """Raise `InvalidInput` where there is nothing to go on from, or something that would be lost by beginning."""
    if resume and not checkpoints.is_begun(out):
        raise InvalidInput(
            f"{out} holds no training to go on with: {checkpoints.FOLDER}/{checkpoints.FILE} is missing; begin one "
            "without --resume, in another folder where this one holds an adapter",
            "resume",
        )
    if not resume and checkpoints.is_begun(out):
        raise InvalidInput(f"{out} holds a training already; go on with --resume, or give another --out", "out")
    if not resume:
        for name in (ADAPTER, HISTORY):
            if (out / name).exists():
                raise InvalidInput(f"{out} holds {name} of a training already; give another --out", "out")


def check_apart(out: Path, model: Path, shards: Path) -> None:
    """Raise `InvalidInput` where `shards` is a file, or `out` is the folder of the model or of the shards."""
    if shards.is_file():
        raise InvalidInput(f"{shards} is a file; give the folder that `musicmed-live models prepare` made", "shards")
    for name, folder in (("model", model), ("shards", shards)):
        if out.resolve() == folder.resolve():
            raise InvalidInput(f"{out} is the folder of the {name}; give another --out", "out")


def _check_folder(out: Path) -> None:
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            where = "" if place == out else f", so {out} cannot be in it"
            raise InvalidInput(f"{place} is a file{where}; give a folder as --out", "out")
