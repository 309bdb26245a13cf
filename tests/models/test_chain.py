"""From shards to a model card, as the README leads through it: what one command writes, the next one reads."""

from pathlib import Path

import pytest
import torch
import yaml

from models.card import write_card
from models.clips import Grid
from models.evaluate import Judge, evaluate, sides_of
from models.train import train
from musicmed_live.service.generators import Choice
from tests.models.judging import ToneListener
from tests.models.lessons import lesson, write_shards
from tests.musicgen import tiny

RECIPE = """
seed = 1
training = {steps = 2, batch = 2, learning_rate = 1e-3}
validation = {every = 2}
lora = {rank = 2, alpha = 4.0, targets = ["q_proj", "v_proj"]}
emotion = {tokens = 2, width = 8}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model, and what a short training of an adapter for it left. Not to be changed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("chain")
    model = tiny.write_hf(folder / "tiny")
    shards = write_shards(folder / "shards", model, [lesson(i) for i in range(4)], [lesson(i) for i in range(10, 14)])
    (folder / "recipe.toml").write_text(RECIPE)
    train(folder / "recipe.toml", model, shards, folder / "out")
    return model, folder / "out"


def test_an_adapter_with_emotion_tokens_is_trained_evaluated_and_described(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    model, out = trained
    adapter = out / "adapter"

    sides = sides_of(Choice("musicgen", str(model), (str(adapter),), "cpu"))
    evaluate(sides, [Judge("listener", ToneListener())], Grid(2, 1, 0.6), tmp_path)
    write_card(tmp_path, out, adapter / "README.md")

    text = (adapter / "README.md").read_text()
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "other"
    assert "A LoRA adapter of rank 2 for MusicGen (tiny)" in text
    assert "2 learned tokens beside the text" in text
    assert "| training.steps | 2 |" in text
    assert "| adapter | adapter/emotion_tokens.safetensors |" in text
    assert "### Heard by listener" in text
