"""The CPU engine in 8 bits: near the exact decoder, and the same numbers however it is run."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MusicgenDecoderConfig
from transformers.models.musicgen.modeling_musicgen import MusicgenForCausalLM

from musicmed_live.errors import GeneratorFailed
from musicmed_live.musicgen import native
from musicmed_live.musicgen.adapters import Adapter
from musicmed_live.musicgen.decoder import PROMPT_TOKENS, WINDOW_STEPS, DecoderConfig
from musicmed_live.musicgen.engine import Conditioning, Sampling
from musicmed_live.musicgen.native import NativeEngine
from musicmed_live.musicgen.sampling import guide

TINY = DecoderConfig(layers=2, width=128, heads=2, ffn=256, text_width=32)
NARROW = DecoderConfig(layers=2, width=64, heads=2, ffn=128, text_width=32, vocab=64)
MIDDLE = DecoderConfig(layers=6, width=512, heads=8, ffn=2048, text_width=96)
LAYER = "decoder.model.decoder.layers"


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    """The machine's cores are for the engines."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def reference(config: DecoderConfig) -> MusicgenForCausalLM:
    torch.manual_seed(1)
    shape = MusicgenDecoderConfig(
        vocab_size=config.vocab,
        num_hidden_layers=config.layers,
        ffn_dim=config.ffn,
        num_attention_heads=config.heads,
        hidden_size=config.width,
        num_codebooks=config.codebooks,
        dropout=0.0,
        pad_token_id=config.vocab,
        bos_token_id=config.vocab,
    )
    model = MusicgenForCausalLM(shape).eval()
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.data.add_(torch.randn_like(weight), alpha=0.2)
    return model


@cache
def weights_of(config: DecoderConfig) -> dict[str, torch.Tensor]:
    found = {f"decoder.{name}": weight for name, weight in reference(config).state_dict().items()}
    random = torch.Generator().manual_seed(2)
    found["enc_to_dec_proj.weight"] = torch.randn(config.width, config.text_width, generator=random) * 0.1
    found["enc_to_dec_proj.bias"] = torch.randn(config.width, generator=random) * 0.1
    return found


def conditioning(config: DecoderConfig, tokens: int = 9, seed: int = 3) -> Conditioning:
    random = torch.Generator().manual_seed(seed)
    return Conditioning(torch.randn(tokens, config.text_width, generator=random), torch.zeros(tokens))


def columns(config: DecoderConfig, count: int, seed: int = 4) -> torch.Tensor:
    drawn = torch.randint(config.vocab, (count, config.codebooks), generator=torch.Generator().manual_seed(seed))
    drawn[0] = config.vocab
    return drawn


def engine(
    config: DecoderConfig = TINY, text: Conditioning | None = None, slots: int = 2, **options: object
) -> NativeEngine:
    made = NativeEngine(config, weights_of(config), slots=slots, **options)  # type: ignore[arg-type]
    for slot in range(slots):
        made.condition(slot, text or conditioning(config))
    return made


def exact_logits(config: DecoderConfig, given: torch.Tensor, text: Conditioning) -> torch.Tensor:
    """transformers' (T, 2, codebooks, vocab), the unconditional row over zeros."""
    weights = weights_of(config)
    projected = text.hidden @ weights["enc_to_dec_proj.weight"].T + weights["enc_to_dec_proj.bias"]
    both = torch.stack([projected, torch.zeros_like(projected)])
    with torch.no_grad():
        found = reference(config)(given.T.repeat(2, 1), encoder_hidden_states=both).logits
    return found.view(2, config.codebooks, len(given), config.vocab).permute(2, 0, 1, 3)  # type: ignore[no-any-return]


def guided(logits: torch.Tensor) -> torch.Tensor:
    return guide(logits[:, 0], logits[:, 1], Sampling().guidance)


def draw(made: NativeEngine, slots: list[int], steps: int, seed: int = 0) -> torch.Tensor:
    """Steps that nothing is known about, from a column of pads."""
    config = made.config
    first = torch.full((len(slots), config.codebooks), config.vocab)
    keys = torch.tensor(slots)[:, None] * 1000 + torch.arange(steps) + seed
    return made.advance(slots, first, torch.full((len(slots), steps, config.codebooks), -1), keys)


def test_the_kernel_was_built() -> None:
    assert native.available()
    assert native.instruction_sets()[-1] == "plain"


@pytest.mark.parametrize("config", [TINY, NARROW, MIDDLE], ids=["tiny", "narrow", "middle"])
def test_logits_are_near_those_of_transformers(config: DecoderConfig) -> None:
    given, text = columns(config, 150), conditioning(config)
    found, exact = guided(engine(config, text).logits(0, given)), guided(exact_logits(config, given, text))
    divergence = torch.nn.functional.kl_div(
        found.log_softmax(-1), exact.log_softmax(-1), log_target=True, reduction="sum"
    )
    assert divergence / (len(given) * config.codebooks) < 2e-4
    assert (found.argmax(-1) == exact.argmax(-1)).float().mean() > 0.95
