"""The decoder is MusicGen's: transformers' names, transformers' logits, and it trains, with PEFT's adapters as well."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch.nn import functional
from transformers import MusicgenForConditionalGeneration

from musicmed_live.musicgen.decoder import DecoderConfig, MusicgenDecoder, apply_delay, undo_delay
from tests.musicgen.tiny import TEXT_WIDTH, make_model

CONFIG = DecoderConfig(layers=2, width=64, heads=2, ffn=128, text_width=TEXT_WIDTH)
PAD = CONFIG.vocab


@pytest.fixture(scope="module")
def reference() -> MusicgenForConditionalGeneration:
    return make_model(seed=3, width=64, text_vocab=100)


@pytest.fixture
def decoder(reference: MusicgenForConditionalGeneration) -> MusicgenDecoder:
    ours = MusicgenDecoder(CONFIG)
    ours.load_state_dict(state_of(reference))
    return ours


def state_of(reference: MusicgenForConditionalGeneration) -> dict[str, torch.Tensor]:
    kept = ("decoder.", "enc_to_dec_proj.")
    return {name: tensor for name, tensor in reference.state_dict().items() if name.startswith(kept)}


def test_its_names_and_shapes_are_those_of_transformers(
    decoder: MusicgenDecoder, reference: MusicgenForConditionalGeneration
) -> None:
    ours = {name: tensor.shape for name, tensor in decoder.state_dict().items()}
    assert ours == {name: tensor.shape for name, tensor in state_of(reference).items()}


def test_its_logits_are_those_of_transformers_with_padded_and_without_prompts(
    decoder: MusicgenDecoder, reference: MusicgenForConditionalGeneration
) -> None:
    codes = torch.randint(0, PAD + 1, (3, 4, 40), generator=torch.Generator().manual_seed(0))
    hidden = torch.randn(3, 7, TEXT_WIDTH, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [0] * 7])
    with torch.no_grad():
        ours = decoder(codes, hidden, torch.where(mask > 0, 0.0, -torch.inf))
        theirs = reference(
            encoder_outputs=(hidden,), attention_mask=mask, decoder_input_ids=codes.reshape(12, 40)
        ).logits
    torch.testing.assert_close(ours, theirs.view(3, 4, 40, -1), rtol=0, atol=1e-4)


def test_a_prompt_counts_by_its_weight(decoder: MusicgenDecoder) -> None:
    codes, hidden = torch.full((1, 4, 3), PAD), torch.randn(1, 5, TEXT_WIDTH)
    twice = torch.cat([hidden, hidden], dim=1)
    half = torch.full((1, 10), 0.5).log()
    none_of_the_second = torch.tensor([[0.0] * 5 + [-torch.inf] * 5])
    alone = decoder(codes, hidden)
    torch.testing.assert_close(decoder(codes, twice, half), alone)
    torch.testing.assert_close(decoder(codes, twice, none_of_the_second), alone)


@pytest.mark.parametrize("adapted", [False, True], ids=["whole", "with an adapter"])
def test_it_trains(decoder: MusicgenDecoder, adapted: bool) -> None:
    torch.manual_seed(0)
    model: torch.nn.Module = decoder
    if adapted:
        model = get_peft_model(decoder, LoraConfig(r=4, target_modules=["q_proj", "v_proj", "out_proj", "fc1", "fc2"]))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.01)
    columns = apply_delay(torch.randint(0, PAD, (2, 4, 12)), PAD)
    inputs = functional.pad(columns[..., :-1], (1, 0), value=PAD)
    hidden, losses = torch.randn(2, 3, TEXT_WIDTH), []
    for _ in range(12):
        logits = model(inputs, hidden)
        loss = functional.cross_entropy(logits.flatten(0, 2), columns.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_codebook_k_comes_k_columns_late() -> None:
    codes = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert apply_delay(codes, 0).tolist() == [[1, 2, 3, 0, 0], [0, 4, 5, 6, 0], [0, 0, 7, 8, 9]]


@given(codebooks=st.integers(1, 8), frames=st.integers(1, 20), batch=st.integers(0, 3))
@settings(deadline=None)
def test_the_delay_is_undone(codebooks: int, frames: int, batch: int) -> None:
    codes = torch.arange(batch * codebooks * frames).view(batch, codebooks, frames)
    columns = apply_delay(codes, -1)
    assert columns.shape == (batch, codebooks, frames + codebooks - 1)
    assert torch.equal(undo_delay(columns), codes)
