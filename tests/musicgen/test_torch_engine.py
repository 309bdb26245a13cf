"""The torch engine: what transformers would have made, in slots that can be rewound, copied and led elsewhere."""

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, cast

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import MusicgenForConditionalGeneration

from musicmed_live.errors import DeviceFailed, GeneratorFailed
from musicmed_live.musicgen import stack, torch_engine
from musicmed_live.musicgen.adapters import Adapter
from musicmed_live.musicgen.decoder import DecoderConfig, MusicgenDecoder, apply_delay, undo_delay
from musicmed_live.musicgen.engine import Conditioning, Engine, Sampling
from musicmed_live.musicgen.projection import Blend, Loader
from musicmed_live.musicgen.torch_engine import TorchEngine
from tests.musicgen.tiny import TEXT_WIDTH, make_model

CONFIG = DecoderConfig(layers=2, width=64, heads=2, ffn=128, text_width=TEXT_WIDTH)
PAD = CONFIG.vocab
START = torch.full((4,), PAD)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")),
]


@pytest.fixture(scope="module")
def reference() -> MusicgenForConditionalGeneration:
    return make_model(seed=3, width=64, text_vocab=100)


@pytest.fixture(scope="module")
def weights(reference: MusicgenForConditionalGeneration) -> dict[str, torch.Tensor]:
    kept = ("decoder.", "enc_to_dec_proj.")
    return {name: tensor for name, tensor in reference.state_dict().items() if name.startswith(kept)}


class Replay:
    """Stands for a CUDA graph where there is no GPU: the step that it would have recorded."""

    def __init__(self, engine: TorchEngine, slots: range, span: int) -> None:
        self.engine, self.slots, self.span = engine, slots, span

    def replay(self) -> None:
        self.engine._step(self.slots, self.span)


@pytest.fixture(params=[*DEVICES, "cpu in the way of cuda"])
def engine(request: pytest.FixtureRequest, weights: dict[str, torch.Tensor]) -> TorchEngine:
    """Three slots in float32; 0 and 1 follow prompts of different lengths, 2 has none."""
    device: Literal["cpu", "cuda"] = "cuda" if request.param == "cuda" else "cpu"
    made: Any = TorchEngine(CONFIG, weights, slots=3, device=device, dtype=torch.float32)
    if request.param == "cpu in the way of cuda":
        made._span = 128
        recorded = product((range(3), range(2)), range(128, 1537, 128))
        made._graphs = {(slots, span): Replay(made, slots, span) for slots, span in recorded}
    made.condition([0], prompt(0))
    made.condition([1], prompt(1, tokens=9))
    return cast("TorchEngine", made)


def prompt(seed: int, tokens: int = 5, adapters: tuple[float, ...] = ()) -> Conditioning:
    hidden = torch.randn(tokens, TEXT_WIDTH, generator=torch.Generator().manual_seed(seed))
    return Conditioning(hidden, torch.zeros(tokens), adapters)


def tokens(steps: int, seed: int = 0) -> torch.Tensor:
    """Random columns (steps, codebooks)."""
    return torch.randint(0, PAD, (steps, 4), generator=torch.Generator().manual_seed(seed))


def play(
    engine: Engine, slot: int, steps: int, first: torch.Tensor = START, known: torch.Tensor | None = None, key: int = 0
) -> torch.Tensor:
    """Columns (steps, codebooks) of one slot: `known` ones at first, the others drawn with keys from `key` on."""
    asked = torch.full((1, steps, 4), -1)
    if known is not None:
        asked[0, : len(known)] = known
    return engine.advance([slot], first[None], asked, key + torch.arange(steps)[None])[0]


def teacher_forced(
    weights: dict[str, torch.Tensor], codes: torch.Tensor, followed: Conditioning, parts: Sequence[int]
) -> torch.Tensor:
    """Logits (rows, T, codebooks, vocab) of columns (T, codebooks), run in parts of these lengths, in float32."""
    return logits_of(
        Loader(weights, (), Blend(1, 0, torch.float32, "cpu"), torch.float32, "cpu"), codes, followed, parts
    )


@torch.no_grad()
def logits_of(loader: Loader, codes: torch.Tensor, followed: Conditioning, parts: Sequence[int]) -> torch.Tensor:
    every, places = slice(0, 1), len(codes) + 1
    decoder = stack.Stack(CONFIG, loader, places)
    memory = stack.Memory(CONFIG, 1, places, loader.activations, "cpu")
    memory.read(0, decoder.texts(followed.hidden[None], followed.log_weight[None]))
    found = []
    for place in torch.arange(len(codes)).split(list(parts)):  # type: ignore[no-untyped-call]  # torch's
        pasts = memory.pasts(every, place[None], places)
        x = decoder.run(codes[place][None], place[None], pasts, memory.texts(every))
        found.append(decoder.logits(x)[0])
    return torch.cat(found, dim=1)


@pytest.mark.parametrize("parts", [[40], [1] * 40, [7, 1, 1, 20, 11]], ids=["at once", "step by step", "in parts"])
def test_logits_are_those_of_transformers(reference: Any, weights: dict[str, torch.Tensor], parts: list[int]) -> None:
    codes, followed = tokens(40), prompt(0)
    hidden = torch.stack([followed.hidden, torch.zeros_like(followed.hidden)])
    mask = torch.tensor([[1] * 5, [0] * 5])
    with torch.no_grad():
        theirs = reference(
            encoder_outputs=(hidden,), attention_mask=mask, decoder_input_ids=codes.T.repeat(2, 1)
        ).logits.view(2, 4, 40, -1)
    ours = teacher_forced(weights, codes, followed, parts)
    torch.testing.assert_close(ours, theirs.transpose(1, 2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_greedy_tokens_are_those_that_transformers_generates(
    reference: Any,
    weights: dict[str, torch.Tensor],
    device: Literal["cpu", "cuda"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode, made = reference.audio_encoder.decode, []

    def overheard(codes: torch.Tensor, **options: object) -> object:
        made.append(codes[0, 0])
        return decode(codes, **options)

    monkeypatch.setattr(reference.audio_encoder, "decode", overheard)
    words = torch.tensor([[5, 6, 7, 8, 9]])
    reference.generate(
        input_ids=words, attention_mask=torch.ones_like(words), do_sample=False, guidance_scale=3.0, max_length=204
    )
    with torch.no_grad():
        hidden = reference.text_encoder(words).last_hidden_state[0]
    engine = TorchEngine(CONFIG, weights, sampling=Sampling(top_k=1), device=device, dtype=torch.float32)
    engine.condition([0], Conditioning(hidden, torch.zeros(5)))
    frames = made[0].shape[1]
    assert frames == 200
    known = apply_delay(torch.full((4, frames), -1), PAD).T
    assert torch.equal(undo_delay(play(engine, 0, len(known), known=known).T), made[0])


def test_known_columns_first_give_what_steps_would_have_given(engine: TorchEngine) -> None:
    by_steps = play(engine, 0, 300)
    engine.rewind(0, 0)
    assert torch.equal(play(engine, 0, 300, known=by_steps[:280]), by_steps)
    assert engine.length(0) == 300


def test_known_tokens_in_mid_stream_are_taken_and_followed(engine: TorchEngine) -> None:
    asked = torch.full((1, 20, 4), -1)
    asked[0, 10, 2] = 77
    free = play(engine, 0, 20)
    engine.rewind(0, 0)
    led = engine.advance([0], START[None], asked, torch.arange(20)[None])[0]
    assert torch.equal(led[:10], free[:10])
    assert led[10].tolist() == [*free[10, :2].tolist(), 77, int(free[10, 3])]
    assert not torch.equal(led[11:], free[11:])


def test_one_call_is_as_good_as_many(engine: TorchEngine) -> None:
    whole = play(engine, 0, 30, key=100)
    engine.rewind(0, 0)
    begun = play(engine, 0, 11, key=100)
    assert torch.equal(torch.cat([begun, play(engine, 0, 19, first=begun[-1], key=111)]), whole)


def test_what_was_rewound_was_never_there(engine: TorchEngine) -> None:
    whole = play(engine, 0, 30)
    engine.rewind(0, 10)
    play(engine, 0, 25, first=tokens(1)[0], key=500)
    engine.rewind(0, 10)
    assert engine.length(0) == 10
    assert torch.equal(play(engine, 0, 20, first=whole[9], key=10), whole[10:])


def test_slots_at_different_lengths_run_together_as_they_would_alone(engine: TorchEngine) -> None:
    past = {slot: play(engine, slot, 5 + 9 * slot, key=slot) for slot in (0, 1, 2)}
    alone = {slot: play(engine, slot, 12, first=past[slot][-1], key=1000 * slot) for slot in (0, 1, 2)}
    for slot in (0, 1, 2):
        engine.rewind(slot, len(past[slot]))
    first = torch.stack([past[2][-1], past[0][-1]])
    keys = torch.stack([2000 + torch.arange(12), torch.arange(12)])
    together = engine.advance([2, 0], first, torch.full((2, 12, 4), -1), keys)
    assert torch.equal(together[0], alone[2])
    assert torch.equal(together[1], alone[0])
    assert [engine.length(slot) for slot in (0, 1, 2)] == [17, 14, 35]
    assert torch.equal(play(engine, 1, 12, first=past[1][-1], key=1000), alone[1])


def test_a_copy_goes_on_as_its_source_and_on_its_own(engine: TorchEngine) -> None:
    begun = play(engine, 1, 15)
    engine.copy(1, 2)
    assert engine.length(2) == 15
    original = play(engine, 1, 10, first=begun[-1], key=40)
    assert torch.equal(play(engine, 2, 10, first=begun[-1], key=40), original)
    engine.rewind(2, 3)
    assert engine.length(1) == 25


def test_a_new_prompt_is_heard_from_the_next_step_on(engine: TorchEngine) -> None:
    begun = play(engine, 0, 10)
    same = play(engine, 0, 10, first=begun[-1], key=10)
    engine.rewind(0, 10)
    engine.condition([0], prompt(7, tokens=64))
    other = play(engine, 0, 10, first=begun[-1], key=10)
    assert not torch.equal(other, same)
    engine.rewind(0, 10)
    engine.condition([0], prompt(0))
    assert torch.equal(play(engine, 0, 10, first=begun[-1], key=10), same)


def test_the_same_keys_give_the_same_tokens_and_others_others(engine: TorchEngine) -> None:
    played = []
    for key in (0, 0, 10**15):
        engine.rewind(0, 0)
        played.append(play(engine, 0, 10, key=key))
    assert torch.equal(played[0], played[1])
    assert not torch.equal(played[0], played[2])


def test_the_window_can_be_filled_and_no_more(engine: TorchEngine) -> None:
    columns = tokens(engine.window)
    play(engine, 0, engine.window - 2, known=columns[:-2])
    play(engine, 0, 2, first=columns[-3])
    assert engine.length(0) == engine.window
    with pytest.raises(ValueError, match="slot 0 holds 1503 steps"):
        play(engine, 0, 1)
    play(engine, 1, 3)
    engine.advance([1, 2], START.repeat(2, 1), torch.full((2, 2, 4), -1), torch.zeros(2, 2, dtype=torch.int64))
    assert [engine.length(slot) for slot in (0, 1, 2)] == [1503, 5, 2]


def test_what_cannot_be_is_refused(engine: TorchEngine) -> None:
    play(engine, 0, 4)
    for steps in (-1, 5):
        with pytest.raises(ValueError, match=f"cannot be rewound to {steps}"):
            engine.rewind(0, steps)
    with pytest.raises(ValueError, match="a prompt of 65 x 32 does not fit"):
        engine.condition([0], prompt(0, tokens=65))
    with pytest.raises(ValueError, match="1 adapter weights"):
        engine.condition([0], prompt(0, adapters=(1.0,)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8])
def test_lower_precision_says_nearly_the_same(weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
    codes = tokens(60)
    exact = teacher_forced(weights, codes, prompt(0), [60])[0]
    activations = Blend(1, 0, torch.bfloat16, "cpu")
    rounded = logits_of(Loader(weights, (), activations, dtype, "cpu"), codes, prompt(0), [60])[0].float()
    assert float((rounded - exact).norm() / exact.norm()) < 0.05
    found, expected = rounded.log_softmax(-1), exact.log_softmax(-1)
    assert float((expected.exp() * (expected - found)).sum(-1).mean()) < 2e-3


def test_int8_plays(weights: dict[str, torch.Tensor]) -> None:
    engine = TorchEngine(CONFIG, weights, dtype=torch.int8)
    engine.condition([0], prompt(0))
    played = play(engine, 0, 20)
    assert ((played >= 0) & (played < PAD)).all()


def random_adapter(name: str, seed: int, targets: list[str]) -> tuple[Adapter, Any]:
    """An adapter, and a decoder of random weights that PEFT has put it into."""
    torch.manual_seed(17)
    wrapped: Any = get_peft_model(MusicgenDecoder(CONFIG), LoraConfig(r=4, lora_alpha=6, target_modules=targets))
    torch.manual_seed(seed)
    layers = {}
    for path, module in wrapped.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            down, up = lora_pair(module)
            torch.nn.init.normal_(down, std=0.2)
            torch.nn.init.normal_(up, std=0.2)
            layers[path] = (down.detach(), module.scaling["default"] * up.detach())
    return Adapter(name, layers), wrapped


def lora_pair(module: Any) -> tuple[torch.Tensor, torch.Tensor]:
    if module.lora_A:
        return module.lora_A["default"].weight, module.lora_B["default"].weight
    return module.lora_embedding_A["default"], module.lora_embedding_B["default"]


EVERYWHERE = [
    *("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "enc_to_dec_proj"),
    *(f"lm_heads.{k}" for k in range(4)),
    *(f"embed_tokens.{k}" for k in range(4)),
]


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], EVERYWHERE], ids=["some", "everywhere"])
def test_an_adapter_does_what_peft_does(targets: list[str]) -> None:
    adapter, wrapped = random_adapter("calm", 1, targets)
    torch.manual_seed(17)
    plain = MusicgenDecoder(CONFIG)
    codes, followed = tokens(30), prompt(0)
    with torch.no_grad():
        theirs = wrapped(codes.T[None], followed.hidden[None])[0].transpose(0, 1)
    blend = Blend(1, 1, torch.float32, "cpu")
    blend.follow(0, [1.0])
    loader = Loader(plain.state_dict(), [adapter], blend, torch.float32, "cpu")
    for parts in ([30], [1] * 30):
        torch.testing.assert_close(logits_of(loader, codes, followed, parts)[0], theirs, rtol=0, atol=1e-4)


def test_two_adapters_blend_as_the_sum_of_what_they_add() -> None:
    (one, _), (other, _) = random_adapter("calm", 1, ["q_proj", "fc1"]), random_adapter("glad", 2, ["fc1", "fc2"])
    torch.manual_seed(17)
    plain = MusicgenDecoder(CONFIG).state_dict()
    blend = Blend(1, 2, torch.float32, "cpu")
    blend.follow(0, [0.3, 1.2])
    ours = logits_of(Loader(plain, [one, other], blend, torch.float32, "cpu"), tokens(20), prompt(0), [20])
    merged = dict(plain)
    for weight, adapter in ((0.3, one), (1.2, other)):
        for name, (down, up) in adapter.layers.items():
            merged[f"{name}.weight"] = merged[f"{name}.weight"] + weight * up @ down
    torch.testing.assert_close(ours, teacher_forced(merged, tokens(20), prompt(0), [20]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_each_slot_has_adapters_of_its_own(device: Literal["cpu", "cuda"]) -> None:
    adapter, _ = random_adapter("calm", 1, EVERYWHERE)
    torch.manual_seed(17)
    plain = MusicgenDecoder(CONFIG).state_dict()
    engine = TorchEngine(CONFIG, plain, [adapter], slots=2, device=device, dtype=torch.float32)
    bare = TorchEngine(CONFIG, plain, slots=2, device=device, dtype=torch.float32)
    engine.condition([0], prompt(0, adapters=(0.0,)))
    engine.condition([1], prompt(0, adapters=(1.0,)))
    bare.condition([0], prompt(0))
    keys = torch.arange(12).repeat(2, 1)
    together = engine.advance([0, 1], START.repeat(2, 1), torch.full((2, 12, 4), -1), keys)
    assert torch.equal(together[0], play(bare, 0, 12))
    assert not torch.equal(together[0], together[1])
    engine.rewind(1, 0)
    assert torch.equal(play(engine, 1, 12), together[1])
    engine.rewind(0, 0)
    engine.copy(1, 0)
    engine.rewind(0, 0)
    assert torch.equal(play(engine, 0, 12), together[1])


@pytest.mark.parametrize(
    ("failure", "raised", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2.00 GiB"), GeneratorFailed, "too little free memory"),
        (
            torch.AcceleratorError("CUDA error: launch failure\nmore"),
            DeviceFailed,
            "failed .CUDA error: launch failure.;",
        ),
        (torch.AcceleratorError("CUDA error: out of memory\nmore"), GeneratorFailed, "too little free memory"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `f`"), GeneratorFailed, "too little free memory"),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling `f`"), DeviceFailed, "EXECUTION_FAILED"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), DeviceFailed, "INTERNAL_ERROR"),
        (RuntimeError("a fault of this program"), RuntimeError, "a fault of this program"),
    ],
)
def test_a_failing_device_is_a_generator_that_failed(
    weights: dict[str, torch.Tensor],
    failure: Exception,
    raised: type[Exception],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = TorchEngine(CONFIG, weights, dtype=torch.float32)
    engine.condition([0], prompt(0))
    before = play(engine, 0, 5)

    def fail(*_: object, **__: object) -> torch.Tensor:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(torch_engine, "sample", fail)
        with pytest.raises(raised, match=said):
            play(engine, 0, 5, first=before[-1])
        patched.setattr(torch, "zeros", fail)
        with pytest.raises(raised, match=said):
            TorchEngine(CONFIG, weights, dtype=torch.float32)
    assert engine.length(0) == 5
