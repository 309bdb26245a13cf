"""The proof that training teaches emotions: its parts, and its smallest size from music to figures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.conditioned import losses
from models.proof import codec, corpus
from models.proof.quantiser import fit_codebooks, quantise
from models.proof.semitones import (
    FREQUENCIES_HZ,
    LOUDEST,
    RANGE_DB,
    SEMITONES,
    level_of_loudness,
    levels,
    loudness_of,
)
from models.proof.sizes import SIZES
from models.proof.stages import Stages
from models.train import Training
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import ClipRequest, frames_of
from musicmed_live.musicgen.generator import MusicgenGenerator
from musicmed_live.musicgen.parts import CODEC_RATE

A4, E5 = 33, 40  # semitones above C2


def sine(semitone: int, amplitude: float, seconds: float = 2.0) -> NDArray[np.float32]:
    at = np.arange(round(seconds * CODEC_RATE)) / CODEC_RATE
    return np.asarray(amplitude * np.sin(2 * np.pi * FREQUENCIES_HZ[semitone] * at), np.float32)


def test_a_tone_is_as_loud_as_it_is_at_its_semitone_and_silent_an_octave_away() -> None:
    middle = levels(sine(A4, LOUDEST))[50]
    assert FREQUENCIES_HZ[A4] == 440.0
    assert middle[A4] == pytest.approx(1.0, abs=0.01)
    assert middle[A4 - 12] == middle[A4 + 12] == -1.0


def test_levels_are_decibels() -> None:
    loud, soft = (levels(sine(A4, LOUDEST * gain))[50, A4] for gain in (1.0, 0.1))
    assert loud - soft == pytest.approx(2 * 20 / RANGE_DB, abs=0.01)


@torch.inference_mode()
def test_the_codec_plays_what_the_levels_say_in_tune() -> None:
    """Of two tones, one 10 dB softer, and of nothing else."""
    asked = np.full((300, SEMITONES), -1.0, np.float32)
    asked[:, A4], asked[:, E5] = 1.0, 1.0 - 2 * 10 / RANGE_DB
    decoder = codec.make_codec(64, seed=0).decoder
    sound = decoder(torch.from_numpy(asked.T[None]))[0, 0].numpy()
    heard = levels(sound)[200]
    assert len(sound) == 300 * CODEC_RATE // 50
    assert heard[A4] == pytest.approx(1.0, abs=0.08)
    assert heard[E5] == pytest.approx(asked[0, E5], abs=0.15)
    far = [heard[other] for other in range(SEMITONES) if min(abs(other - A4), abs(other - E5)) > 2]
    assert max(far) < -0.3  # 27 dB below


def test_a_tone_is_heard_at_its_semitone_alone() -> None:
    assert (levels(sine(A4, LOUDEST))[20:80] > -1.0).sum(axis=1).tolist() == [1] * 60


def test_loudness_is_the_same_scale_as_levels() -> None:
    level = torch.linspace(-1.0, 1.0, 9)
    assert torch.allclose(level_of_loudness(loudness_of(level)), level, atol=1e-5)
    assert float(level_of_loudness(torch.zeros(()))) == -1.0


def test_each_codebook_describes_its_register() -> None:
    heard = 2 * torch.rand(2000, 8, generator=torch.Generator().manual_seed(0)) - 1
    books = fit_codebooks(heard, 4, 16, seed=1)
    tokens = quantise(heard, books)
    for number, book in enumerate(books):
        assert set(torch.nonzero(book.any(0)).flatten().tolist()) == {2 * number, 2 * number + 1}
    told = torch.stack([book[row] for book, row in zip(books, tokens, strict=True)]).sum(0)
    assert float((told - heard).square().mean()) < 0.3 * float(heard.square().mean())
    assert all(len(row.unique()) == 16 for row in tokens)  # no token is for nothing


def test_tokens_last_through_what_is_hardly_heard_and_change_with_the_note() -> None:
    """A note whose level wavers a little between what two tokens say, and then another one."""
    silent, soft, loud, other = torch.full((4, 4), -1.0).unbind()
    soft[0], loud[0], other[1] = 0.8, 0.9, 0.9
    book = torch.stack((silent, soft, loud, other))
    wavering = torch.stack([loud if frame % 2 else soft for frame in range(20)] + [other] * 20)
    (tokens,) = quantise(wavering, [book])
    assert len(tokens[:20].unique()) == 1
    assert tokens[20:].tolist() == [3] * 20


def test_the_corpus_covers_the_plane_and_keeps_some_of_it_for_validation() -> None:
    tracks = corpus.plan(400, seed=3)
    assert tracks == corpus.plan(400, seed=3)
    assert len({track.seed for track in tracks}) == 400
    assert sum(track.split == "validation" for track in tracks) == 40
    right = [track for track in tracks if track.emotion.valence > 0 and track.emotion.arousal > 0]
    assert len(right) == pytest.approx(100, abs=30)


@pytest.fixture(scope="session")
def proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The smallest size of the whole proof, and what it found. Not to be changed."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("proof")
    return out, Stages(out, SIZES["ci"], lambda line: None).run()


def test_music_is_likelier_to_the_adapter_with_its_own_emotion_than_with_the_opposite(
    proof: tuple[Path, dict[str, Any]],
) -> None:
    """What it plays is judged, too, but so little training is not heard in so few clips."""
    out, found = proof
    assert {side: played["unheard"] for side, played in found["played"].items()} == {"base": 0, "adapter": 0}
    training = Training(out / "adapter.toml", out / "model", out / "told", out / "adapter", resume=True)
    with training._claim, torch.inference_mode():
        model, segments = training._trainer.model.eval(), training._trainer._segments
        batch = segments.whole(range(min(64, len(segments))))
        told = replace(batch, text_weight=torch.full_like(batch.text_weight, -torch.inf))  # the emotion alone
        own, opposite = (
            losses(model(replace(told, emotions=emotions)), told.targets)
            for emotions in (told.emotions, -told.emotions)
        )
    assert own.mean() < opposite.mean()
    assert (own < opposite).float().mean() > 0.7


def test_the_training_makes_the_music_likelier_to_who_knows_its_emotion(proof: tuple[Path, dict[str, Any]]) -> None:
    for stage, falls in (("base", 0.3), ("adapter", 0.01)):
        history = json.loads((proof[0] / stage / "history.json").read_text())
        losses = [each["loss"] for each in history["validated"]]
        assert min(losses) < losses[0] - falls, stage


def test_the_adapter_plays_in_a_session(proof: tuple[Path, dict[str, Any]]) -> None:
    out, _ = proof
    voice = MusicgenGenerator(str(out / "model"), [str(out / "adapter" / "adapter")], "cpu").open_voice(1)
    blocks = list(voice.compose(ClipRequest(0, frames_of(1.0), Emotion(-0.5, -0.5), Emotion(0.5, 0.5))))
    assert sum(len(block.samples) for block in blocks) == frames_of(1.0)


def test_what_is_finished_is_not_made_again(proof: tuple[Path, dict[str, Any]]) -> None:
    out, found = proof
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert Stages(out, SIZES["ci"], lambda line: None).run()["figures"] == found["figures"]
    assert made == {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
