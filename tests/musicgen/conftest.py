"""Checkpoints to test with, made once for all tests."""

from pathlib import Path

import pytest
import torch

from tests.musicgen import tiny


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny matrices are quickest on one thread, also while other programs run."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in the Hugging Face layout. Not to be changed."""
    return tiny.write_hf(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_audiocraft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in audiocraft's layout. Not to be changed."""
    return tiny.write_audiocraft(tmp_path_factory.mktemp("models") / "tiny-audiocraft")
