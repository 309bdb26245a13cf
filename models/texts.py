"""Captions as the text encoder gives them: encoded once, kept in a file beside the training."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models.whole import whole
from musicmed_live.musicgen.conditioning import Conditioner

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, T5EncoderModel

FILE = "captions.safetensors"

_TOGETHER = 64  # texts that are encoded at a time
_PARTS = ("states", "lengths")

LoadEncoder = Callable[[], "tuple[PreTrainedTokenizerBase, T5EncoderModel]"]


class EncodedTexts:
    """The text encoder's last hidden states of each text, in half precision."""

    def __init__(self, texts: Sequence[str], states: torch.Tensor, lengths: torch.Tensor) -> None:
        """`states` (all tokens, text_width) of all `texts`, one behind the other, each as long as `lengths` says."""
        ends = lengths.cumsum(0).tolist()
        self._places = dict(zip(texts, map(slice, [0, *ends[:-1]], ends), strict=True))
        self._states = states

    def __getitem__(self, text: str) -> torch.Tensor:
        """Shape (tokens, text_width), float16."""
        return self._states[self._places[text]]

    @property
    def scale(self) -> float:
        """Root mean square of all that they hold; 1 where that is nothing."""
        return float(self._states.float().square().mean().sqrt()) if self._states.numel() else 1.0


def encode_texts(texts: Iterable[str], load: LoadEncoder, text_width: int, folder: Path, model: str) -> EncodedTexts:
    """All the texts, each once, from the file in `folder` where it holds just these, else by the encoder.

    `load` gives the tokenizer and the encoder, `model` is the SHA-256 of the model that they belong to. Raises
    `BadWeights` where the encoder is damaged, `CannotServe` where the file cannot be written.
    """
    known = sorted(set(texts))
    key = hashlib.sha256("\0".join([model, *known]).encode()).hexdigest()
    path = folder / FILE
    kept = _kept(path, key)
    if kept is None:
        kept = _encoded(known, load, text_width)
        with whole(path) as partial:
            save_file(dict(zip(_PARTS, kept, strict=True)), partial, {"key": key})
    return EncodedTexts(known, *kept)


def _kept(path: Path, key: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("key") == key:
                states, lengths = (file.get_tensor(part) for part in _PARTS)
                return states, lengths
    except (OSError, SafetensorError):  # there is none, or not all of it: it is made again
        pass
    return None


def _encoded(texts: Sequence[str], load: LoadEncoder, text_width: int) -> tuple[torch.Tensor, torch.Tensor]:
    conditioner = Conditioner(load, keep=True)
    found: list[torch.Tensor] = []
    by_length = sorted(texts, key=len)  # so that little is padded
    for begin in range(0, len(texts), _TOGETHER):
        found += [states.half() for states in conditioner.encode(by_length[begin : begin + _TOGETHER])]
    placed = dict(zip(by_length, found, strict=True))
    states = [placed[text] for text in texts]
    return torch.cat([torch.zeros(0, text_width, dtype=torch.float16), *states]), torch.tensor([*map(len, states)])
