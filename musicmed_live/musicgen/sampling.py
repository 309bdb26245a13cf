"""How tokens are drawn: guidance, the k likeliest, and noise that is a function of a key.

A draw is the largest of `logit / temperature + Gumbel noise` among the k likeliest tokens, which is a draw from their
softmax (Gumbel 1954; Yellott 1977). The noise is hashed from (key, codebook, token), so there is no state to keep: the
same logits give the same tokens again, on any device and beside any other slots, and a CUDA graph can hold it.
"""

import torch

from musicmed_live.musicgen.engine import Sampling

_WORD = 0xFFFF_FFFF
_GOLDEN = 0x9E37_79B9  # 2^32 over the golden ratio: spreads small numbers over a word


def guide(conditional: torch.Tensor, unconditional: torch.Tensor, guidance: float) -> torch.Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, as MusicGen has it): logits of any one shape, in float32."""
    return torch.lerp(unconditional.float(), conditional.float(), guidance)


def streams_of(keys: torch.Tensor, codebooks: int) -> torch.Tensor:
    """Where the noise of a key's codebooks begins: `keys` (...) int64 to (..., codebooks) int64, words of 32 bits."""
    books = torch.arange(codebooks, device=keys.device)
    row = _mixed((keys & _WORD) ^ _mixed((keys >> 32) & _WORD))
    return _mixed((row[..., None] + books * _GOLDEN) & _WORD)


def sample(logits: torch.Tensor, streams: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Draw a token for each row and codebook, without a device synchronisation.

    `logits` (n, codebooks, vocab) after guidance, `streams` (n, codebooks) of the rows' keys, on the same device;
    returns (n, codebooks) int64. With `top_k` 1 it is the likeliest token, and with more than `vocab` all may be drawn.
    Where several tokens are exactly the k-th likeliest, which of them may be drawn is `torch.topk`'s choice.
    """
    if sampling.top_k == 1:
        return logits.argmax(-1)
    likely, tokens = logits.topk(min(sampling.top_k, logits.shape[-1]), sorted=False)  # (n, codebooks, k)
    scores = likely.double().div_(sampling.temperature).add_(gumbel(streams, tokens))
    return tokens.gather(-1, scores.argmax(-1, keepdim=True)).squeeze(-1)


def gumbel(streams: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Standard Gumbel noise for `streams` (n, codebooks) and `tokens` (n, codebooks, k) int64, float64 of that shape.

    Double precision, so that devices whose logarithms differ in the last place draw the same token.
    """
    word = _mixed((streams[..., None] + tokens * _GOLDEN) & _WORD)
    uniform = word.double().add_(0.5).mul_(2.0**-32)  # in (0, 1)
    return uniform.log_().neg_().log_().neg_()


def _mixed(word: torch.Tensor) -> torch.Tensor:
    """A 32-bit word, held in int64, hashed to another: the two-round xorshift-multiply of C. Wellons' hash-prospector.

    Both factors are below 2^31, so that no product overflows.
    """
    word = word ^ (word >> 16)
    word = (word * 0x21F0_AAAD) & _WORD
    word = word ^ (word >> 15)
    word = (word * 0x735A_2D97) & _WORD
    return word ^ (word >> 15)
