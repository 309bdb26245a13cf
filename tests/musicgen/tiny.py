"""Tiny MusicGen checkpoints of a few megabytes: random weights, true rates, both published layouts.

Four codebooks of 2048 tokens at 50 frames a second, 640 samples to a frame at 32 kHz, as the published ones; so the
whole path from a prompt to sound runs on them, and what comes out is noise.
"""

import re
import string
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import (
    EncodecConfig,
    GenerationConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    T5Config,
    T5Tokenizer,
)

TEXT_WIDTH = 32
CODEC_FILTERS = 4
CODEC_WIDTH = 16
SPECIAL = ("<pad>", "</s>", "<unk>", "\u2581")
WORDS = (
    *("a", "with", "and", "of", "the", "in", "music", "song", "track", "piece", "calm", "happy", "sad", "anxious"),
    *("relaxing", "energetic", "dark", "bright", "slow", "fast", "gentle", "soft", "piano", "strings", "guitar"),
    *("flute", "harp", "drums", "bass", "synthesizer", "ambient", "classical", "jazz", "pop", "rock", "folk"),
)


def write_hf(folder: Path, seed: int = 0, width: int = 64, shards: bool = False) -> Path:
    """Write a checkpoint in the Hugging Face layout; `width` is the decoder's, with two heads. Returns the folder."""
    tokenizer = make_tokenizer()
    model = make_model(seed, width, len(tokenizer))
    model.save_pretrained(folder, max_shard_size="1MB" if shards else "1GB")
    tokenizer.save_pretrained(folder)
    return folder


def write_audiocraft(folder: Path, seed: int = 0, width: int = 64) -> Path:
    """Write the same weights as `write_hf` does in audiocraft's layout, and the text encoder in `t5-base` there."""
    tokenizer = make_tokenizer()
    model = make_model(seed, width, len(tokenizer))
    folder.mkdir(parents=True, exist_ok=True)
    _export(folder / "state_dict.bin", audiocraft_decoder(model.state_dict()), decoder_cfg(width))
    _export(folder / "compression_state_dict.bin", audiocraft_codec(model.audio_encoder.state_dict()), codec_cfg())
    model.text_encoder.save_pretrained(folder / "t5-base")
    tokenizer.save_pretrained(folder / "t5-base")
    return folder


def make_model(seed: int, width: int, text_vocab: int) -> MusicgenForConditionalGeneration:
    """Random weights, large enough that logits differ and that the codec sounds at about a tenth of full scale."""
    torch.manual_seed(seed)
    model = MusicgenForConditionalGeneration(make_config(width, text_vocab))
    model.eval()
    for name, buffer in model.audio_encoder.named_buffers():
        if name.endswith(("embed", "embed_avg")):
            buffer.normal_()
    for name, weight in model.decoder.named_parameters():
        if weight.dim() == 2:
            weight.data.normal_(std=1.0 if "embed_tokens" in name else weight.shape[1] ** -0.5)
        else:
            weight.data.add_(torch.randn_like(weight), alpha=0.1)
    model.generation_config = GenerationConfig(
        do_sample=True, guidance_scale=3.0, max_length=1500, decoder_start_token_id=2048, pad_token_id=2048
    )
    return model


def make_config(width: int, text_vocab: int) -> MusicgenConfig:
    """The three parts as `facebook/musicgen-small` has them, but for the sizes."""
    text = T5Config(
        vocab_size=text_vocab, d_model=TEXT_WIDTH, d_kv=16, d_ff=64, num_layers=2, num_heads=2, dropout_rate=0.0
    )
    codec = EncodecConfig(
        sampling_rate=32_000,
        target_bandwidths=[2.2],
        num_filters=CODEC_FILTERS,
        hidden_size=CODEC_WIDTH,
        codebook_size=2048,
        upsampling_ratios=[8, 5, 4, 4],
        use_causal_conv=False,
        use_conv_shortcut=False,
    )
    decoder = MusicgenDecoderConfig(
        num_hidden_layers=2, hidden_size=width, num_attention_heads=2, ffn_dim=2 * width, dropout=0.0
    )
    return MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=decoder)


def make_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer that knows a few words and spells the others."""
    words = [(f"\u2581{word}", -4.0) for word in WORDS if len(word) > 1]
    letters = [(letter, -8.0) for letter in string.printable.strip()]
    return T5Tokenizer(vocab=[(text, 0.0) for text in SPECIAL[:3]] + [(SPECIAL[3], -6.0)] + words + letters)


def audiocraft_decoder(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A full transformers state's decoder under audiocraft's names, with its three input projections in one."""
    renamed = {
        "condition_provider.conditioners.description.output_proj.weight": state["enc_to_dec_proj.weight"],
        "condition_provider.conditioners.description.output_proj.bias": state["enc_to_dec_proj.bias"],
    }
    for name, tensor in state.items():
        if name.startswith("decoder.") and ".k_proj." not in name and ".v_proj." not in name:
            if ".q_proj." in name:
                tensor = torch.cat([state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"])
            renamed[_audiocraft_name(name.removeprefix("decoder."))] = tensor.clone()
    return renamed


def _audiocraft_name(name: str) -> str:
    pairs = (
        ("model.decoder.embed_tokens.", "emb."),
        ("model.decoder.layer_norm.", "out_norm."),
        ("model.decoder.layers.", "transformer.layers."),
        ("lm_heads.", "linears."),
        ("self_attn_layer_norm.", "norm1."),
        ("encoder_attn_layer_norm.", "norm_cross."),
        ("final_layer_norm.", "norm2."),
        ("encoder_attn.", "cross_attention."),
        ("q_proj.", "in_proj_"),
        ("fc1.", "linear1."),
        ("fc2.", "linear2."),
    )
    for ours, theirs in pairs:
        name = name.replace(ours, theirs)
    return name


def audiocraft_codec(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A transformers EnCodec's state under audiocraft's names."""
    return {_audiocraft_codec_name(name): tensor.clone() for name, tensor in state.items()}


def _audiocraft_codec_name(name: str) -> str:
    name = name.replace("quantizer.layers.", "quantizer.vq.layers.").replace(".codebook.", "._codebook.")
    name = name.replace("parametrizations.weight.original0", "weight_g")
    name = name.replace("parametrizations.weight.original1", "weight_v")
    name = re.sub(r"^decoder\.layers\.(3|6|9|12)\.conv\.", r"decoder.layers.\1.convtr.convtr.", name)
    name = re.sub(r"(?<!convtr)\.conv\.", ".conv.conv.", name)
    return re.sub(r"^(encoder|decoder)\.layers\.", r"\1.model.", name)


def decoder_cfg(width: int) -> dict[str, Any]:
    """What audiocraft builds its language model from; the settings that MusicGen was trained with."""
    return {
        "sample_rate": 32_000,
        "channels": 1,
        "lm_model": "transformer_lm",
        "codebooks_pattern": {"modeling": "delay", "delay": {"delays": [0, 1, 2, 3]}},
        "transformer_lm": {
            **{"n_q": 4, "card": 2048, "dim": width, "num_heads": 2, "num_layers": 2, "hidden_scale": 2},
            **{"bias_proj": False, "bias_ff": False, "bias_attn": False, "norm_first": True, "causal": True},
            **{"activation": "gelu", "norm": "layer_norm", "positional_embedding": "sin", "dropout": 0.0},
            **{"custom": False, "memory_efficient": True, "cross_attention": False, "two_step_cfg": False},
        },
        "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
        "attribute_dropout": {},
        "fuser": {"cross": ["description"], "sum": [], "prepend": [], "input_interpolate": []},
        "conditioners": {"description": {"model": "t5", "t5": {"name": "t5-base", "finetune": False}}},
        "dataset": {"segment_duration": 30},
    }


def codec_cfg() -> dict[str, Any]:
    """What audiocraft builds its codec from; the settings that MusicGen's was trained with."""
    return {
        "sample_rate": 32_000,
        "channels": 1,
        "compression_model": "encodec",
        "encodec": {
            **{"autoencoder": "seanet", "quantizer": "rvq", "sample_rate": "${sample_rate}"},
            **{"channels": "${channels}", "causal": False, "renormalize": False},
        },
        "seanet": {
            **{"dimension": CODEC_WIDTH, "channels": "${channels}", "causal": "${encodec.causal}"},
            **{"n_filters": CODEC_FILTERS, "n_residual_layers": 1, "ratios": [8, 5, 4, 4], "activation": "ELU"},
            **{"norm": "weight_norm", "kernel_size": 7, "residual_kernel_size": 3, "last_kernel_size": 7},
            **{"dilation_base": 2, "pad_mode": "reflect", "true_skip": True, "compress": 2, "lstm": 2},
            **{"decoder": {"trim_right_ratio": 1.0}, "encoder": {}},
        },
        "rvq": {"n_q": 4, "bins": 2048, "q_dropout": False},
    }


def _export(path: Path, state: dict[str, torch.Tensor], cfg: dict[str, Any]) -> None:
    torch.save({"best_state": state, "xp.cfg": yaml.safe_dump(cfg), "version": "1.3.0", "exported": True}, path)
