"""The folder that a training leaves its things in: whether it may be used."""

from pathlib import Path

from models import checkpoints
from models.conditioned import ADAPTER
from models.record import HISTORY
from musicmed_live.errors import InvalidInput


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
