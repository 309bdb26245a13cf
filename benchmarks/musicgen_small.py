"""A checkpoint of the exact shape of musicgen-small with random weights: how fast it is does not depend on them."""

import string
from pathlib import Path

import torch
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    T5Config,
    T5Tokenizer,
)

from musicmed_live.core.generator import Preference
from musicmed_live.musicgen.prompts import texts

TEXT_VOCAB = 32_128


def write_small(folder: Path) -> Path:
    """Write it in the Hugging Face layout, 2.4 GB in float32. Returns the folder."""
    torch.manual_seed(0)
    MusicgenForConditionalGeneration(small_config()).save_pretrained(folder)
    letters = dict.fromkeys(string.printable.strip(), -8.0)
    pieces = {"<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0, "\u2581": -6.0, **letters, **word_pieces()}
    T5Tokenizer(vocab=list(pieces.items())).save_pretrained(folder)
    return folder


def word_pieces() -> dict[str, float]:
    """The words of the prompts in pieces of six letters: about as many tokens as in T5's own vocabulary."""
    words = " ".join(texts(Preference(), Preference())).replace(",", "").split()
    return {piece: -5.0 for word in words for piece in ("\u2581" + word[:6], word[6:]) if piece}


def small_config() -> MusicgenConfig:
    """The shapes of `facebook/musicgen-small`: T5-base, EnCodec at 32 kHz, a decoder of 24 layers of 1024."""
    text = T5Config(vocab_size=TEXT_VOCAB, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    codec = EncodecConfig(
        sampling_rate=32_000,
        target_bandwidths=[2.2],
        num_filters=64,
        hidden_size=128,
        codebook_size=2048,
        upsampling_ratios=[8, 5, 4, 4],
        use_causal_conv=False,
        use_conv_shortcut=False,
    )
    decoder = MusicgenDecoderConfig(num_hidden_layers=24, hidden_size=1024, num_attention_heads=16, ffn_dim=4096)
    return MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=decoder)
