"""How tokens are drawn: a function of logits and key, distributed as the softmax of the k likeliest."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from musicmed_live.musicgen.engine import Sampling
from musicmed_live.musicgen.sampling import guide, gumbel, sample, streams_of

VOCAB = 2048
KEYS = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def uniform(keys: torch.Tensor, codebooks: int = 4, tokens: int = VOCAB) -> torch.Tensor:
    """The noise of every token, brought back to (0, 1): (n, codebooks, tokens)."""
    every = torch.arange(tokens).expand(len(keys), codebooks, tokens)
    return torch.exp(-torch.exp(-gumbel(streams_of(keys, codebooks), every)))


def drawn_with(logits: torch.Tensor, keys: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Tokens (n, codebooks) of `logits` (n, codebooks, vocab) for `keys` (n,)."""
    return sample(logits, streams_of(keys, logits.shape[1]), sampling)


def random_logits(rows: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(rows, 4, VOCAB, generator=torch.Generator().manual_seed(seed))


@given(guidance=st.floats(0, 10))
@settings(max_examples=30, deadline=None)
def test_guidance_goes_from_the_unconditional_through_the_conditional(guidance: float) -> None:
    conditional, unconditional = random_logits(1, 1), random_logits(1, 2)
    expected = unconditional + guidance * (conditional - unconditional)
    torch.testing.assert_close(guide(conditional, unconditional, guidance), expected, rtol=1e-5, atol=1e-4)


def test_a_draw_is_the_same_wherever_it_is_made() -> None:
    keys = torch.tensor([0, 1, -1, 2**40 + 7])
    logits = torch.sin(torch.arange(4 * 4 * 64, dtype=torch.float64) * 37).float().view(4, 4, 64) * 3
    drawn = drawn_with(logits, keys, Sampling(top_k=32)).tolist()
    assert drawn == [[25, 42, 49, 48], [46, 27, 9, 62], [26, 51, 14, 40], [11, 46, 1, 9]]


@given(keys=st.lists(KEYS, min_size=1, max_size=4), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_row_is_drawn_as_if_it_were_alone(keys: list[int], seed: int) -> None:
    logits = random_logits(len(keys), seed)
    together = drawn_with(logits, torch.tensor(keys), Sampling())
    alone = [drawn_with(logits[n : n + 1], torch.tensor(keys[n : n + 1]), Sampling()) for n in range(len(keys))]
    assert torch.equal(together, torch.cat(alone))


@given(key=KEYS, top_k=st.integers(2, 300))
@settings(max_examples=30, deadline=None)
def test_only_the_likeliest_are_drawn(key: int, top_k: int) -> None:
    logits = random_logits(1)
    drawn = drawn_with(logits, torch.tensor([key]), Sampling(top_k=top_k))
    rank = (logits > logits.gather(-1, drawn[..., None])).sum(-1)
    assert (rank < top_k).all()


def test_one_candidate_or_a_temperature_near_zero_gives_the_likeliest() -> None:
    logits, keys = random_logits(8), torch.arange(8)
    assert torch.equal(drawn_with(logits, keys, Sampling(top_k=1)), logits.argmax(-1))
    assert torch.equal(drawn_with(logits, keys, Sampling(temperature=1e-9)), logits.argmax(-1))


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_tokens_come_as_often_as_the_softmax_says(temperature: float) -> None:
    draws, logits = 20_000, torch.tensor([1.5, 0.0, -0.5, 1.0, -9.0, 0.3])
    sampling = Sampling(top_k=5, temperature=temperature)
    drawn = drawn_with(logits.expand(draws, 2, 6), torch.arange(draws), sampling)
    expected = (logits.masked_fill(logits == -9.0, -torch.inf) / temperature).softmax(-1).double()
    for codebook in range(2):
        counts = torch.bincount(drawn[:, codebook], minlength=6)
        assert counts[4] == 0
        likely = expected > 0
        frequencies = (expected[likely] / expected[likely].sum() * draws).numpy()
        assert stats.chisquare(counts[likely].numpy(), frequencies).pvalue > 1e-4


@pytest.mark.parametrize("first", [0, 2**32 - 100, -(2**62)], ids=["small", "across 32 bits", "negative"])
def test_the_noise_is_uniform(first: int) -> None:
    noise = uniform(first + torch.arange(200))
    counts = torch.histc(noise.float(), bins=256, min=0, max=1)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4
    rows = torch.stack([torch.histc(row.float(), bins=16, min=0, max=1) for row in noise.flatten(0, 1)])
    pvalues = stats.chisquare(rows.numpy(), axis=1).pvalue
    assert stats.kstest(pvalues, "uniform").pvalue > 1e-4


def test_the_noise_of_neighbours_is_independent() -> None:
    noise = uniform(torch.arange(100)) - 0.5
    neighbours = {
        "keys": (noise[1:], noise[:-1]),
        "codebooks": (noise[:, 1:], noise[:, :-1]),
        "tokens": (noise[:, :, 1:], noise[:, :, :-1]),
        "key against codebook": (noise[1:, :-1], noise[:-1, 1:]),
        "codebook against token": (noise[:, 1:, :-1], noise[:, :-1, 1:]),
    }
    for name, (one, other) in neighbours.items():
        assert stats.pearsonr(one.flatten().numpy(), other.flatten().numpy()).pvalue > 1e-4, name
        assert stats.pearsonr(one.abs().flatten().numpy(), other.abs().flatten().numpy()).pvalue > 1e-4, name


def test_every_bit_of_a_key_changes_the_noise() -> None:
    plain = uniform(torch.tensor([0]))
    flipped = uniform(torch.tensor([1 << bit if bit < 63 else -(2**63) for bit in range(64)]))
    correlations = [float(torch.corrcoef(torch.stack([plain.flatten(), row.flatten()]))[0, 1]) for row in flipped]
    assert max(map(abs, correlations)) < 4.5 / (4 * VOCAB) ** 0.5
