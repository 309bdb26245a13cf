"""Captions are encoded once, and again where it is not certain that they were."""

from pathlib import Path
from typing import cast

import pytest
import torch
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from models.texts import FILE, EncodedTexts, encode_texts
from musicmed_live.musicgen.conditioning import Conditioner
from tests.musicgen import tiny

TEXTS = ["sad piano", "happy dance music with drums and bass", "calm", "sad piano"]


class Library:
    """Lends a tiny text encoder, and counts how often it is asked for."""

    def __init__(self) -> None:
        self.lent = 0
        self._tokenizer = tiny.make_tokenizer()
        self._encoder = cast(T5EncoderModel, tiny.make_model(0, 64, len(self._tokenizer)).text_encoder)

    def load(self) -> tuple[PreTrainedTokenizerBase, T5EncoderModel]:
        self.lent += 1
        return self._tokenizer, self._encoder


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


def encode(library: Library, folder: Path, texts: list[str] = TEXTS, model: str = "abc") -> EncodedTexts:
    return encode_texts(texts, library.load, tiny.TEXT_WIDTH, folder, model)


def test_they_are_what_the_player_hears_to_half_precision(library: Library, tmp_path: Path) -> None:
    found = encode(library, tmp_path)
    for text, states in zip(TEXTS, Conditioner(library.load).encode(TEXTS), strict=True):
        torch.testing.assert_close(found[text].float(), states, rtol=2e-3, atol=1e-3)


def test_the_scale_is_that_of_the_hidden_states(library: Library, tmp_path: Path) -> None:
    states = torch.cat(Conditioner(library.load).encode(sorted(set(TEXTS))))
    assert encode(library, tmp_path).scale == pytest.approx(float(states.square().mean().sqrt()), rel=1e-3)


def test_a_second_time_they_come_from_the_file(library: Library, tmp_path: Path) -> None:
    first, lent = encode(library, tmp_path), library.lent
    again = encode(library, tmp_path, TEXTS[::-1])
    assert library.lent == lent
    assert all(torch.equal(first[text], again[text]) for text in TEXTS)


def test_other_texts_or_another_model_are_encoded(library: Library, tmp_path: Path) -> None:
    encode(library, tmp_path)
    lent = library.lent
    encode(library, tmp_path, ["calm"])
    encode(library, tmp_path, ["calm"], model="def")
    assert library.lent == lent + 2


def test_a_file_that_is_none_is_made_anew(library: Library, tmp_path: Path) -> None:
    encode(library, tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:50])
    assert len(encode(library, tmp_path)["calm"]) == len(encode(library, tmp_path / "elsewhere")["calm"])


def test_without_a_caption_nothing_is_encoded(library: Library, tmp_path: Path) -> None:
    assert encode(library, tmp_path, []).scale == 1.0
