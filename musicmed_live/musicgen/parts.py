"""The parts of a checkpoint: its decoder's shape, T5's encoder for prompts, EnCodec for sound."""

from collections.abc import Mapping
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import EncodecConfig, EncodecModel, T5Config, T5EncoderModel, T5Tokenizer
from transformers.initialization import no_init_weights

from musicmed_live.errors import BadWeights, shown
from musicmed_live.musicgen.decoder import FRAME_RATE, DecoderConfig
from musicmed_live.musicgen.tensors import Shape

CODEC_RATE = 32_000
LARGEST = 1 << 20  # of what a configuration counts: no published model has more of anything
MOST_LAYERS = 256


def decoder_config(section: Mapping[str, object], text_width: int, where: Path) -> DecoderConfig:
    """The decoder's shape, from its part of a `config.json`. Raises `BadWeights` for one that is none of ours."""
    if section.get("audio_channels", 1) != 1:
        raise BadWeights(f"{where} is of a stereo model; only the mono ones can be played, such as musicgen-small")
    for name, wanted in (("activation_function", "gelu"), ("scale_embedding", False)):
        if section.get(name, wanted) != wanted:
            raise BadWeights(f"{where}: {name} is {shown(section[name])}; MusicGen has {shown(wanted)}")
    return check_decoder(
        DecoderConfig(
            layers=count(section, "num_hidden_layers", where, MOST_LAYERS),
            width=count(section, "hidden_size", where),
            heads=count(section, "num_attention_heads", where),
            ffn=count(section, "ffn_dim", where),
            text_width=text_width,
            codebooks=count(section, "num_codebooks", where),
            vocab=count(section, "vocab_size", where),
        ),
        where,
    )


def check_decoder(config: DecoderConfig, where: Path) -> DecoderConfig:
    """Raise `BadWeights` where the heads do not share the width evenly, in even parts; else give the shape back."""
    if config.width % (2 * config.heads):
        raise BadWeights(f"{where}: {config.heads} heads cannot share a width of {config.width} evenly")
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
    count(section, "num_layers", where, MOST_LAYERS)
    for name in ("d_model", "d_kv", "d_ff", "num_heads", "vocab_size"):
        count(section, name, where)
    try:
        config = T5Config.from_dict(dict(section))
    except (StrictDataclassError, ValueError, TypeError) as fault:
        raise BadWeights(f"{where}: no configuration of a T5: {_one_line(fault)}") from fault
    return config


def codec_config(section: Mapping[str, object], decoder: DecoderConfig, where: Path) -> EncodecConfig:
    """The codec's configuration. Raises `BadWeights` for one whose tokens are not those that the decoder makes."""
    if section.get("model_type") != "encodec":
        raise BadWeights(f"{where}: the codec is {shown(section.get('model_type'))}; MusicGen's is encodec")
    for name in ("num_filters", "hidden_size", "codebook_size", "sampling_rate", "audio_channels"):
        count(section, name, where)
    count(section, "num_residual_layers", where, MOST_LAYERS)
    ratios = section.get("upsampling_ratios")
    if not isinstance(ratios, list) or not all(isinstance(ratio, int) and 1 <= ratio <= 64 for ratio in ratios):
        raise BadWeights(f"{where}: upsampling_ratios is {shown(ratios)}, not a list of whole numbers from 1 to 64")
    try:
        config = EncodecConfig.from_dict(dict(section))
        found = (config.sampling_rate, config.audio_channels, config.sampling_rate / config.hop_length)
        tokens = (config.num_quantizers, config.codebook_size)
    except (StrictDataclassError, ValueError, TypeError, ArithmeticError, IndexError) as fault:
        raise BadWeights(f"{where}: no configuration of an EnCodec: {_one_line(fault)}") from fault
    _check_codec(found, tokens, decoder, where)
    return config


def _check_codec(found: tuple[int, int, float], tokens: tuple[int, int], decoder: DecoderConfig, where: Path) -> None:
    if found != (CODEC_RATE, 1, FRAME_RATE):
        rate, channels, frames = found
        raise BadWeights(
            f"{where}: the codec has {rate} Hz, {channels} channels and {frames:g} frames a second; "
            f"MusicGen's has {CODEC_RATE}, 1 and {FRAME_RATE}"
        )
    if tokens != (decoder.codebooks, decoder.vocab):
        raise BadWeights(
            f"{where}: the codec has {tokens[0]} codebooks of {tokens[1]} tokens, "
            f"the decoder {decoder.codebooks} of {decoder.vocab}; they are not of one model"
        )


def text_shapes(config: T5Config) -> dict[str, Shape]:
    """Every tensor of a T5 encoder, but for the embedding's second name."""
    with torch.device("meta"):
        return _shapes(T5EncoderModel(config), {"encoder.embed_tokens.weight"})


def codec_shapes(config: EncodecConfig) -> dict[str, Shape]:
    """Every tensor of a codec."""
    with torch.device("meta"):
        return _shapes(EncodecModel(config), set())


def _shapes(model: nn.Module, left_out: set[str]) -> dict[str, Shape]:
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
    try:
        tokenizer: T5Tokenizer = T5Tokenizer.from_pretrained(folder, local_files_only=True)
    except (ValueError, OSError, TypeError, KeyError, AttributeError) as fault:
        raise BadWeights(f"{folder} has no readable tokenizer ({_one_line(fault)}); download it again") from fault
    return tokenizer


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:160]
