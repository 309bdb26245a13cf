"""The tiny model as a directory in transformers' layout for MusicGen, which is played and trained as any other."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from transformers import (
    EncodecModel,
    GenerationConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    T5Config,
    T5Tokenizer,
)

from models.proof.sizes import Size
from musicmed_live.core.generator import Preference
from musicmed_live.musicgen.prompts import texts

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEXT_WIDTH = 64  # of no decoder here: between equal widths transformers has no projection
_SPECIAL = ("<pad>", "</s>", "<unk>", "\u2581")


def make_model(codec: EncodecModel, size: Size) -> MusicgenForConditionalGeneration:
    """The codec with a random decoder and a random text encoder, which gives each word a key of its own."""
    torch.manual_seed(size.seed)
    tokenizer = make_tokenizer()
    text = T5Config(
        vocab_size=len(tokenizer), d_model=_TEXT_WIDTH, d_kv=16, d_ff=128, num_layers=2, num_heads=4, dropout_rate=0.0
    )
    decoder = MusicgenDecoderConfig(
        vocab_size=size.vocab,
        num_hidden_layers=size.layers,
        hidden_size=size.width,
        num_attention_heads=size.heads,
        ffn_dim=4 * size.width,
        dropout=0.0,
        pad_token_id=size.vocab,
        bos_token_id=size.vocab,
    )
    model = MusicgenForConditionalGeneration(
        MusicgenConfig(text_encoder=text, audio_encoder=codec.config, decoder=decoder)
    )
    _draw(model, size.layers)
    model.audio_encoder.load_state_dict(codec.state_dict())
    model.generation_config = GenerationConfig(
        do_sample=True,
        guidance_scale=3.0,
        max_length=1500,
        decoder_start_token_id=size.vocab,
        pad_token_id=size.vocab,
    )
    model.eval()
    return model


def _draw(model: MusicgenForConditionalGeneration, layers: int) -> None:
    """Random weights that a small decoder learns from quickly: tokens as loud as positions, layers that add little."""
    for name, weight in model.decoder.named_parameters():
        if "embed_tokens" in name:
            weight.data.normal_(std=0.5)
        elif "lm_heads" in name:
            weight.data.normal_(std=0.02)
        elif weight.dim() == 2:
            share = (2 * layers) ** -0.5 if name.endswith(("out_proj.weight", "fc2.weight")) else 1.0
            weight.data.normal_(std=share * weight.shape[1] ** -0.5)


def save(model: MusicgenForConditionalGeneration, folder: Path) -> None:
    """Write the directory."""
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)


def with_decoder(model: MusicgenForConditionalGeneration, weights: Path) -> MusicgenForConditionalGeneration:
    """The model with a decoder that was trained as a whole."""
    trained = load_file(weights)
    missing, unexpected = model.load_state_dict(trained, strict=False)
    if unexpected or any(name.startswith(("decoder.", "enc_to_dec_proj.")) for name in missing):
        raise ValueError(f"{weights} are not this decoder's weights")
    return model


def make_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer that has a token for every word of the texts that MusicGen is asked with, and spells others."""
    words = [(f"\u2581{word}", -4.0) for word in sorted(_words(texts(Preference(), Preference())))]
    letters = [(letter, -8.0) for letter in "abcdefghijklmnopqrstuvwxyz,.-'"]
    return T5Tokenizer(vocab=[(text, 0.0) for text in _SPECIAL[:3]] + [(_SPECIAL[3], -6.0)] + words + letters)


def _words(sentences: "Iterable[str]") -> set[str]:
    return {word for sentence in sentences for word in re.findall(r"[a-z]{2,}", sentence.lower())}
