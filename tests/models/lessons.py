"""Shards to learn from: tokens that follow the emotion, with captions, for a tiny model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.shards import Segment, ShardWriter
from models.tokens import codec_of
from musicmed_live.musicgen.weights import open_checkpoint

CORNERS = ((0.8, 0.8), (-0.8, 0.8), (-0.8, -0.8), (0.8, -0.8))
FRAMES = 20


def lesson(number: int, frames: int = FRAMES, known: bool = True) -> Segment:
    """A segment whose tokens are near one value for each corner of the plane, so that they can be learned."""
    chance = np.random.default_rng(number)
    valence, arousal = CORNERS[number % 4]
    codes = 100 * (number % 4) + chance.integers(0, 4, (4, frames))
    return Segment(
        id=f"lesson-{number}",
        track=f"track-{number}",
        start_seconds=0.0,
        codes=codes.astype(np.int16),
        valence=valence if known else None,
        arousal=arousal if known else None,
        captions=("calm piano music", "gentle music with piano"),
    )


def write_shards(folder: Path, model: Path, train: Sequence[Segment], validation: Sequence[Segment]) -> Path:
    """Shards of tokens of the model's codec. Returns the folder."""
    writer = ShardWriter(folder, codec_of(open_checkpoint(model).codec()), FRAMES / 50, {"source": "lessons"})
    writer.write("train", 0, train)
    writer.write("validation", 0, validation)
    writer.finish()
    return folder
