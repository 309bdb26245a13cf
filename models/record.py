"""What a training leaves to be read: `history.json`, and the curves for TensorBoard."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from models.history import History
from models.recipe import Recipe
from models.schedule import rate
from models.whole import unwritable, whole

HISTORY = "history.json"
RUNS = "runs"


class Record:
    """Writes what happens in one training, in `out/history.json` and `out/runs`.

    All that it does raises `CannotServe` where that cannot be written.
    """

    def __init__(self, out: Path, recipe: Recipe, about: Mapping[str, Any], history: History) -> None:
        """`about` is what it was made from; what an earlier run recorded of later steps than `history` is dropped."""
        self._path, self._runs, self._recipe, self._about = out / HISTORY, out / RUNS, recipe, about
        self._writer = SummaryWriter(str(self._runs), purge_step=history.step)

    def step(self, history: History) -> None:
        """A step was made."""
        training = self._recipe.training
        share = rate(history.step - 1, training.steps, training.warmup_steps)
        self._scalar("loss/training", history.losses[-1], history.step)
        self._scalar("learning_rate", training.learning_rate * share, history.step)

    def validated(self, history: History) -> None:
        """A validation was made: write the file, too."""
        newest = history.validated[-1]
        self._scalar("loss/validation", newest.loss, newest.step)
        for name, share in newest.quadrants.items():
            self._scalar(f"loss/validation/{name}", share.loss, newest.step)
        self.write(history)

    def write(self, history: History) -> None:
        """Write `history.json`."""
        with whole(self._path) as partial:
            partial.write_text(json.dumps({**self._about, **history.as_json()}, indent=1) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Write what is not on the disk yet."""
        with self._writing():
            self._writer.close()

    def _scalar(self, name: str, value: float, step: int) -> None:
        with self._writing():
            self._writer.add_scalar(name, value, step)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """TensorBoard writes in a thread of its own, and tells of what failed there at the next call."""
        try:
            yield
        except OSError as fault:
            raise unwritable(self._runs, fault) from fault
