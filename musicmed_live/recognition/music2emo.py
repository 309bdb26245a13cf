"""Music2Emo (Kang and Herremans 2025, arXiv 2502.03979): mood tags, valence and arousal from MERT's features.

A folder holds `mert/`, which is MERT-v1-95M (Li et al. 2024, arXiv 2306.00107; m-a-p/MERT-v1-95M on the hub, CC BY-NC
4.0) with its `config.json`, `preprocessor_config.json` and weights, and one checkpoint of the head, as `J_all.ckpt`
(github.com/AMAAI-Lab/Music2Emotion). No code of theirs is run: MERT's layers are HuBERT's (Hsu et al. 2021), and what
is read are tensors, from safetensors files or through torch's `weights_only` reader.

The head was trained to hear chords and the mode of the key as well, found by another network and by a program that
are not part of this package. It is told what its authors tell it of music without a transcript: no chords, and
major. That is less than it could use, and how much that costs has not been measured.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import HubertConfig, HubertModel

from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.errors import BadWeights, shown
from musicmed_live.recognition.neural import Tagged, at_rate, error_of_fit, from_ratings

RATE = 24_000
SEGMENT_FRAMES = 30 * RATE  # MERT hears so much at a time; the features of the segments are averaged
LEAST_FRAMES = RATE  # a rest that is shorter is left out, where there is a whole segment
LAYERS = (5, 6)  # of MERT's twelve, counted from 0, whose outputs the head takes
CHORDS = 100  # the length of the head's sequence of chords; 0 is "no chord" as well as "none here"
PRESENT = 0.5  # from this probability on, the authors take a tag for heard

# Of the annotated means in DEAM, on 1..9, and of R^2 on them as published (arXiv 2502.03979, table 2).
VALENCE_SD, AROUSAL_SD = error_of_fit(1.174, 0.518), error_of_fit(1.282, 0.623)

# The mood and theme tags of MTG-Jamendo's split, in the order of the head's answers.
TAGS = (
    *("action", "adventure", "advertising", "background", "ballad", "calm", "children", "christmas", "commercial"),
    *("cool", "corporate", "dark", "deep", "documentary", "drama", "dramatic", "dream", "emotional", "energetic"),
    *("epic", "fast", "film", "fun", "funny", "game", "groovy", "happy", "heavy", "holiday", "hopeful", "inspiring"),
    *("love", "meditative", "melancholic", "melodic", "motivational", "movie", "nature", "party", "positive"),
    *("powerful", "relaxing", "retro", "romantic", "sad", "sexy", "slow", "soft", "soundscape", "space", "sport"),
    *("summer", "trailer", "travel", "upbeat", "uplifting"),
)

Tensors = Mapping[str, torch.Tensor]


class Music2Emo:
    """Hears tags, valence and arousal. Raises `BadWeights` where the folder lacks a part or has another's."""

    def __init__(self, folder: Path) -> None:
        self._mert = _Mert(folder / "mert")
        self._head = Head(self._mert.width * len(LAYERS))
        _load(self._head, _head_tensors(folder), folder)

    def judge(self, mono: Mono) -> Judgement:
        """Where in the plane it puts the music. Raises `CannotJudge`."""
        return self.tag(mono).judgement

    @torch.inference_mode()
    def tag(self, mono: Mono) -> Tagged:
        """The judgement and the mood tags. Raises `CannotJudge`."""
        logits, ratings = self._head(self._mert.features(at_rate(mono, RATE)))
        valence, arousal = map(float, ratings[0])
        probabilities = dict(zip(TAGS, map(float, logits[0].sigmoid()), strict=True))
        present = frozenset(tag for tag, probability in probabilities.items() if probability > PRESENT)
        return Tagged(Judgement(from_ratings(valence, arousal), VALENCE_SD, AROUSAL_SD), probabilities, present)


class Head(nn.Module):
    """Their multitask network, by the names that their checkpoints use.

    A transformer over the embedded chords, whose first place sums them up; with MERT's features and the mode (0 major,
    1 minor) a hidden layer, and a branch each for tags and for valence and arousal.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.chord_root_embedding = nn.Embedding(14, 4)
        self.chord_attr_embedding = nn.Embedding(14, 4)
        layer = nn.TransformerEncoderLayer(8, nhead=8, dim_feedforward=64, batch_first=True)
        self.chord_transformer = nn.TransformerEncoder(layer, num_layers=2)
        self.input_proj = nn.Sequential(nn.Linear(features + 8 + 1, 512), nn.ReLU())
        self.classification_branch = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, len(TAGS)))
        self.regression_branch = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 2))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the tags (batch, 56) and ratings of valence and arousal (batch, 2), of features (batch, width)."""
        none = torch.zeros(len(features), CHORDS, dtype=torch.long)
        chords = torch.cat([self.chord_root_embedding(none), self.chord_attr_embedding(none)], dim=-1)
        chords = chords + _positions(CHORDS, 8)
        start = torch.zeros_like(chords[:, :1])
        harmony = self.chord_transformer(torch.cat([start, chords], dim=1))[:, 0]  # (batch, 8)
        major = torch.zeros(len(features), 1)
        hidden = self.input_proj(torch.cat([features, harmony, major], dim=1))
        return self.classification_branch(hidden), self.regression_branch(hidden)


class _Mert:
    """The layers of MERT that are needed, run as HuBERT: a mean over time of each."""

    def __init__(self, folder: Path) -> None:
        config = _mert_config(folder)
        self.width = config.hidden_size
        self._normalize = bool(_read_json(folder / "preprocessor_config.json").get("do_normalize"))
        self._model = _hubert(config, folder)
        known = set(self._model.state_dict())
        tensors = {_current_name(name): tensor for name, tensor in _mert_tensors(folder).items()}
        _load(self._model, {name: tensor for name, tensor in tensors.items() if name in known}, folder)

    def features(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """The features of sound at 24 kHz, shape (1, width of all layers)."""
        segments = torch.split(torch.from_numpy(samples), SEGMENT_FRAMES)
        long = [segment for segment in segments if len(segment) >= LEAST_FRAMES]
        return torch.stack([self._of_segment(segment) for segment in long]).mean(dim=0)[None]

    def _of_segment(self, segment: torch.Tensor) -> torch.Tensor:
        if self._normalize:
            segment = (segment - segment.mean()) / (segment.var(correction=0) + 1e-7).sqrt()
        states = self._model(segment[None], output_hidden_states=True).hidden_states
        return torch.cat([states[layer + 1][0].mean(dim=0) for layer in LAYERS])


def _mert_config(folder: Path) -> HubertConfig:
    """MERT's configuration, as HuBERT's with only as many layers as are listened to."""
    path = folder / "config.json"
    content = _read_json(path)
    if content.get("model_type") != "mert_model":
        raise BadWeights(f"{path}: the model is {shown(content.get('model_type'))}, not mert_model; get MERT-v1-95M")
    for extension in ("feature_extractor_cqt", "deepnorm", "do_stable_layer_norm"):
        if content.get(extension):
            raise BadWeights(f"{path}: {extension} is set, which MERT-v1-95M does without; get that model")
    try:
        config = HubertConfig.from_dict({**content, "model_type": "hubert", "auto_map": None})
    except (TypeError, ValueError, StrictDataclassError) as fault:
        raise BadWeights(f"{path} is no configuration of MERT ({_first_line(fault)}); download it again") from fault
    if config.num_hidden_layers <= max(LAYERS):
        raise BadWeights(f"{path}: {config.num_hidden_layers} layers are too few; get MERT-v1-95M, which has 12")
    config.num_hidden_layers = max(LAYERS) + 1
    config.mask_time_prob = config.mask_feature_prob = 0.0  # nothing is masked but in training
    return config


def _hubert(config: HubertConfig, folder: Path) -> HubertModel:
    try:
        return HubertModel(config)
    except (TypeError, ValueError, RuntimeError, KeyError, IndexError) as fault:
        raise BadWeights(f"{folder}: no MERT can be built ({_first_line(fault)}); get MERT-v1-95M") from fault


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0][:160]


def _mert_tensors(folder: Path) -> Tensors:
    safe = folder / "model.safetensors"
    return _read_safetensors(safe) if safe.is_file() else _read_pickle(folder / "pytorch_model.bin")


def _head_tensors(folder: Path) -> Tensors:
    """The one checkpoint beside `mert/`, with the names that the training put before the head's taken off."""
    found = sorted(path for path in folder.iterdir() if path.suffix in (".ckpt", ".safetensors"))
    if len(found) != 1:
        raise BadWeights(f"{folder} has {len(found)} checkpoints of the head (.ckpt, .safetensors), not one; leave one")
    path = found[0]
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def _current_name(name: str) -> str:
    """Of the weight-normalised convolution, which torch has named anew since MERT was saved."""
    renamed = name.replace("conv.weight_g", "conv.parametrizations.weight.original0")
    return renamed.replace("conv.weight_v", "conv.parametrizations.weight.original1")


def _load(module: nn.Module, tensors: Tensors, where: Path) -> None:
    """Every tensor of the module from `tensors`, whole and finite. The module is left ready to be used."""
    for name, own in module.state_dict().items():
        found = tensors.get(name)
        if found is None:
            raise BadWeights(f"{where} lacks the tensor {name}; it is not complete, or of another model")
        if found.shape != own.shape or not found.is_floating_point() or not found.isfinite().all():
            raise BadWeights(f"{where}: {name} is {tuple(found.shape)}, not {tuple(own.shape)} of finite numbers")
    module.load_state_dict({name: tensors[name].float() for name in module.state_dict()})
    module.eval()


def _read_safetensors(path: Path) -> Tensors:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as fault:
        raise BadWeights(f"{path} is cut short or no safetensors file ({fault}); download it again") from fault


def _read_pickle(path: Path) -> Tensors:
    """The tensors of a torch checkpoint. One that would build anything else is refused, and nothing of it is run."""
    if not path.is_file():
        raise BadWeights(f"{path} is missing; copy the whole model")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        raise BadWeights(
            f"{path} holds more than tensors, or is damaged; it is not opened: get it as safetensors"
        ) from fault
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as fault:
        raise BadWeights(f"{path} is cut short or no checkpoint of torch; download it again") from fault
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise BadWeights(f"{path} holds no tensors by name; it is of another model")
    return {str(name): tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise BadWeights(f"{path} cannot be read as JSON ({fault}); copy the whole model") from fault
    if not isinstance(content, dict):
        raise BadWeights(f"{path} holds {shown(content)}, not an object; download it again")
    return cast(dict[str, object], content)


def _positions(length: int, width: int) -> torch.Tensor:
    """Sines and cosines by turns (Vaswani et al. 2017, section 3.5), shape (length, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-np.log(10_000.0) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
