"""The sizes that the proof is run in, each number in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """How much music, how large a model, how long a training."""

    tracks: int  # of the corpus
    track_seconds: float
    base_seconds: float  # of a segment
    adapter_seconds: float  # short: what went before tells most of the emotion, and nothing is left to be learned
    vocab: int  # tokens of a codebook
    layers: int
    width: int
    heads: int
    base_steps: int
    base_batch: int
    adapter_steps: int
    adapter_batch: int
    rank: int
    levels: int  # of either axis, at which clips are asked for to measure
    seeds: int  # clips at each of these emotions
    clip_seconds: float
    seed: int = 7


SIZES = {
    # Within the tests: a minute on one core. Enough to be seen in the loss, not to be heard.
    "ci": Size(
        tracks=40,
        track_seconds=8.0,
        base_seconds=8.0,
        adapter_seconds=4.0,
        vocab=64,
        layers=2,
        width=96,
        heads=3,
        base_steps=150,
        base_batch=4,
        adapter_steps=150,
        adapter_batch=8,
        rank=8,
        levels=3,
        seeds=2,
        clip_seconds=5.0,
    ),
    # An hour and a quarter on one core, of which a third is rendering: the figures of docs/learning.md.
    "cpu": Size(
        tracks=1400,
        track_seconds=20.0,
        base_seconds=20.0,
        adapter_seconds=5.0,
        vocab=256,
        layers=3,
        width=128,
        heads=2,
        base_steps=1200,
        base_batch=4,
        adapter_steps=1100,
        adapter_batch=16,
        rank=16,
        levels=5,
        seeds=3,
        clip_seconds=20.0,
    ),
    # A few hours on a GPU: thirty hours of music in the 30 s that a decoder sees at most.
    "gpu": Size(
        tracks=3600,
        track_seconds=30.0,
        base_seconds=30.0,
        adapter_seconds=10.0,
        vocab=1024,
        layers=8,
        width=512,
        heads=8,
        base_steps=12_000,
        base_batch=32,
        adapter_steps=4_000,
        adapter_batch=32,
        rank=16,
        levels=5,
        seeds=4,
        clip_seconds=30.0,
    ),
}
