"""From sound files to a session that plays the adapter, by the README's commands: what one writes, the next reads."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from models.proof.corpus import plan
from musicmed_live.cli import main
from musicmed_live.composer.voice import ComposerGenerator
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, frames_of
from tests.musicgen import tiny

RECIPE = """
seed = 1
training = {steps = 2, batch = 2, learning_rate = 1e-3}
validation = {every = 2}
lora = {rank = 2, alpha = 4.0, targets = ["q_proj", "v_proj"]}
emotion = {tokens = 2, width = 8}
"""
TRACKS, SECONDS = 4, 11.0

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # by PEFT itself


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, a recipe, and music of the composer with a table of its emotions."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("chain")
    tiny.write_hf(folder / "tiny")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "music").mkdir()
    rows, composer = ["path,valence,arousal,split"], ComposerGenerator()
    for number, track in enumerate(plan(TRACKS, seed=1)):
        request = ClipRequest(0, frames_of(SECONDS), track.emotion, track.emotion)
        sound = np.concatenate([block.samples for block in composer.open_voice(track.seed).compose(request)])
        soundfile.write(folder / "music" / f"{number}.flac", sound, SAMPLE_RATE)
        split = "train" if number < TRACKS // 2 else "validation"
        rows.append(f"{number}.flac,{track.emotion.valence},{track.emotion.arousal},{split}")
    (folder / "music.csv").write_text("\n".join(rows) + "\n")
    return folder


def models(command: str, *arguments: object) -> None:
    main(["models", command, *map(str, arguments)])


def test_an_adapter_is_prepared_for_trained_evaluated_described_and_played(place: Path) -> None:
    model, shards, moods, heard = (place / name for name in ("tiny", "shards", "moods", "heard"))
    adapter = moods / "adapter"

    told = ("--csv", place / "music.csv", "--model", model, "--processes", 1)
    models("prepare", place / "music", *told, "--out", shards)
    models("train", place / "recipe.toml", "--model", model, "--shards", shards, "--out", moods)
    asked = ("--levels", 2, "--seeds", 1, "--seconds", 5)
    models("evaluate", "--model", model, "--adapter", adapter, "--out", heard, "--device", "cpu", *asked)
    models("card", "--evaluation", heard, "--training", moods, "--out", adapter / "README.md")
    player = ("--generator", "musicgen", "--model", str(model), "--adapter", str(adapter), "--device", "cpu")
    main(["render", str(place / "session.wav"), *player, "--start", "sad", "--goal", "calm", "--minutes", "0.5"])

    text = (adapter / "README.md").read_text()
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "other"
    assert "A LoRA adapter of rank 2 for MusicGen (tiny)" in text
    assert "2 learned tokens beside the text" in text
    assert "| training.steps | 2 |" in text
    assert "| adapter | adapter/emotion_tokens.safetensors |" in text
    assert "### Heard by embedded" in text
    assert soundfile.info(place / "session.wav").duration == pytest.approx(30.0, abs=0.01)
