"""How fast sound becomes tokens, with a codec of the true shape: `python -m benchmarks.tokenizing`.

`tokenize_realtime_x` is the seconds of sound that are encoded in a second by two processes, one for each core, as
`musicmed-live models prepare` does it. The weights are random, which changes nothing about the time. The codebooks are
drawn from what they are compared with, each from what the ones before it leave over, as training makes them: so how
often the tokens of bfloat16 are those of float32 says something, though not what it is with the published weights. What
counts is how far the tokens are from the sound: `bfloat16_error_ratio` is their squared distance to what the encoder
says, over that of the tokens of float32. Where it is near 1, tokens that differ are as good as each other.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from threading import Barrier

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import EncodecConfig, EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecEuclideanCodebook

from benchmarks.musicgen_small import small_config
from benchmarks.report import print_figures, print_table
from models.tokens import SoundEncoder, fastest_type
from musicmed_live.musicgen.parts import CODEC_RATE

PROCESSES = 2
SEGMENT_SECONDS = 30
BATCH = 8  # segments

_CPU = torch.device("cpu")


def true_codec(seed: int = 0) -> EncodecModel:
    """A codec of the shape of `facebook/encodec_32khz`, with random weights."""
    torch.manual_seed(seed)
    logging.getLogger("transformers").setLevel(logging.ERROR)  # it warns of a decoder that is not used
    config = small_config().audio_encoder
    assert isinstance(config, EncodecConfig)
    model: EncodecModel = EncodecModel(config).eval()
    return model.requires_grad_(False)


def fit_codebooks(model: EncodecModel, sound: NDArray[np.float32], seed: int = 0) -> None:
    """Draw each codebook's entries from what the ones before it leave over of this sound."""
    random = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        left = model.encoder(torch.from_numpy(sound)[None, None])[0].t().clone()
        for part in model.quantizer.modules():
            if isinstance(part, EncodecEuclideanCodebook):
                drawn = left[torch.randint(len(left), (part.codebook_size,), generator=random)]
                part.embed.copy_(drawn + 0.01 * left.std() * torch.randn(drawn.shape, generator=random))
                left -= part.embed[torch.cdist(left, part.embed).argmin(1)]


def some_music(seconds: float, seed: int) -> NDArray[np.float32]:
    """Four notes a second with overtones that die away, and a little noise: full of change, at 32 kHz."""
    random = np.random.default_rng(seed)
    note = np.arange(CODEC_RATE // 4) / CODEC_RATE
    overtones = np.arange(1, 9)[:, None]
    sound = np.empty((round(seconds * 4), len(note)), np.float32)
    for row in sound:
        hertz = 110 * 2 ** (random.integers(0, 36) / 12)
        strength = random.random(8)[:, None] / overtones
        row[:] = (strength * np.sin(2 * np.pi * hertz * overtones * note)).sum(0) * np.exp(-6 * note)
        row += 0.02 * random.standard_normal(len(note))
    return 0.2 * sound.ravel()


def measure() -> float:
    """`tokenize_realtime_x`: seconds of sound per second, on two cores that nobody else uses; about half a minute."""
    return _two_processes()[0]


def _two_processes() -> tuple[float, float]:
    """Seconds of sound per second by the clock, and twice that per second of a processor's time."""
    context = get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, _begin, (context.Barrier(PROCESSES),)) as workers:
        list(workers.map(_warm_up, range(PROCESSES)))
        began = time.perf_counter()
        taken = list(workers.map(_encode, range(PROCESSES)))
        encoded = PROCESSES * BATCH * SEGMENT_SECONDS
        return encoded / (time.perf_counter() - began), PROCESSES * encoded / sum(taken)


_encoders: list[SoundEncoder] = []
_barriers: list[Barrier] = []


def _begin(together: Barrier) -> None:
    torch.set_num_threads(1)
    _encoders.append(SoundEncoder(true_codec(), _CPU, fastest_type(_CPU)))
    _barriers.append(together)


def _warm_up(seed: int) -> None:
    _encoders[0].encode([some_music(2, seed)])
    _barriers[0].wait(600)  # so that each process takes one


def _encode(seed: int) -> float:
    """Encode a batch; the processor's time that it took."""
    began = time.process_time()
    _encoders[0].encode([some_music(SEGMENT_SECONDS, seed)] * BATCH)
    return time.process_time() - began


def _alone(encoder: SoundEncoder, sounds: Sequence[NDArray[np.float32]]) -> tuple[list[NDArray[np.int16]], float]:
    encoder.encode([sounds[0][: 2 * CODEC_RATE]])
    began = time.perf_counter()
    tokens = encoder.encode(sounds)
    return tokens, len(sounds) * SEGMENT_SECONDS / (time.perf_counter() - began)


def _error_ratio(
    model: EncodecModel, sound: NDArray[np.float32], quick: NDArray[np.int16], exact: NDArray[np.int16]
) -> float:
    """How far the tokens `quick` are from what the encoder says in float32, over how far `exact` are."""
    books = [part.embed for part in model.quantizer.modules() if isinstance(part, EncodecEuclideanCodebook)]
    with torch.inference_mode():
        latents = model.encoder(torch.from_numpy(sound)[None, None])[0].t()
        far = [
            (
                latents - sum(book[torch.from_numpy(row).long()] for book, row in zip(books, tokens, strict=True))
            ).square()
            for tokens in (quick, exact)
        ]
    return float(far[0].sum() / far[1].sum())


def _as_published(model: EncodecModel, sound: NDArray[np.float32]) -> float:
    began = time.perf_counter()
    with torch.inference_mode():
        model.encode(torch.from_numpy(sound)[None, None], bandwidth=2.2)
    return SEGMENT_SECONDS / (time.perf_counter() - began)


def main() -> None:
    """Measure, compare and print."""
    model = true_codec()
    fit_codebooks(model, some_music(60, 99))
    sounds = [some_music(SEGMENT_SECONDS, seed) for seed in range(2)]
    exact, exact_speed = _alone(SoundEncoder(model, _CPU, torch.float32), sounds)
    quick, quick_speed = _alone(SoundEncoder(model, _CPU, torch.bfloat16), sounds)
    speed, undisturbed = _two_processes()
    rows: list[tuple[str, float]] = [
        ("transformers, one segment at a time, float32", _as_published(model, sounds[0])),
        ("ours, two segments at a time, float32", exact_speed),
        ("ours, two segments at a time, bfloat16", quick_speed),
        (f"ours, two processes, {str(fastest_type(_CPU)).removeprefix('torch.')}", speed),
        ("the same, by the processors' own time", undisturbed),
    ]
    print_table(("how", "seconds of sound per second"), rows, "Encoding with EnCodec at 32 kHz")
    same = np.mean([first == second for first, second in zip(exact, quick, strict=True)], axis=(0, 2))
    shares = [(f"codebook {book + 1}", float(share)) for book, share in enumerate(same)]
    print_table(("", "share"), shares, "Tokens of bfloat16 that are those of float32")
    ratio = _error_ratio(model, sounds[0], quick[0], exact[0])
    figures = {"tokenize_realtime_x": speed, "bfloat16_same_tokens": float(same.mean()), "bfloat16_error_ratio": ratio}
    print_figures("tokenizing", figures)


if __name__ == "__main__":
    main()
