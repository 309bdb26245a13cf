"""The codec's codebooks: each says what sounds in a register of its own, in tokens that last as long as they fit.

EnCodec's codebooks each describe what those before them leave. Notes are sparse: the sum of such books smears them over
their neighbours, and nearly each frame has other tokens, which a small language model then spends all it has on. So
here each book has a share of the semitones, and a token is left only where another one is nearer by more than a price:
the least sum of distances and prices, found by dynamic programming (Viterbi 1967).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecEuclideanCodebook

from models.proof.semitones import level_of_loudness, loudness_of

ROUNDS = 12  # of k-means for each codebook
PRICE = 0.04  # of another token, in squared loudness


def fit_codebooks(levels: torch.Tensor, books: int, vocab: int, seed: int) -> list[torch.Tensor]:
    """Codebooks (vocab, semitones) that each describe a register of `levels` (frames, semitones), by k-means.

    A book is 0 outside its register, so that the sum of one token of each is the levels of all semitones.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for register in _registers(levels.shape[1], books):
        centres = _k_means(loudness_of(levels[:, register]), vocab, generator)
        book = torch.zeros(vocab, levels.shape[1])
        book[:, register] = level_of_loudness(centres)
        found.append(book)
    return found


def quantise(levels: torch.Tensor, codebooks: list[torch.Tensor]) -> torch.Tensor:
    """The tokens (books, frames) of `levels` (frames, semitones)."""
    registers = _registers(levels.shape[1], len(codebooks))
    distances = [
        _distances(loudness_of(levels[:, register]), loudness_of(book[:, register]))
        for register, book in zip(registers, codebooks, strict=True)
    ]
    return torch.from_numpy(_cheapest(torch.stack(distances).numpy()))


def install(codec: EncodecModel, codebooks: list[torch.Tensor]) -> None:
    """Put the codebooks into the codec."""
    for part, centres in zip(_parts(codec), codebooks, strict=True):
        part.embed.copy_(centres)
        part.embed_avg.copy_(centres)
        part.inited.fill_(1)


def codebooks_of(codec: EncodecModel) -> list[torch.Tensor]:
    """The codebooks (vocab, width) of a codec."""
    return [part.embed for part in _parts(codec)]


def _parts(codec: EncodecModel) -> list[EncodecEuclideanCodebook]:
    return [part for part in codec.quantizer.modules() if isinstance(part, EncodecEuclideanCodebook)]


def _registers(semitones: int, books: int) -> list[slice]:
    """Equal shares of the semitones, the lowest first."""
    return [slice(book * semitones // books, (book + 1) * semitones // books) for book in range(books)]


def _cheapest(distances: NDArray[np.float32]) -> NDArray[np.int64]:
    """Tokens (books, frames) with the least sum of `distances` (books, frames, vocab) and prices of changes."""
    books, frames, vocab = distances.shape
    every, all_books = np.arange(vocab), np.arange(books)
    least = distances[:, 0]
    came_from = np.empty((frames, books, vocab), np.int64)
    for frame in range(1, frames):
        best = least.argmin(1)
        changed = least[all_books, best, None] + PRICE
        came_from[frame] = np.where(least <= changed, every, best[:, None])
        least = np.minimum(least, changed) + distances[:, frame]
    tokens = np.empty((books, frames), np.int64)
    tokens[:, -1] = least.argmin(1)
    for frame in range(frames - 1, 0, -1):
        tokens[:, frame - 1] = came_from[frame, all_books, tokens[:, frame]]
    return tokens


def _distances(rows: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Squared, of each of `rows` (n, width) to each of `centres` (k, width)."""
    return (rows.square().sum(1)[:, None] + centres.square().sum(1) - 2 * rows @ centres.T).clamp_(min=0)


def _nearest(rows: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """For each of `rows` (n, width) the closest of `centres` (k, width)."""
    return torch.cat([_distances(part, centres).argmin(1) for part in torch.split(rows, 8192)])


def _k_means(rows: torch.Tensor, k: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm, begun at rows; a centre that nobody is near to begins anew at one of them."""
    centres = rows[torch.randperm(len(rows), generator=generator)[:k]].clone()
    for _ in range(ROUNDS):
        assigned = _nearest(rows, centres)
        counts = torch.bincount(assigned, minlength=k)
        sums = torch.zeros_like(centres).index_add_(0, assigned, rows)
        centres = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        centres[empty] = rows[torch.randint(len(rows), (int(empty.sum()),), generator=generator)]
    return centres
