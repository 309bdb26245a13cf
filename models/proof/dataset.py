"""The corpus as token shards: once with texts that say nothing of the emotion, once with emotions and fitting texts."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from transformers import EncodecModel

from models.proof.corpus import Track
from models.proof.quantiser import codebooks_of, quantise
from models.proof.semitones import Levels
from models.proof.sizes import Size
from models.shards import Segment, ShardWriter
from models.tokens import codec_of
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Preference
from musicmed_live.musicgen.decoder import FRAME_RATE
from musicmed_live.musicgen.prompts import blend, texts

_CAPTIONS = 2  # of a segment
_LICENCE = "Apache-2.0"  # of the composer and what it writes
_FREE = Preference()


def write_shards(
    folder: Path, codec: EncodecModel, levels: Sequence[tuple[Track, Levels]], size: Size, told: bool
) -> None:
    """Write the shards. With `told`, segments have their emotion, and the texts that it is asked for with.

    Without, they have texts drawn at random from all there are: the base is to know the words, which tell it nothing.
    """
    seconds = size.adapter_seconds if told else size.base_seconds
    writer = ShardWriter(folder, codec_of(codec), seconds, {"proof": asdict(size), "told": told})
    codebooks = codebooks_of(codec)
    for split in ("train", "validation"):
        segments = [
            segment
            for track, heard in levels
            if track.split == split
            for segment in _segments(track, quantise(torch.from_numpy(heard), codebooks), seconds, told)
        ]
        writer.write(split, 0, segments)
    writer.finish()


def _segments(track: Track, codes: torch.Tensor, seconds: float, told: bool) -> Iterator[Segment]:
    frames = round(seconds * FRAME_RATE)
    for number, begin in enumerate(range(0, codes.shape[1] - frames + 1, frames)):
        yield Segment(
            id=f"{track.name}:{number}",
            track=track.name,
            start_seconds=begin / FRAME_RATE,
            codes=codes[:, begin : begin + frames].numpy().astype(np.int16),
            valence=track.emotion.valence if told else None,
            arousal=track.emotion.arousal if told else None,
            captions=_fitting(track.emotion) if told else _any(track.seed + number),
            licence=_LICENCE,
        )


def _fitting(emotion: Emotion) -> tuple[str, ...]:
    """The texts that weigh most where this emotion is asked for."""
    asked = sorted(blend(emotion, _FREE, _FREE), key=lambda prompt: -prompt.weight)
    return tuple(prompt.text for prompt in asked[:_CAPTIONS])


def _any(seed: int) -> tuple[str, ...]:
    known = texts(_FREE, _FREE)
    drawn = np.random.default_rng(seed).choice(len(known), _CAPTIONS, replace=False)
    return tuple(known[index] for index in drawn)
