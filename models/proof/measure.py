"""What the training was worth: emotions asked of the base and of the adapter, and heard by the embedded recognizer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]  # soxr has no annotations
import torch
from transformers import EncodecModel

from models.agreement import Heard, agreement, correlation
from models.clips import Grid
from models.evaluate import Judge, evaluate, sides_of
from models.loudness import at_one_loudness
from models.proof.corpus import Track
from models.proof.quantiser import codebooks_of, quantise
from models.proof.semitones import levels
from models.proof.sizes import Size
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.musicgen.parts import CODEC_RATE
from musicmed_live.recognition.embedded import EmbeddedRecognizer, load_recognizer
from musicmed_live.recognition.features import RATE, extract
from musicmed_live.service.generators import Choice

JUDGE = "embedded, halved"
_SHARE = 0.5  # of the estimate that is told
_AXES = ("valence", "arousal")


class Ear:
    """The embedded recognizer, made to compare clips of a tiny model with each other.

    It tells half of its estimate: what the tiny codec plays lies partly beyond the border of the plane, where
    judgements are cut off.
    """

    def __init__(self, recognizer: EmbeddedRecognizer) -> None:
        """With the one that judges."""
        self._recognizer = recognizer

    def judge(self, mono: Mono) -> Judgement:
        """See `Recognizer`."""
        features = extract(mono)
        whole = self._recognizer.judge_features(features, len(mono) / RATE)
        adds = self._recognizer.contributions(features)
        valence, arousal = (
            min(1.0, max(-1.0, _SHARE * (self._recognizer.middle(axis) + float(adds[axis].sum())))) for axis in _AXES
        )
        return Judgement(Emotion(valence, arousal), _SHARE * whole.valence_sd, _SHARE * whole.arousal_sd)


def measure(model: Path, adapter: Path, out: Path, size: Size) -> dict[str, Any]:
    """Have the base and the adapter play emotions over the plane, as a session would, and judge them.

    The clips, a page to listen on and `evaluation.json` are in `out`. Returns the figures of both sides.
    """
    sides = sides_of(Choice("musicgen", str(model), (str(adapter),), "auto"))
    judge = Judge(JUDGE, Ear(load_recognizer()))
    content = evaluate(sides, [judge], Grid(size.levels, size.seeds, size.clip_seconds), out)
    return {side: figures[JUDGE] for side, figures in content["figures"].items()}


def lower_r(figures: dict[str, Any]) -> float:
    """The lower of both axes' correlation between what was asked for and what was heard."""
    return min(float(figures[axis]["r"]["value"]) for axis in _AXES)


def ceilings(corpus: Path, tracks: Sequence[Track], codec: EncodecModel, seconds: float) -> dict[str, Any]:
    """What could be reached at best: the same judgement of the composer's own music, and of that as tokens."""
    recognizer = Ear(load_recognizer())
    composed: list[Heard] = []
    decoded: list[Heard] = []
    for track in tracks:
        mono, _ = soundfile.read(corpus / track.name, dtype="float32", frames=round(seconds * CODEC_RATE))
        composed.append((track.emotion, _judged(recognizer, mono)))
        decoded.append((track.emotion, _judged(recognizer, _through(codec, mono))))
    agree = {
        axis: correlation(*(np.array([getattr(heard, axis) for _, heard in pairs]) for pairs in (composed, decoded)))
        for axis in _AXES
    }
    return {
        "composer": agreement(composed).as_json(),
        "tokens": agreement(decoded).as_json(),
        "tokens_to_composer_r": agree,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a report."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _judged(recognizer: Ear, mono: Mono) -> Emotion:
    return recognizer.judge(at_one_loudness(soxr.resample(mono, CODEC_RATE, RATE))).emotion


@torch.inference_mode()
def _through(codec: EncodecModel, mono: Mono) -> Mono:
    """The sound of its tokens."""
    codebooks = codebooks_of(codec)
    codes = quantise(torch.from_numpy(levels(mono)), codebooks)
    latents = torch.stack([book[row] for book, row in zip(codebooks, codes, strict=True)]).sum(0)
    sound: Mono = codec.decoder(latents.T[None])[0, 0].numpy()
    return sound
