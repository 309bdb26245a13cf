"""The parts of a checkpoint: its decoder's shape, T5's encoder for prompts, EnCodec for sound."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import (
    EncodecConfig,
    EncodecModel,
    MusicgenDecoderConfig,
    PreTrainedConfig,
    PreTrainedModel,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)
from transformers.initialization import no_init_weights

from musicmed_live.errors import BadWeights, shown
from musicmed_live.musicgen.decoder import FRAME_RATE, DecoderConfig
from musicmed_live.musicgen.tensors import Shape, read_json

CODEC_RATE = 32_000  # of EnCodec as MusicGen uses it, Hz
LARGEST = 1 << 20  # of what a configuration counts: no published model has more of anything
MOST_LAYERS, MOST_CODEBOOKS = 256, 64

_ODD = (1, 3, 5, 7, 9)  # kernel sizes that have a centre
_STREAMED: dict[str, tuple[object, ...]] = {  # what `streaming.py` takes for granted
    "use_causal_conv": (False,),
    "norm_type": ("weight_norm",),
    "pad_mode": ("reflect",),
    "kernel_size": _ODD,
    "last_kernel_size": _ODD,
    "residual_kernel_size": _ODD,
}

Kind = TypeVar("Kind", bound=PreTrainedConfig)


def decoder_config(section: Mapping[str, object], text_width: int, where: Path) -> DecoderConfig:
    """The decoder's shape, from its part of a `config.json`. Raises `BadWeights` for one that is none of ours."""
    values = _parsed(MusicgenDecoderConfig, section, where).to_dict()
    if values["audio_channels"] != 1:
        raise BadWeights(f"{where} is of a stereo model; only the mono ones can be played, such as musicgen-small")
    for name, wanted in (("activation_function", "gelu"), ("scale_embedding", False)):
        if values[name] != wanted:
            raise BadWeights(f"{where}: {name} is {shown(values[name])}; MusicGen has {shown(wanted)}")
    return check_decoder(
        DecoderConfig(
            layers=count(values, "num_hidden_layers", where, MOST_LAYERS),
            width=count(values, "hidden_size", where),
            heads=count(values, "num_attention_heads", where),
            ffn=count(values, "ffn_dim", where),
            text_width=text_width,
            codebooks=count(values, "num_codebooks", where, MOST_CODEBOOKS),
            vocab=count(values, "vocab_size", where),
        ),
        where,
    )


def check_decoder(config: DecoderConfig, where: Path) -> DecoderConfig:
    """Raise `BadWeights` where the heads do not share the width evenly, in even parts; else give the shape back."""
    if config.width % (2 * config.heads):
        raise BadWeights(f"{where}: {config.heads} heads cannot share a width of {config.width} in equal, even parts")
    return config


def count(section: Mapping[str, object], name: str, where: Path, most: int = LARGEST) -> int:
    """A whole number of a configuration, from 1 to `most`. Raises `BadWeights` for anything else."""
    value = section.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise BadWeights(f"{where}: {name} is {shown(value)}, not a whole number from 1 to {most}")
    return value


def decoder_shapes(config: DecoderConfig) -> dict[str, Shape]:
    """Every tensor of a decoder, by the names that transformers gives them."""
    width, square = config.width, (config.width, config.width)
    shapes: dict[str, Shape] = {"enc_to_dec_proj.weight": (width, config.text_width), "enc_to_dec_proj.bias": (width,)}
    for book in range(config.codebooks):
        shapes[f"decoder.model.decoder.embed_tokens.{book}.weight"] = (config.vocab + 1, width)
        shapes[f"decoder.lm_heads.{book}.weight"] = (config.vocab, width)
    for layer in range(config.layers):
        place = f"decoder.model.decoder.layers.{layer}."
        for attention in ("self_attn", "encoder_attn"):
            shapes |= {f"{place}{attention}.{part}_proj.weight": square for part in ("q", "k", "v", "out")}
        shapes |= {f"{place}fc1.weight": (config.ffn, width), f"{place}fc2.weight": (width, config.ffn)}
        for norm in ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"{place}{norm}.{part}": (width,) for part in ("weight", "bias")}
    return shapes | {f"decoder.model.decoder.layer_norm.{part}": (width,) for part in ("weight", "bias")}


def text_config(section: Mapping[str, object], where: Path) -> T5Config:
    """The text encoder's configuration. Raises `BadWeights` for one that is not T5's."""
    if section.get("model_type") != "t5":
        raise BadWeights(f"{where}: the text encoder is {shown(section.get('model_type'))}; MusicGen's is t5")
    config: T5Config = _parsed(T5Config, section, where)
    values = config.to_dict()
    count(values, "num_layers", where, MOST_LAYERS)
    for name in ("d_model", "d_kv", "d_ff", "num_heads", "vocab_size"):
        count(values, name, where)
    return config


def codec_config(section: Mapping[str, object], decoder: DecoderConfig, where: Path) -> EncodecConfig:
    """The codec's configuration. Raises `BadWeights` for one whose tokens are not those that the decoder makes."""
    if section.get("model_type") != "encodec":
        raise BadWeights(f"{where}: the codec is {shown(section.get('model_type'))}; MusicGen's is encodec")
    config: EncodecConfig = _parsed(EncodecConfig, section, where)
    values = config.to_dict()
    for name in ("num_residual_layers", "num_lstm_layers"):
        count(values, name, where, MOST_LAYERS)
    for name in ("num_filters", "hidden_size", "codebook_size", "codebook_dim", "kernel_size", "compress"):
        count(values, name, where)
    _check_codec(config, decoder, where)
    return config


def _parsed(kind: type[Kind], section: Mapping[str, object], where: Path) -> Kind:
    try:
        config: Kind = kind.from_dict(dict(section))
    except (StrictDataclassError, ValueError, TypeError) as fault:
        raise BadWeights(f"{where} holds no {kind.__name__}: {_one_line(fault)}") from fault
    return config


def _check_codec(config: EncodecConfig, decoder: DecoderConfig, where: Path) -> None:
    hop, channels = math.prod(config.upsampling_ratios), config.audio_channels
    if (config.sampling_rate, channels, hop) != (CODEC_RATE, 1, CODEC_RATE // FRAME_RATE) or config.normalize:
        raise BadWeights(
            f"{where}: the codec has {config.sampling_rate} Hz, {channels} channels and {hop} samples to a frame; "
            f"MusicGen's has {CODEC_RATE}, 1 and {CODEC_RATE // FRAME_RATE}, and keeps the level"
        )
    for name, allowed in _STREAMED.items():
        if (found := getattr(config, name)) not in allowed:
            raise BadWeights(f"{where}: the codec's {name} is {shown(found)}; MusicGen's is {shown(allowed)[1:-1]}")
    try:
        books = config.num_quantizers if config.target_bandwidths else 0
    except (ArithmeticError, ValueError):  # it divides by numbers of the file
        books = 0
    if (books, config.codebook_size) != (decoder.codebooks, decoder.vocab):
        raise BadWeights(
            f"{where}: the codec has {books} codebooks of {config.codebook_size} tokens, "
            f"the decoder {decoder.codebooks} of {decoder.vocab}; they are not of one model"
        )


def text_shapes(config: T5Config) -> dict[str, Shape]:
    """Every tensor of a T5 encoder, but for the embedding's second name."""
    return _shapes(T5EncoderModel, config, {"encoder.embed_tokens.weight"})


def codec_shapes(config: EncodecConfig) -> dict[str, Shape]:
    """Every tensor of a codec."""
    return _shapes(EncodecModel, config, set())


def _shapes(kind: type[PreTrainedModel], config: PreTrainedConfig, left_out: set[str]) -> dict[str, Shape]:
    try:
        with torch.device("meta"):
            model = kind(config)
    except (ValueError, RuntimeError, KeyError, TypeError) as fault:
        raise BadWeights(f"no {kind.__name__} is as config.json says: {_one_line(fault)}") from fault
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name not in left_out}


def build_text_encoder(config: T5Config, tensors: Mapping[str, torch.Tensor]) -> T5EncoderModel:
    """A T5 encoder of these tensors, float32, which are used where they lie and not copied."""
    with torch.device("meta"):
        model: T5EncoderModel = T5EncoderModel(config)
    state = _float(model, {**tensors, "encoder.embed_tokens.weight": tensors["shared.weight"]})
    model.load_state_dict(state, assign=True)
    model.eval()
    return model.requires_grad_(False)


def build_codec(config: EncodecConfig, tensors: Mapping[str, torch.Tensor]) -> EncodecModel:
    """A codec of these tensors, float32. Not made on the meta device: its constants are not among the tensors."""
    with no_init_weights():
        model: EncodecModel = EncodecModel(config)
    model.load_state_dict(_float(model, tensors), assign=True)
    model.eval()
    return model.requires_grad_(False)


def _float(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensors[name].float() for name in model.state_dict()}


def load_tokenizer(folder: Path) -> T5Tokenizer:
    """The tokenizer of prompts. Raises `BadWeights` where its file is missing or unreadable."""
    if not (folder / "tokenizer.json").is_file():
        raise BadWeights(f"{folder / 'tokenizer.json'} is missing; copy the whole model, or pull it again")
    settings = folder / "tokenizer_config.json"
    if settings.is_file() and "extra_ids" in (content := read_json(settings)):
        count(content, "extra_ids", settings)  # as many are made, whatever the number
    try:
        tokenizer: T5Tokenizer = T5Tokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as fault:  # the library that reads the file raises nothing narrower
        raise BadWeights(f"{folder} has no readable tokenizer ({_one_line(fault)}); download it again") from fault
    return tokenizer


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:160]
