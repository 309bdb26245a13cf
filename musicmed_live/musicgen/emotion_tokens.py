"""Emotion tokens: a point of the valence-arousal plane as the decoder's cross-attention sees it, beside the text.

A small net gives a few hidden states for each point of the plane. They stand behind those of the text, as if the prompt
had a few words more, whose meaning moves continuously with the emotion. They are trained together with an adapter and
saved in its directory: the weights as safetensors, the shape as JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from musicmed_live.core.emotion import Emotion
from musicmed_live.errors import BadWeights, InvalidInput, shown
from musicmed_live.musicgen.decoder import PROMPT_TOKENS
from musicmed_live.musicgen.parts import LARGEST, count
from musicmed_live.musicgen.tensors import read_json

WEIGHTS = "emotion_tokens.safetensors"
SETTINGS = "emotion_tokens.json"
VERSION = 1
MOST_TOKENS = PROMPT_TOKENS // 4  # of one adapter: the text needs room, too


@dataclass(frozen=True, slots=True)
class EmotionShape:
    """What the net of an adapter's emotion tokens is like."""

    text_width: int  # of the hidden states that the decoder was trained with
    tokens: int = 4  # 1 .. MOST_TOKENS
    width: int = 256  # of the hidden layers
    scale: float = 1.0  # root mean square of a token, that of the text's hidden states

    def __post_init__(self) -> None:
        """Raise `InvalidInput` for a number of tokens that would leave no room for the text."""
        if not 1 <= self.tokens <= MOST_TOKENS:
            raise InvalidInput(f"{self.tokens} emotion tokens are not from 1 to {MOST_TOKENS}", "tokens")


class EmotionTokens(nn.Module):
    """A net of two hidden layers from (valence, arousal) to tokens, smooth in both."""

    def __init__(self, shape: EmotionShape) -> None:
        """With random weights, drawn from torch's global generator."""
        super().__init__()
        self.shape = shape
        self.net = nn.Sequential(
            nn.Linear(2, shape.width),
            nn.GELU(),
            nn.Linear(shape.width, shape.width),
            nn.GELU(),
            nn.Linear(shape.width, shape.tokens * shape.text_width),
        )

    def forward(self, emotions: torch.Tensor) -> torch.Tensor:
        """Points (B, 2) of the plane, valence before arousal, in [-1, 1], to hidden states (B, tokens, text_width).

        Each is normed to what a text's hidden states are like (mean 0, root mean square `scale`), so that the decoder
        meets nothing that is far from what it knows, however the net is trained.
        """
        tokens = self.net(emotions).unflatten(-1, (self.shape.tokens, self.shape.text_width))
        return functional.layer_norm(tokens.float(), (self.shape.text_width,)) * self.shape.scale

    def at(self, emotion: Emotion) -> torch.Tensor:
        """The tokens at one point, (tokens, text_width) float32, without gradients."""
        with torch.no_grad():
            found: torch.Tensor = self(torch.tensor([[emotion.valence, emotion.arousal]], dtype=torch.float32))
        return found[0]


def save_emotion_tokens(tokens: EmotionTokens, folder: Path) -> None:
    """Write both files into an adapter's directory."""
    state = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tokens.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    settings = {"version": VERSION, **asdict(tokens.shape)}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def load_emotion_tokens(folder: Path, text_width: int) -> EmotionTokens | None:
    """The emotion tokens in an adapter's directory; None where it has none, being an adapter for text alone.

    Raises `BadWeights` where they are damaged, or of a model with another width of text.
    """
    if not (folder / SETTINGS).is_file():
        if not (folder / WEIGHTS).is_file():
            return None
        raise BadWeights(f"{folder / SETTINGS} is missing; copy the whole adapter")
    shape = _read_shape(folder / SETTINGS)
    if shape.text_width != text_width:
        raise BadWeights(
            f"{folder}: the emotion tokens are {shape.text_width} wide, but the model reads text of {text_width}; "
            "use the adapter with the model that it was trained on"
        )
    with torch.device("meta"):
        tokens = EmotionTokens(shape)
    tokens.load_state_dict(_read_weights(folder / WEIGHTS, tokens.state_dict()), assign=True)
    return tokens.requires_grad_(False)


def _read_shape(path: Path) -> EmotionShape:
    content = read_json(path)
    if content.get("version") != VERSION:
        raise BadWeights(
            f"{path}: the version is {shown(content.get('version'))}, not {VERSION}; train the adapter anew"
        )
    scale = content.get("scale")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale <= LARGEST:
        raise BadWeights(f"{path}: scale is {shown(scale)}, not a number above 0; copy the adapter again")
    return EmotionShape(
        count(content, "text_width", path),
        count(content, "tokens", path, MOST_TOKENS),
        count(content, "width", path),
        float(scale),
    )


def _read_weights(path: Path, wanted: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Float32 tensors of the wanted names and shapes: copies, as what was loaded changes when its file does."""
    if not path.is_file():
        raise BadWeights(f"{path} is missing; copy the whole adapter")
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as fault:
        raise BadWeights(f"{path} is cut short or no safetensors file ({fault}); copy it again") from fault
    if {name: tensor.shape for name, tensor in found.items()} != {name: empty.shape for name, empty in wanted.items()}:
        raise BadWeights(f"{path} does not hold the tensors that {SETTINGS} says; the two files are not of one adapter")
    values = {name: tensor.to(torch.float32, copy=True) for name, tensor in found.items()}
    for name, tensor in values.items():
        if not found[name].is_floating_point() or not tensor.isfinite().all():
            raise BadWeights(f"{path}: {name} holds what is no finite number; the adapter is damaged")
    return values
