"""The same weights make the same logits, tokens and sound in audiocraft, in transformers and in ours.

Needs what `requirements-audiocraft.txt` lists; `make test` installs it.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import MusicgenForConditionalGeneration

from musicmed_live.musicgen.engine import Conditioning, Sampling
from musicmed_live.musicgen.torch_engine import TorchEngine
from musicmed_live.musicgen.weights import Checkpoint, open_checkpoint
from tests.musicgen.audiocraft_lm import FRAMES, PROMPT

ROOT = Path(__file__).parents[2]
BOOKS, PAD = 4, 2048
Measured = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def theirs(tiny_audiocraft: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """What audiocraft makes of the tiny checkpoint."""
    out = tmp_path_factory.mktemp("audiocraft") / "measured.pt"
    command = [sys.executable, "-m", "tests.musicgen.audiocraft_lm", str(tiny_audiocraft), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    measured: Measured = torch.load(out, weights_only=True)
    return measured


@pytest.fixture(scope="module")
def transformers_model(tiny_model: Path) -> MusicgenForConditionalGeneration:
    """The tiny checkpoint as transformers itself reads it."""
    model: MusicgenForConditionalGeneration = MusicgenForConditionalGeneration.from_pretrained(tiny_model)
    return model


@pytest.fixture(scope="module")
def checkpoint(tiny_audiocraft: Path) -> Checkpoint:
    """The tiny checkpoint as ours reads it, from audiocraft's files."""
    return open_checkpoint(tiny_audiocraft)


def delayed(codes: torch.Tensor) -> torch.Tensor:
    """Columns (4, T + 4) of tokens (4, T): each codebook a step later than the one before, the first column empty."""
    columns = torch.full((BOOKS, codes.shape[1] + BOOKS), PAD)
    for book in range(BOOKS):
        columns[book, book + 1 : book + 1 + codes.shape[1]] = codes[book]
    return columns


def undelayed(columns: torch.Tensor, frames: int) -> torch.Tensor:
    """Of what the columns (4, S, ...) after the first one hold, what belongs to each frame: (4, frames, ...)."""
    return torch.stack([columns[book, book : book + frames] for book in range(BOOKS)])


@torch.no_grad()
def test_logits_are_those_of_transformers_with_and_without_the_prompt(
    theirs: Measured, transformers_model: MusicgenForConditionalGeneration, checkpoint: Checkpoint
) -> None:
    tokenizer, _ = checkpoint.text_encoder()
    text = tokenizer(PROMPT, return_tensors="pt")
    hidden = transformers_model.text_encoder(**text).last_hidden_state
    mask = torch.stack([text.attention_mask[0], torch.zeros_like(text.attention_mask[0])])
    logits = transformers_model(
        decoder_input_ids=delayed(theirs["codes"][0]).repeat(2, 1),
        encoder_outputs=(hidden.repeat(2, 1, 1) * mask[..., None],),
        attention_mask=mask,
    ).logits.view(2, BOOKS, -1, PAD)

    for row in range(2):
        ours = undelayed(logits[row], theirs["codes"].shape[2])
        assert torch.allclose(ours, theirs["logits"][row], atol=1e-4)
    assert theirs["logits"].std() > 0.1
    assert not torch.allclose(theirs["logits"][0], theirs["logits"][1], atol=0.01)


@torch.no_grad()
def test_greedy_tokens_are_those_of_transformers_over_200_steps(
    theirs: Measured,
    transformers_model: MusicgenForConditionalGeneration,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[torch.Tensor] = []
    codec: Any = transformers_model.audio_encoder
    decode = codec.decode

    def listening(codes: torch.Tensor, **rest: Any) -> Any:
        heard.append(codes[0, 0])
        return decode(codes, **rest)

    monkeypatch.setattr(codec, "decode", listening)
    tokenizer, _ = checkpoint.text_encoder()
    transformers_model.generate(
        **tokenizer(PROMPT, return_tensors="pt"), do_sample=False, guidance_scale=3.0, max_new_tokens=FRAMES + BOOKS - 1
    )

    assert torch.equal(heard[0][:, :FRAMES], theirs["tokens"])


@torch.no_grad()
def test_greedy_tokens_are_those_of_our_engine_over_200_steps(theirs: Measured, checkpoint: Checkpoint) -> None:
    tokenizer, encoder = checkpoint.text_encoder()
    hidden = encoder(**tokenizer(PROMPT, return_tensors="pt")).last_hidden_state[0]
    engine = TorchEngine(
        checkpoint.config, checkpoint.decoder_tensors(), slots=1, sampling=Sampling(top_k=1), dtype=torch.float32
    )
    engine.condition([0], Conditioning(hidden, torch.zeros(len(hidden))))
    columns = delayed(torch.full((BOOKS, FRAMES), -1)).T[None]  # (1, steps + 1, 4)
    made = engine.advance([0], columns[:, 0], columns[:, 1:], torch.zeros(1, FRAMES + BOOKS - 1, dtype=torch.int64))

    assert torch.equal(undelayed(made[0].T, FRAMES), theirs["tokens"])


@torch.no_grad()
def test_tokens_sound_the_same_in_the_converted_codec(theirs: Measured, checkpoint: Checkpoint) -> None:
    codec: Any = checkpoint.codec()
    sound = codec.decode(theirs["codes"][None], [None])[0][0, 0]

    assert torch.allclose(sound, theirs["sound"], atol=1e-5)
    assert theirs["sound"].std() > 0.01
