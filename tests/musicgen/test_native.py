"""The CPU engine in 8 bits: near the exact decoder, and the same numbers however it is run."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MusicgenDecoderConfig
from transformers.models.musicgen.modeling_musicgen import MusicgenForCausalLM

from musicmed_live.errors import GeneratorFailed
from musicmed_live.musicgen import binding
from musicmed_live.musicgen.adapters import Adapter
from musicmed_live.musicgen.decoder import PROMPT_TOKENS, WINDOW_STEPS, DecoderConfig
from musicmed_live.musicgen.engine import Conditioning, Sampling
from musicmed_live.musicgen.native import NativeEngine
from musicmed_live.musicgen.sampling import guide, sample, streams_of

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
    model = MusicgenForCausalLM(shape)
    model.eval()
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
        made.condition([slot], text or conditioning(config))
    return made


def exact_logits(config: DecoderConfig, codes: torch.Tensor, text: Conditioning) -> torch.Tensor:
    """transformers' (T, 2, codebooks, vocab), the unconditional row over zeros."""
    weights = weights_of(config)
    projected = text.hidden @ weights["enc_to_dec_proj.weight"].T + weights["enc_to_dec_proj.bias"]
    both = torch.stack([projected, torch.zeros_like(projected)])
    with torch.no_grad():
        found = reference(config)(codes.T.repeat(2, 1), encoder_hidden_states=both).logits
    return found.view(2, config.codebooks, len(codes), config.vocab).permute(2, 0, 1, 3)  # type: ignore[no-any-return]


def guided(logits: torch.Tensor) -> torch.Tensor:
    return guide(logits[:, 0], logits[:, 1], Sampling().guidance)


def divergence(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Kullback-Leibler, nats per token."""
    p, q = exact.log_softmax(-1), found.log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def draw(made: NativeEngine, slots: list[int], steps: int, seed: int = 0) -> torch.Tensor:
    """Steps that nothing is known about, from a column of pads."""
    config = made.config
    first = torch.full((len(slots), config.codebooks), config.vocab)
    keys = torch.tensor(slots)[:, None] * 1000 + torch.arange(steps) + seed
    return made.advance(slots, first, torch.full((len(slots), steps, config.codebooks), -1), keys)


def test_the_kernel_was_built() -> None:
    assert binding.available()
    assert binding.instruction_sets()[-1] == "plain"


@pytest.mark.parametrize("config", [TINY, NARROW, MIDDLE], ids=["tiny", "narrow", "middle"])
def test_logits_are_near_those_of_transformers(config: DecoderConfig) -> None:
    codes, text = columns(config, 150), conditioning(config)
    found, exact = guided(engine(config, text).logits(0, codes)), guided(exact_logits(config, codes, text))
    assert divergence(found, exact) < 5e-5
    assert (found.argmax(-1) == exact.argmax(-1)).float().mean() > 0.95


def test_a_slot_that_follows_no_text_has_two_equal_rows() -> None:
    made = NativeEngine(TINY, weights_of(TINY))
    conditional, unconditional = made.logits(0, columns(TINY, 20)).unbind(1)
    assert conditional.equal(unconditional)
    assert engine().logits(0, columns(TINY, 20))[:, 1].equal(unconditional)


def test_a_token_without_weight_is_not_heard() -> None:
    text, codes = conditioning(TINY, tokens=5), columns(TINY, 20)
    silenced = Conditioning(text.hidden, torch.tensor([0.0, 0.0, 0.0, -torch.inf, -1e4]))
    shorter = Conditioning(text.hidden[:3], torch.zeros(3))
    found, alone, all_three = (engine(text=each).logits(0, codes) for each in (silenced, shorter, text))
    assert (found - alone).abs().max() < 1e-3 < (found - all_three).abs().max()


@pytest.mark.parametrize("config", [TINY, NARROW], ids=["tiny", "narrow"])
def test_every_instruction_set_and_number_of_threads_gives_the_same_numbers(config: DecoderConfig) -> None:
    codes = columns(config, 70)
    found = [
        engine(config, instructions=instructions, threads=threads).logits(0, codes)
        for instructions, threads in product(binding.instruction_sets(), (1, 2, 3))
    ]
    assert all(logits.equal(found[0]) for logits in found)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_columns_give_the_same_in_whatever_parts_they_are_run(parts: list[int]) -> None:
    codes = columns(TINY, sum(parts))
    made = engine()
    found = torch.cat([made.logits(0, part) for part in torch.split(codes, parts)])
    assert found.equal(made.logits(1, codes))
    assert made.length(0) == sum(parts)


def test_known_columns_are_taken_and_the_rest_is_drawn() -> None:
    made, free = engine(), torch.full((1, 30, 4), -1)
    first, keys = torch.full((1, 4), 2048), torch.arange(30)[None]
    drawn = made.advance([0], first, free, keys)
    forced = drawn.clone()
    forced[0, 12:, 1:] = -1
    assert made.advance([1], first, forced, keys).equal(drawn)
    assert made.length(0) == made.length(1) == 30


def test_it_draws_the_likeliest_tokens_where_asked_to() -> None:
    made = engine(sampling=Sampling(top_k=1))
    drawn = draw(made, [0], 20)
    inputs = torch.cat([torch.full((1, 4), 2048), drawn[0, :-1]])
    assert guided(made.logits(1, inputs)).argmax(-1).equal(drawn[0])


def test_slots_of_different_lengths_run_together_as_they_do_alone() -> None:
    together, alone = engine(slots=3), engine(slots=3)
    for made in (together, alone):
        made.condition([1], conditioning(TINY, tokens=5, seed=8))
        made.logits(1, columns(TINY, 75))
        made.logits(2, columns(TINY, 3, seed=5))
    found = draw(together, [2, 0, 1], 10)
    assert found.equal(torch.cat([draw(alone, [slot], 10) for slot in (2, 0, 1)]))
    assert [together.length(slot) for slot in range(3)] == [10, 85, 13]


def test_after_a_rewind_it_goes_on_as_if_the_rest_had_not_been() -> None:
    made = engine()
    begun, other = columns(TINY, 40), columns(TINY, 90, seed=6)
    made.logits(0, torch.cat([begun, other]))
    made.rewind(0, 40)
    made.logits(1, begun)
    assert made.logits(0, other[:20]).equal(made.logits(1, other[:20]))


def test_a_copied_slot_goes_on_as_its_source() -> None:
    made = engine()
    made.condition([0], conditioning(TINY, tokens=4, seed=9))
    made.logits(0, columns(TINY, 77))
    made.logits(1, columns(TINY, 99, seed=6))
    made.copy(0, 1)
    assert made.length(1) == 77
    after = columns(TINY, 10, seed=7)
    assert made.logits(0, after).equal(made.logits(1, after))


def test_a_new_text_is_followed_from_the_next_step_on() -> None:
    texts, codes = [conditioning(TINY, seed=seed) for seed in (3, 30)], columns(TINY, 60)
    made = engine(text=texts[0])
    before = made.logits(0, codes[:30])
    made.condition([0], texts[1])
    after = made.logits(0, codes[30:])
    assert before.equal(engine(text=texts[0]).logits(0, codes)[:30])
    assert not after.equal(engine(text=texts[0]).logits(0, codes)[30:])
    assert made.logits(1, codes)[:, 1].equal(torch.cat([before, after])[:, 1])


def test_slots_that_are_told_together_follow_the_same_until_one_is_told_something_else() -> None:
    first, second, codes = conditioning(TINY, seed=3), conditioning(TINY, tokens=7, seed=30), columns(TINY, 20)
    made = engine(text=second, slots=3)
    made.condition([0, 2], first)
    made.condition([2], second)
    made.condition([1], first)
    found = [made.logits(slot, codes) for slot in range(3)]
    expected = [engine(text=text).logits(0, codes) for text in (first, second)]
    assert [slot.equal(other) for slot in found for other in expected] == [True, False, True, False, False, True]


@pytest.mark.parametrize("tokens", [1, 16, 17, PROMPT_TOKENS])
def test_a_text_of_any_length_says_what_transformers_makes_of_it(tokens: int) -> None:
    text, other = (conditioning(TINY, tokens, seed) for seed in (3, 30))
    codes = columns(TINY, 30)
    found = engine(text=text).logits(0, codes)[:, 0]
    off, far = (float((found - exact_logits(TINY, codes, each)[:, 0]).norm()) for each in (text, other))
    assert 2 * off < far


def adapter(name: str, seed: int, rank: int = 4) -> Adapter:
    """Touches every kind of module."""
    random = torch.Generator().manual_seed(seed)
    names = [
        *(f"{LAYER}.0.self_attn.{part}_proj" for part in "qkv"),
        *(f"{LAYER}.1.self_attn.out_proj", f"{LAYER}.0.fc1", f"{LAYER}.1.fc2"),
        *(f"{LAYER}.1.encoder_attn.{part}_proj" for part in ("q", "k", "v", "out")),
        *("decoder.lm_heads.2", "enc_to_dec_proj", "decoder.model.decoder.embed_tokens.1"),
    ]
    layers = {}
    for module in names:
        shape = weights_of(TINY)[f"{module}.weight"].shape
        inputs, outputs = shape[::-1] if "embed" not in module else shape
        down, up = torch.randn(rank, inputs, generator=random), torch.randn(outputs, rank, generator=random)
        layers[module] = (down * inputs**-0.5, up * 0.1 * rank**-0.5)
    return Adapter(name, layers)


def merged(adapters: dict[Adapter, float]) -> dict[str, torch.Tensor]:
    weights = dict(weights_of(TINY))
    for change, weight in adapters.items():
        for module, (down, up) in change.layers.items():
            added = up @ down if "embed" not in module else (up @ down).T
            weights[f"{module}.weight"] = weights[f"{module}.weight"] + weight * added
    return weights


def test_adapters_blend_as_if_they_were_merged_into_the_weights() -> None:
    pair, codes = (adapter("calm", 1), adapter("tense", 2, rank=7)), columns(TINY, 40)
    made = NativeEngine(TINY, weights_of(TINY), pair)
    made.condition([0], replace(conditioning(TINY), adapters=(0.7, 0.4)))
    made.condition([1], replace(conditioning(TINY), adapters=(0.0, 0.0)))
    found, plain = made.logits(0, codes), made.logits(1, codes)
    expected = NativeEngine(TINY, merged(dict(zip(pair, (0.7, 0.4), strict=True))))
    expected.condition([0], conditioning(TINY))
    exact = expected.logits(0, codes)
    assert plain.equal(engine().logits(0, codes))
    assert divergence(found, exact) < 0.01 * divergence(plain, exact)
    assert (found - exact).std() < 0.03 * exact.std()


def test_without_weights_for_them_no_adapter_is_heard() -> None:
    made, codes = NativeEngine(TINY, weights_of(TINY), [adapter("calm", 1)]), columns(TINY, 20)
    made.condition([0], conditioning(TINY))
    assert made.logits(0, codes).equal(engine().logits(0, codes))


def test_the_window_does_not_overflow() -> None:
    made = engine(NARROW)
    made.logits(0, columns(NARROW, 10))
    with pytest.raises(ValueError, match="slot 0 holds 10 steps"):
        draw(made, [1, 0], WINDOW_STEPS - 9)
    assert made.length(0) == 10
    draw(made, [0], WINDOW_STEPS - 10)
    assert made.length(0) == WINDOW_STEPS


def test_what_does_not_fit_is_refused() -> None:
    made = engine()
    with pytest.raises(ValueError, match="cannot be rewound to 1"):
        made.rewind(0, 1)
    with pytest.raises(ValueError, match="prompt of 65"):
        made.condition([0], conditioning(TINY, tokens=PROMPT_TOKENS + 1))
    with pytest.raises(ValueError, match="1 adapter weights"):
        made.condition([0], replace(conditioning(TINY), adapters=(1.0,)))
    with pytest.raises(ValueError, match="slots"):
        draw(made, [0, 0], 1)
    with pytest.raises(ValueError, match="tokens go from 0 to 2048"):
        made.logits(0, torch.full((1, 4), 2049))


def test_what_the_kernel_does_not_do_is_said() -> None:
    with pytest.raises(GeneratorFailed, match="multiples of 64"):
        NativeEngine(replace(TINY, ffn=100), {})
    with pytest.raises(GeneratorFailed, match="not 128"):
        NativeEngine(replace(TINY, heads=1), {})
    with pytest.raises(GeneratorFailed, match="17"):
        NativeEngine(TINY, {}, slots=17)
    with pytest.raises(GeneratorFailed, match="no sse2"):
        NativeEngine(TINY, {}, instructions="sse2")


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(guidance=1.5, top_k=5, temperature=0.7), Sampling(top_k=9999)]
)
def test_it_draws_the_tokens_that_the_other_engines_draw(sampling: Sampling) -> None:
    made = engine(sampling=sampling)
    drawn = draw(made, [0], 60, seed=2**40)
    inputs = torch.cat([torch.full((1, 4), 2048), drawn[0, :-1]])
    logits = made.logits(1, inputs)
    guided = guide(logits[:, 0], logits[:, 1], sampling.guidance)
    wanted = sample(guided, streams_of(torch.arange(60) + 2**40, 4), sampling)
    assert (drawn[0] == wanted).float().mean() > 0.99, "but for ties to the last place"
    assert len(set(drawn.flatten().tolist())) > 30


@pytest.mark.parametrize("options", [{"top_k": 0}, {"temperature": 0.0}])
def test_a_sampling_that_draws_nothing_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        Sampling(**options)  # type: ignore[arg-type]


def test_more_threads_than_it_can_have_are_not_started() -> None:
    made, alone = engine(threads=100), engine(threads=1)
    assert draw(made, [0], 3).equal(draw(alone, [0], 3))
