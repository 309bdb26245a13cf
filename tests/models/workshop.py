"""A place to train in: a tiny model, shards for it, a short recipe, and folders."""

from collections.abc import Sequence
from pathlib import Path

from models.shards import Segment
from models.train import Outcome, train
from tests.models.lessons import lesson, write_shards
from tests.musicgen import tiny

RECIPE = """\
[lora]
rank = 4
alpha = 8
dropout = 0.1
targets = ["q_proj", "v_proj", "fc1"]
[emotion]
tokens = 2
width = 16
[training]
steps = 6
batch = 2
accumulate = 2
learning_rate = 1e-2
warmup_steps = 2
[validation]
every = 3
patience = 3
"""
ALL_WEIGHTS = RECIPE[RECIPE.index("[training]") :]


class Workshop:
    """A tiny model, shards for it, and folders to train in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.model = tiny.write_hf(folder / "model")
        self.shards = self.write([lesson(number) for number in range(5)], [lesson(number) for number in range(5, 9)])

    def write(self, seen: Sequence[Segment], unseen: Sequence[Segment], model: Path | None = None) -> Path:
        return write_shards(self.place("shards"), model or self.model, seen, unseen)

    def place(self, name: str) -> Path:
        """A path where nothing is yet."""
        self._count += 1
        return self._folder / f"{name}-{self._count}"

    def recipe(self, *changes: tuple[str, str], text: str = RECIPE) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = self.place("recipe").with_suffix(".toml")
        path.write_text(text)
        return path

    def train(self, recipe: Path | None = None, shards: Path | None = None, out: Path | None = None) -> Outcome:
        return train(recipe or self.recipe(), self.model, shards or self.shards, out or self.place("out"))
