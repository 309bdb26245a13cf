"""Adapters: what PEFT trained on MusicGen's decoder by LoRA (Hu et al. 2021, arXiv 2106.09685), and when it is heard.

An adapter is read from the directory that PEFT's `save_pretrained` writes. What in it cannot be honoured is refused, as
music from half of an adapter would be music that nobody has trained or evaluated. PEFT itself is not asked: its readers
go to the hub for a file that is missing, and importing it takes seconds.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from musicmed_live.core.emotion import Emotion, parse_emotion_text
from musicmed_live.errors import BadWeights, InvalidInput, shown
from musicmed_live.musicgen.decoder import DecoderConfig
from musicmed_live.musicgen.emotion_tokens import EmotionTokens, load_emotion_tokens
from musicmed_live.musicgen.parts import LARGEST, count, decoder_shapes
from musicmed_live.musicgen.prompts import closeness
from musicmed_live.musicgen.tensors import read_json

SETTINGS = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_WIDTH = 0.5  # of the kernel that adapters fade by, in units of the plane: there is seldom one for every corner of it
_PREFIX = "base_model.model."
_CAUSAL_PREFIXES = ("model.decoder.", "lm_heads.")  # in an adapter that was trained on the decoder by itself
_OTHER_PARTS = ("text_encoder.", "audio_encoder.", "audio_enc_to_dec_proj")
_TENSOR = re.compile(r"(?P<module>.+)\.lora_(?:(?P<linear>[AB])\.weight|embedding_(?P<embedding>[AB]))")

# Settings of PEFT that make an adapter more than `scaling * up @ down` for each module, where they are set.
_BEYOND = (
    *("use_dora", "use_qalora", "use_bdlora", "lora_bias", "fan_in_fan_out", "modules_to_save", "layer_replication"),
    *("trainable_token_indices", "target_parameters", "alora_invocation_tokens", "arrow_config", "kasa_config"),
    "monteclora_config",
)
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal", "mica")  # others change the model's own weights as well

Pair = tuple[torch.Tensor, torch.Tensor]
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """A low-rank change of some of a decoder's matrices: `W x` becomes `W x + weight * up (down x)`."""

    name: str
    layers: Mapping[
        str, Pair
    ]  # of a module: down (rank, in) and up (out, rank), float32; an embedding's in is its tokens
    tokens: EmotionTokens | None = None  # what it is told of the emotion beside the text; None: nothing


@dataclass(frozen=True, slots=True)
class _Settings:
    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]  # by a regular expression of module names
    alpha_pattern: Mapping[str, float]
    use_rslora: bool

    def of(self, module: str) -> tuple[int, float]:
        """Rank and scaling of a module; rsLoRA's is Kalajdzievski 2023 (arXiv 2312.03732), eq. 5."""
        rank = _matching(self.rank_pattern, module, self.rank)
        alpha = _matching(self.alpha_pattern, module, self.alpha)
        return rank, alpha / (math.sqrt(rank) if self.use_rslora else rank)


def load_adapter(folder: Path, config: DecoderConfig) -> Adapter:
    """The adapter in PEFT's directory, with PEFT's scaling multiplied into `up`.

    It may have been trained on the whole model or on its decoder alone, and with emotion tokens, which then lie in the
    same directory. Raises `BadWeights` where it is not a plain LoRA adapter of a decoder of this shape, or is damaged.
    """
    settings = _read_settings(folder)
    shapes = decoder_shapes(config)
    layers = {}
    for named, pair in _read_pairs(folder).items():
        module = f"decoder.{named}" if named.startswith(_CAUSAL_PREFIXES) else named
        shape = shapes.get(f"{module}.weight", ())
        if len(shape) != 2:
            raise BadWeights(f"{folder} {_not_here(module, config)}")
        rank, scaling = settings.of(named)
        _check_pair(pair, _sides(module, shape), rank, f"{folder}: {module}")
        layers[module] = pair[0], pair[1] * scaling
    return Adapter(folder.resolve().name, layers, load_emotion_tokens(folder, config.text_width))


def parse_adapter_option(text: str) -> tuple[Emotion | None, Path]:
    """Where in the plane an adapter belongs, and its directory, of `[MOOD=]DIR`; None: it is always heard.

    MOOD is a mood word or `V,A`; what stands before an equals sign and has a slash in it belongs to the directory.
    Raises `InvalidInput`.
    """
    mood, equals, directory = text.partition("=")
    placed = bool(equals) and "/" not in mood
    folder = directory if placed else text
    if not folder:
        raise InvalidInput(f"--adapter: {text!r} names no directory; write DIR, or MOOD=DIR", "--adapter")
    path = Path(folder).expanduser() if folder.startswith("~/") else Path(folder)
    return parse_emotion_text(mood, "--adapter") if placed else None, path


def adapter_weights(emotion: Emotion, places: Sequence[Emotion | None]) -> tuple[float, ...]:
    """How much of each adapter is heard at an emotion: 0 .. 1, continuous in it.

    An adapter without a place always has 1. One with a place has 1 there and fades to nothing far away, where what it
    was trained on would lead astray. Where several are near, they share a sum of 1: each was trained to be heard alone.
    """
    near = [0.0 if place is None else closeness(emotion, place, _WIDTH) for place in places]
    share = 1 / max(1.0, sum(near))
    return tuple(1.0 if place is None else share * value for place, value in zip(places, near, strict=True))


def _read_settings(folder: Path) -> _Settings:
    try:
        found = folder.is_dir()
    except OSError as fault:  # too long a name, no permission
        raise BadWeights(f"{shown(str(folder))} cannot be looked at ({fault.strerror}); give another one") from fault
    if not found:
        raise BadWeights(f"{folder} is not a directory; an adapter is the directory that PEFT's save_pretrained writes")
    path = folder / SETTINGS
    if not path.is_file():
        raise BadWeights(f"{folder} has no {SETTINGS}, so it is not a PEFT adapter; give the directory that has one")
    settings = read_json(path)
    _check_plain(settings, path)
    ranks, alphas = (_pattern(settings, name, path) for name in ("rank_pattern", "alpha_pattern"))
    return _Settings(
        count(settings, "r", path),
        _number(settings, "lora_alpha", path),
        {key: count(ranks, key, path) for key in ranks},
        {key: _number(alphas, key, path) for key in alphas},
        bool(settings.get("use_rslora")),
    )


def _check_plain(found: Mapping[str, object], path: Path) -> None:
    kind = found.get("peft_type")
    if kind != "LORA":
        raise BadWeights(f"{path}: peft_type is {shown(kind)}; only LORA adapters can be played")
    wanted: dict[str, tuple[object, ...]] = dict.fromkeys(_BEYOND, (None, False, [], {}))
    wanted |= {"bias": ("none",), "init_lora_weights": _PLAIN_STARTS}
    for name, allowed in wanted.items():
        if name in found and found[name] not in allowed:
            raise BadWeights(f"{path}: {name} is {shown(found[name])}, which goes beyond LoRA; train it without")


def _pattern(found: Mapping[str, object], name: str, path: Path) -> Mapping[str, object]:
    value = found.get(name) or {}
    if not isinstance(value, dict):
        raise BadWeights(f"{path}: {name} is {shown(value)}, not an object; save the adapter again")
    for key in value:
        try:
            re.compile(_expression(key))
        except re.error as fault:
            raise BadWeights(f"{path}: {name} has {shown(key)}, no regular expression ({fault})") from None
    return value


def _number(found: Mapping[str, object], name: str, path: Path) -> float:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise BadWeights(f"{path}: {name} is {shown(value)}, not a number up to {LARGEST}; save the adapter again")
    return value


def _expression(key: str) -> str:
    """As PEFT reads it: the whole name of a module, or the end of it after a dot."""
    return rf"(.*\.)?({key})$"


def _matching(pattern: Mapping[str, _Number], module: str, usual: _Number) -> _Number:
    matches = (value for key, value in pattern.items() if re.match(_expression(key), module))
    return next(matches, usual)


def _read_pairs(folder: Path) -> dict[str, Pair]:
    """Down and up of each module, float32, by its name in the model that was trained."""
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in _read_tensors(folder).items():
        found = _TENSOR.fullmatch(name.removeprefix(_PREFIX))
        if found is None:
            raise BadWeights(f"{folder}: {WEIGHTS} holds {shown(name)}, which is no part of LoRA; train it without")
        values = tensor.to(torch.float32, copy=True)  # a copy: what was loaded changes when its file does
        if not tensor.is_floating_point() or not values.isfinite().all():
            raise BadWeights(f"{folder}: {name} holds what is no finite number; the adapter is damaged, or quantised")
        halves.setdefault(found["module"], {})[found["linear"] or found["embedding"]] = values
    if not halves:
        raise BadWeights(f"{folder}: {WEIGHTS} is empty; save the adapter again")
    for module, half in halves.items():
        if len(half) != 2:
            raise BadWeights(f"{folder}: {module} has only one half of its pair; save the adapter again")
    return {module: (half["A"], half["B"]) for module, half in halves.items()}


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        raise BadWeights(f"{folder} has no {WEIGHTS}; a pickled .bin is not read: save it with safe_serialization=True")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as fault:
        raise BadWeights(f"{path} is cut short or no safetensors file ({fault}); copy it again") from fault


def _not_here(module: str, config: DecoderConfig) -> str:
    if module.startswith(_OTHER_PARTS):
        return f"adapts {module}, which is no part of MusicGen's decoder; train it with target_modules in the decoder"
    return (
        f"adapts {module}, which a decoder of {config.layers} layers and {config.codebooks} codebooks does not have; "
        "use it with the model that it was trained on"
    )


def _sides(module: str, shape: Sequence[int]) -> tuple[int, int]:
    """What goes in and what comes out: a matrix is stored the other way round than the table of an embedding."""
    first, second = shape
    return (first, second) if ".embed_tokens." in module else (second, first)


def _check_pair(pair: Pair, sides: tuple[int, int], rank: int, where: str) -> None:
    down, up = pair
    if down.dim() != 2 or up.dim() != 2 or (down.shape[1], up.shape[0]) != sides:
        found = f"{tuple(down.shape)} and {tuple(up.shape)}"
        raise BadWeights(
            f"{where} is adapted by matrices of {found}, but in this model it takes {sides[0]} values and gives "
            f"{sides[1]}; use the adapter with the model that it was trained on"
        )
    if (down.shape[0], up.shape[1]) != (rank, rank):
        raise BadWeights(
            f"{where} has the ranks {down.shape[0]} and {up.shape[1]}, but {SETTINGS} says {rank}; "
            "the two files are not of one adapter"
        )
