"""The codec's codebooks: residual k-means (Juang & Gray 1982; Zeghidour et al. 2021, arXiv 2107.03312, 3.3)."""

import torch
from transformers import EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecEuclideanCodebook

ROUNDS = 12  # of k-means for each codebook


def fit_codebooks(latents: torch.Tensor, books: int, vocab: int, seed: int) -> list[torch.Tensor]:
    """Codebooks (vocab, width), each fitted to what those before it leave of `latents` (frames, width)."""
    generator = torch.Generator().manual_seed(seed)
    residual, found = latents.clone(), []
    for _ in range(books):
        centres = _k_means(residual, vocab, generator)
        residual -= centres[nearest(residual, centres)]
        found.append(centres)
    return found


def quantise(latents: torch.Tensor, codebooks: list[torch.Tensor]) -> torch.Tensor:
    """The tokens (books, frames) of `latents` (frames, width)."""
    residual, tokens = latents.clone(), []
    for centres in codebooks:
        tokens.append(nearest(residual, centres))
        residual -= centres[tokens[-1]]
    return torch.stack(tokens)


def nearest(rows: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """For each of `rows` (n, width) the closest of `centres` (k, width)."""
    half = centres.square().sum(1) / 2
    return torch.cat([(part @ centres.T - half).argmax(1) for part in torch.split(rows, 8192)])


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


def _k_means(rows: torch.Tensor, k: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm, begun at rows; a centre that nobody is near to begins anew at one of them."""
    centres = rows[torch.randperm(len(rows), generator=generator)[:k]].clone()
    for _ in range(ROUNDS):
        assigned = nearest(rows, centres)
        counts = torch.bincount(assigned, minlength=k)
        sums = torch.zeros_like(centres).index_add_(0, assigned, rows)
        centres = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        centres[empty] = rows[torch.randint(len(rows), (int(empty.sum()),), generator=generator)]
    return centres
