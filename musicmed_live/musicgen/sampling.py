"""How tokens are drawn: guidance, the k likeliest, and noise that is a function of a key.

A draw is the largest of `logit / temperature + Gumbel noise` among the k likeliest tokens, which is a draw from their
softmax (Gumbel 1954; Yellott 1977). The noise is hashed from (key, codebook, token), so there is no state to keep: a
step that is run again gives the same tokens, on any device and beside any other slots, and a CUDA graph can hold it.
"""

import torch

from musicmed_live.musicgen.engine import Sampling

_WORD = 0xFFFF_FFFF
_GOLDEN = 0x9E37_79B9  # 2^32 over the golden ratio: spreads small numbers over a word


def guide(conditional: torch.Tensor, unconditional: torch.Tensor, guidance: float) -> torch.Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, as MusicGen has it): logits of any one shape, in float32."""
    return torch.lerp(unconditional.float(), conditional.float(), guidance)


def sample(logits: torch.Tensor, keys: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Draw a token for each row and codebook, without a device synchronisation.

    `logits` (n, codebooks, vocab) after guidance, `keys` (n,) int64 on the same device; returns (n, codebooks) int64.
    With `top_k` 1 it is the likeliest token, and with more than `vocab`, all may be drawn. Where several tokens are
    exactly the k-th likeliest, which of them may be drawn is `torch.topk`'s choice.
    """
    if sampling.top_k == 1:
        return logits.argmax(-1)
    likely, tokens = logits.topk(min(sampling.top_k, logits.shape[-1]), sorted=False)  # (n, codebooks, k)
    scores = likely.double().div_(sampling.temperature).add_(gumbel(keys, tokens))
    return tokens.gather(-1, scores.argmax(-1, keepdim=True)).squeeze(-1)


def gumbel(keys: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Standard Gumbel noise for `keys` (n,) int64 and `tokens` (n, codebooks, k) int64: (n, codebooks, k) float64.

    Double precision, so that devices whose logarithms differ in the last place draw the same token.
    """
    codebooks = torch.arange(tokens.shape[1], device=tokens.device)
    row = _mixed((keys & _WORD) ^ _mixed((keys >> 32) & _WORD))  # (n,)
    stream = _mixed((row[:, None] + codebooks * _GOLDEN) & _WORD)  # (n, codebooks)
    word = _mixed((stream[..., None] + tokens * _GOLDEN) & _WORD)  # (n, codebooks, k)
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
