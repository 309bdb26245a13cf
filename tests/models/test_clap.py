"""CLAP scores: sounds and texts as unit vectors, compared; on a tiny CLAP of random weights."""

import string
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
    RobertaTokenizer,
)

from models.clap import WINDOW_FRAMES, Clap, cached_clap, scores
from models.clips import Grid
from models.evaluate import Judge, evaluate
from musicmed_live.errors import BadWeights
from tests.models.judging import ToneListener, tone, tones


def write_clap(folder: Path) -> Path:
    """CLAP's layout as the hub has it, with a few thousand weights."""
    torch.manual_seed(0)
    letters = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "\u0120", *string.ascii_lowercase, ","]
    text = {
        **{"vocab_size": len(letters), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
        **{"intermediate_size": 16, "max_position_embeddings": 130, "projection_dim": 16, "pad_token_id": 1},
    }
    audio = {
        **{"hidden_size": 32, "projection_dim": 16, "depths": [1, 1], "num_attention_heads": [2, 2]},
        **{"patch_embeds_hidden_size": 16, "num_hidden_layers": 2, "num_classes": 4},
    }
    config = ClapConfig(text_config=text, audio_config=audio, projection_dim=16)
    tokenizer = RobertaTokenizer({letter: at for at, letter in enumerate(letters)}, [])
    extractor = ClapFeatureExtractor(feature_size=64, truncation="rand_trunc", padding="repeatpad")
    ClapModel(config).save_pretrained(folder)
    ClapProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Clap:
    """A tiny CLAP. Not to be changed."""
    torch.set_num_threads(1)
    return Clap(write_clap(tmp_path_factory.mktemp("clap")))


def test_texts_and_sounds_become_unit_vectors_of_one_space(clap: Clap) -> None:
    texts = clap.of_texts(["calm music", "heavy, dramatic rock music with drums"])
    sound = clap.of_sound(tone(0.0, 0.0, 96_000))

    assert texts.shape == (2, 16)
    assert sound.shape == (16,)
    assert np.linalg.norm(np.vstack([texts, sound]), axis=1) == pytest.approx(np.ones(3))
    assert not np.allclose(texts[0], texts[1])


def test_long_sound_is_heard_whole_and_the_same_each_time(clap: Clap) -> None:
    first, second = tone(-0.5, 0.0, WINDOW_FRAMES), tone(0.9, 0.5, WINDOW_FRAMES)
    both = clap.of_sound(np.concatenate([first, second]))

    mean = (clap.of_sound(first) + clap.of_sound(second)) / 2
    assert both == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert np.array_equal(both, clap.of_sound(np.concatenate([first, second])))


def test_a_short_rest_is_left_out(clap: Clap) -> None:
    sound = tone(0.2, 0.0, WINDOW_FRAMES + 4_800)
    assert clap.of_sound(sound) == pytest.approx(clap.of_sound(sound[:WINDOW_FRAMES]))


def test_a_score_is_the_mean_cosine_with_the_own_text_and_with_the_others() -> None:
    texts = np.eye(3)
    sounds = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])

    assert scores(sounds, texts, [0, 1]) == pytest.approx({"own_text": 0.9, "other_texts": 0.15})
    assert scores(sounds[:1], texts[:1], [0]) == {"own_text": 1.0, "other_texts": None}


def test_an_evaluation_has_the_scores_of_each_side(clap: Clap, tmp_path: Path) -> None:
    content = evaluate([tones("base"), tones("adapter")], [Judge("l", ToneListener())], Grid(2, 1, 1.0), tmp_path, clap)

    found = content["clap"]["scores"]
    assert set(found) == {"base", "adapter"}
    assert found["base"] == found["adapter"]  # they play the same
    assert -1 <= found["base"]["own_text"] <= 1
    assert "with its own text" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_model_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_clap(tmp_path / "clap")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadWeights, match="no CLAP model that can be read"):
        Clap(folder)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(BadWeights, match="no CLAP model"):
        Clap(tmp_path)


def test_where_clap_is_not_in_the_cache_nobody_is_asked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert cached_clap() is None

    kept = tmp_path / "models--laion--larger_clap_music"
    snapshot = kept / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs/main").write_text("0" * 40)
    (snapshot / "config.json").write_text("{}")
    assert cached_clap() is None  # somebody has looked at it, and has not fetched it

    (snapshot / "pytorch_model.bin").write_bytes(b"weights")
    assert cached_clap() == snapshot
