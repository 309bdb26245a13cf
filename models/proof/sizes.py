"""The sizes that the proof is run in, each number in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """How much music, how large a model, how long a training."""

    tracks: int  # of the corpus
    track_seconds: float
    segment_seconds: float
    vocab: int  # tokens of a codebook
    layers: int
    width: int
    heads: int
    base_steps: int
    base_batch: int
    adapter_steps: int
    adapter_batch: int
    rank: int
    clips: int  # that are asked for to measure
    clip_seconds: float
    seed: int = 7


SIZES = {
    "cpu": Size(
        tracks=700,
        track_seconds=20.0,
        segment_seconds=20.0,
        vocab=256,
        layers=3,
        width=128,
        heads=2,
        base_steps=1200,
        base_batch=4,
        adapter_steps=700,
        adapter_batch=4,
        rank=16,
        clips=80,
        clip_seconds=15.0,
    ),
}
