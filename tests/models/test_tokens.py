"""Sound to tokens: those that the codec itself makes, however the sound is grouped."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import EncodecModel

from benchmarks.tokenizing import fit_codebooks
from models.tokens import HOP, SoundEncoder, codec_of, fastest_type
from musicmed_live.musicgen.weights import open_checkpoint
from tests.musicgen import tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint. Not to be changed."""
    return tiny.write_hf(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def codec(checkpoint: Path) -> EncodecModel:
    """A codec whose codebooks are of the kind that training makes. Not to be changed."""
    model = open_checkpoint(checkpoint).codec()
    fit_codebooks(model, noise(20.0, seed=9))
    return model


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    rumble = np.cumsum(random.standard_normal(round(seconds * 50) * HOP)) / 300
    return (0.1 * random.standard_normal(len(rumble)) + 0.3 * np.sin(rumble)).astype(np.float32)


def tokens_of(codec: EncodecModel, sound: NDArray[np.float32]) -> NDArray[np.int64]:
    """What transformers makes of a sound."""
    with torch.inference_mode():
        found = codec.encode(torch.from_numpy(sound)[None, None], bandwidth=2.2, return_dict=False)[0]
    assert isinstance(found, torch.Tensor)
    codes: NDArray[np.int64] = found[0, 0].numpy()
    return codes


@pytest.mark.parametrize("seconds", [1.0, 1.02, 1.96, 2.04, 3.5, 5.0])
def test_tokens_are_those_of_the_codec_itself(codec: EncodecModel, seconds: float) -> None:
    sound = noise(seconds)

    found = SoundEncoder(codec, CPU, torch.float32).encode([sound])[0]
    expected = tokens_of(codec, sound)

    assert found.dtype == np.int16
    assert found.shape == expected.shape == (4, round(seconds * 50))
    assert np.mean(found == expected) > 0.999  # a tie may fall the other way
    assert all(len(set(book)) > 10 for book in found.tolist())  # not all of them the same


def test_each_sound_has_its_own_tokens_in_order(codec: EncodecModel) -> None:
    encoder = SoundEncoder(codec, CPU, torch.float32)
    sounds = [noise(seconds, seed) for seed, seconds in enumerate((2.0, 1.5, 2.0, 3.0, 1.5))]

    together = encoder.encode(sounds)

    for sound, found in zip(sounds, together, strict=True):
        assert np.mean(found == encoder.encode([sound])[0]) > 0.999


def test_a_last_frame_that_is_not_whole_is_left_out(codec: EncodecModel) -> None:
    encoder = SoundEncoder(codec, CPU, torch.float32)
    sound = noise(1.5)
    longer = np.append(sound, np.full(HOP - 1, 0.1, np.float32))
    assert np.array_equal(encoder.encode([longer])[0], encoder.encode([sound])[0])


def test_nothing_gives_nothing(codec: EncodecModel) -> None:
    assert SoundEncoder(codec, CPU, torch.float32).encode([]) == []


def test_in_bfloat16_most_tokens_are_the_same(codec: EncodecModel) -> None:
    sound = noise(4.0)
    exact = SoundEncoder(codec, CPU, torch.float32).encode([sound])[0]
    quick = SoundEncoder(codec, CPU, torch.bfloat16).encode([sound])[0]
    assert np.mean(exact[0] == quick[0]) > 0.6  # random weights tell frames apart by little


def test_a_codec_is_told_from_another_whatever_its_layout(checkpoint: Path, tmp_path: Path) -> None:
    same = tiny.write_audiocraft(tmp_path / "audiocraft")
    other = tiny.write_hf(tmp_path / "other", seed=1)
    of = {folder: codec_of(open_checkpoint(folder).codec()) for folder in (checkpoint, same, other)}

    assert of[checkpoint] == of[same]
    assert of[checkpoint].sha256 != of[other].sha256
    assert (of[other].frame_rate, of[other].codebooks, of[other].vocab) == (50, 4, 2048)


def test_bfloat16_is_for_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert fastest_type(CPU) == torch.bfloat16
    assert fastest_type(torch.device("cuda")) == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert fastest_type(CPU) == torch.float32
