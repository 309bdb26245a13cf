"""How well music fits the text that asked for it, by CLAP (Wu et al. 2023, arXiv 2211.06687), where its weights are.

CLAP maps sound and text into one space; its score is the cosine between the two. Which is high in itself depends on the
texts, so the score beside the texts of the other clips is given, too: what counts is how much higher the own one is.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import ClapModel, ClapProcessor

from musicmed_live.core.generator import SAMPLE_RATE, Samples, frames_of
from musicmed_live.errors import BadWeights

NAME = "laion/larger_clap_music"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
WINDOW_FRAMES = frames_of(10.0)  # what CLAP hears at a time; the extractor would cut a random stretch out of more
LEAST_FRAMES = frames_of(1.0)

FloatArray = NDArray[np.float64]


class Clap:
    """Texts and sounds as unit vectors of one space. Raises `BadWeights` where the folder holds no CLAP."""

    def __init__(self, folder: Path) -> None:
        try:
            self._model = ClapModel.from_pretrained(folder, local_files_only=True).eval()
            self._processor = ClapProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, pickle.UnpicklingError) as fault:
            raise BadWeights(f"{folder} holds no CLAP model that can be read ({fault}); get {NAME}") from fault

    @torch.inference_mode()
    def of_texts(self, texts: Sequence[str]) -> FloatArray:
        """Shape (texts, width), each row of length 1."""
        batch = self._processor(text=list(texts), padding=True, return_tensors="pt")
        return _unit(self._model.get_text_features(**batch).pooler_output)

    @torch.inference_mode()
    def of_sound(self, samples: Samples) -> FloatArray:
        """The mean over stretches of 10 s of stereo sound at 48 kHz, shape (width,), of length 1."""
        mono = samples.mean(axis=1)
        windows = [mono[start : start + WINDOW_FRAMES] for start in range(0, len(mono), WINDOW_FRAMES)]
        heard = [window for window in windows if len(window) >= LEAST_FRAMES] or windows[:1]
        batch = self._processor(audio=heard, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return _normal(_unit(self._model.get_audio_features(**batch).pooler_output).mean(axis=0))


def cached_clap() -> Path | None:
    """Where `NAME` lies with its weights in the local cache of the hub, if it does. The network is not asked."""
    try:
        folder = Path(snapshot_download(NAME, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if any((folder / name).is_file() for name in WEIGHTS) else None


def scores(sounds: FloatArray, texts: FloatArray, asked: Sequence[int]) -> dict[str, float | None]:
    """The mean score of sounds (clips, width) with their own texts, and with the others of `texts` (texts, width).

    `asked` is the row of each sound's own text.
    """
    similar = sounds @ texts.T
    own = np.zeros(similar.shape, bool)
    own[np.arange(len(asked)), list(asked)] = True
    others = float(similar[~own].mean()) if len(texts) > 1 else None
    return {"own_text": float(similar[own].mean()), "other_texts": others}


def _unit(features: torch.Tensor) -> FloatArray:
    return _normal(features.double().numpy())


def _normal(rows: FloatArray) -> FloatArray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))
