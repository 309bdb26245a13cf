"""Checkpoints as audiocraft exports them: `state_dict.bin` and `compression_state_dict.bin` (its `utils/export.py`).

Each is a pickled dict of `best_state`, the tensors, and `xp.cfg`, the training's configuration in YAML. The tensors
hold what transformers' do under other names; the three input projections of an attention are one tensor.
"""

import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from transformers import EncodecConfig

from musicmed_live.errors import BadWeights, shown
from musicmed_live.musicgen import parts
from musicmed_live.musicgen.decoder import FRAME_RATE, DecoderConfig
from musicmed_live.musicgen.tensors import Shape, Stored, check_tensors

DECODER = "state_dict.bin"
CODEC = "compression_state_dict.bin"

_DECODER_NAMES = (
    (r"^condition_provider\.conditioners\.description\.output_proj\.", "enc_to_dec_proj."),
    (r"^emb\.", "decoder.model.decoder.embed_tokens."),
    (r"^linears\.", "decoder.lm_heads."),
    (r"^out_norm\.", "decoder.model.decoder.layer_norm."),
    (r"^transformer\.", "decoder.model.decoder."),
    (r"\.cross_attention\.", ".encoder_attn."),
    (r"\.norm1\.", ".self_attn_layer_norm."),
    (r"\.norm_cross\.", ".encoder_attn_layer_norm."),
    (r"\.norm2\.", ".final_layer_norm."),
    (r"\.linear1\.", ".fc1."),
    (r"\.linear2\.", ".fc2."),
)
_CODEC_NAMES = (
    (r"^(encoder|decoder)\.model\.", r"\1.layers."),
    (r"\.(conv|convtr)\.\1\.", ".conv."),
    (r"^quantizer\.vq\.layers\.", "quantizer.layers."),
    (r"\._codebook\.", ".codebook."),
)
_NORM_NAMES = (
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
)


@dataclass(frozen=True, slots=True, eq=False)
class LanguageModel:
    """A decoder as `state_dict.bin` holds it, under transformers' names. Its tensors are views of the file."""

    config: DecoderConfig
    text_encoder: str  # the hub name of the T5 that it was trained with
    tensors: Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """A codec as `compression_state_dict.bin` holds it, under transformers' names."""

    config: EncodecConfig
    tensors: Mapping[str, torch.Tensor]


def current_norm_name(name: str) -> str:
    """The name that torch now has for a normalised weight's magnitude (`weight_g`) or direction (`weight_v`)."""
    return _renamed(name, _NORM_NAMES)


def read_decoder(path: Path) -> LanguageModel:
    """The decoder in a `state_dict.bin`. Raises `BadWeights` for one that is none, or none of ours."""
    state, cfg = _read(path)
    _check_variant(cfg, path)
    shape = _section(cfg, "transformer_lm", path)
    tensors = _split({_renamed(name, _DECODER_NAMES): tensor for name, tensor in state.items()})
    projection = tensors.get("enc_to_dec_proj.weight")
    if projection is None or projection.dim() != 2:
        raise BadWeights(f"{path} lacks the projection of the text encoder; it is not complete, or of another model")
    config = parts.check_decoder(
        DecoderConfig(
            layers=parts.count(shape, "num_layers", path, parts.MOST_LAYERS),
            width=(width := parts.count(shape, "dim", path)),
            heads=parts.count(shape, "num_heads", path),
            ffn=width * parts.count({"hidden_scale": 4} | shape, "hidden_scale", path),
            text_width=projection.shape[1],
            codebooks=parts.count(shape, "n_q", path, parts.MOST_CODEBOOKS),
            vocab=parts.count(shape, "card", path),
        ),
        path,
    )
    _check(tensors, parts.decoder_shapes(config), path)
    t5 = _section(_section(_section(cfg, "conditioners", path), "description", path), "t5", path)
    return LanguageModel(config, str(t5.get("name")), tensors)


def read_codec(path: Path, decoder: DecoderConfig) -> Codec:
    """The codec in a `compression_state_dict.bin`. Raises `BadWeights` for one that does not suit the decoder."""
    state, cfg = _read(path)
    config = parts.codec_config(_codec_section(cfg, path), decoder, path)
    tensors = {current_norm_name(_renamed(name, _CODEC_NAMES)): tensor for name, tensor in state.items()}
    _check(tensors, parts.codec_shapes(config), path)
    return Codec(config, tensors)


# What reading a damaged pickle has been seen to raise: its numbers and names are taken as they come.
_DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error, zipfile.BadZipFile),
)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    if not path.is_file():
        raise BadWeights(f"{path} is missing; copy the whole model, or pull it again")
    if not zipfile.is_zipfile(path):
        raise BadWeights(f"{path} is cut short or no file of PyTorch; download it again")
    try:
        package = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as fault:
        raise BadWeights(
            f"{path} would run code when read, and is not read; get one that audiocraft exported"
        ) from fault
    except _DAMAGE as fault:
        raise BadWeights(f"{path} is damaged ({type(fault).__name__}); download it again") from fault
    if isinstance(package, dict) and "pretrained" in package:
        raise BadWeights(f"{path} only names {shown(package['pretrained'])}; put that model's own {path.name} there")
    state = package.get("best_state") if isinstance(package, dict) else None
    if not isinstance(state, dict) or not all(map(_is_plain, state, state.values())):
        raise BadWeights(f"{path} has no best_state of tensors; export it with audiocraft's utils.export")
    return state, _read_cfg(package.get("xp.cfg"), path)


def _is_plain(name: object, tensor: object) -> bool:
    return isinstance(name, str) and isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided


def _read_cfg(text: object, path: Path) -> dict[str, object]:
    try:
        cfg = yaml.safe_load(text) if isinstance(text, str) else None
    except (yaml.YAMLError, RecursionError) as fault:
        raise BadWeights(f"{path}: its xp.cfg is not YAML; export it with audiocraft's utils.export") from fault
    if not isinstance(cfg, dict):
        raise BadWeights(f"{path} has no configuration in xp.cfg; export it with audiocraft's utils.export")
    return cfg


def _check_variant(cfg: Mapping[str, object], path: Path) -> None:
    if cfg.get("lm_model") != "transformer_lm":
        raise BadWeights(f"{path}: the model is {shown(cfg.get('lm_model'))}; MusicGen's is transformer_lm")
    conditioners = set(_section(cfg, "conditioners", path)) - {"args"}
    if conditioners != {"description"}:
        raise BadWeights(
            f"{path} is conditioned on {shown(sorted(map(str, conditioners)))}; only text alone can be played"
        )
    if cfg.get("channels", 1) != 1:
        raise BadWeights(f"{path} is of a stereo model; only the mono ones can be played, such as musicgen-small")
    shape = _section(cfg, "transformer_lm", path)
    for name, wanted in (("norm_first", True), ("positional_embedding", "sin"), ("activation", "gelu")):
        if shape.get(name, wanted) != wanted:
            raise BadWeights(f"{path}: {name} is {shown(shape[name])}; MusicGen has {shown(wanted)}")
    pattern = _section(cfg, "codebooks_pattern", path)
    delays = pattern.get("delay")
    wanted_delays = list(range(parts.count(shape, "n_q", path, parts.MOST_CODEBOOKS)))
    if pattern.get("modeling") != "delay" or not isinstance(delays, dict) or delays.get("delays") != wanted_delays:
        raise BadWeights(f"{path}: the codebooks' pattern is {shown(pattern)}; MusicGen delays each by one more frame")


def _section(cfg: Mapping[str, object], name: str, path: Path) -> dict[str, object]:
    section = cfg.get(name)
    if not isinstance(section, dict):
        raise BadWeights(f"{path}: {name} in its xp.cfg is {shown(section)}; it is of another model")
    return section


def _split(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With the input projections of queries, keys and values parted, in that order."""
    parted: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        place, joint, _ = name.partition("in_proj_weight")
        if joint and tensor.dim() == 2:
            parted |= {f"{place}{part}_proj.weight": third for part, third in zip("qkv", tensor.chunk(3), strict=False)}
        else:
            parted[name] = tensor
    return parted


def _check(tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, Shape], path: Path) -> None:
    stored = {
        name: Stored(path, name, tuple(found.shape), found.is_floating_point()) for name, found in tensors.items()
    }
    check_tensors(stored, shapes, path)
    beyond = sorted(set(tensors) - set(shapes))
    if beyond:
        raise BadWeights(f"{path} has the tensor {beyond[0]}, which MusicGen does not have; it is of another model")


def _codec_section(cfg: Mapping[str, object], path: Path) -> dict[str, object]:
    """The configuration that transformers would have for this codec."""
    if cfg.get("compression_model") != "encodec":
        raise BadWeights(f"{path}: the codec is {shown(cfg.get('compression_model'))}; MusicGen's is encodec")
    net, codes, codec = (_section(cfg, name, path) for name in ("seanet", "rvq", "encodec"))
    size, books = parts.count(codes, "bins", path), parts.count(codes, "n_q", path)
    return {
        "model_type": "encodec",
        "sampling_rate": cfg.get("sample_rate"),
        "audio_channels": cfg.get("channels"),
        "normalize": codec.get("renormalize", False),
        "target_bandwidths": [books * FRAME_RATE * (size - 1).bit_length() / 1000],
        "codebook_size": size,
        "hidden_size": net.get("dimension"),
        "num_filters": net.get("n_filters"),
        "num_residual_layers": net.get("n_residual_layers"),
        "upsampling_ratios": net.get("ratios"),
        "norm_type": net.get("norm"),
        "kernel_size": net.get("kernel_size"),
        "last_kernel_size": net.get("last_kernel_size"),
        "residual_kernel_size": net.get("residual_kernel_size"),
        "dilation_growth_rate": net.get("dilation_base"),
        "use_causal_conv": codec.get("causal"),
        "pad_mode": net.get("pad_mode"),
        "compress": net.get("compress"),
        "num_lstm_layers": net.get("lstm"),
        "use_conv_shortcut": not net.get("true_skip"),
    }


def _renamed(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in pairs:
        name = re.sub(pattern, replacement, name)
    return name
