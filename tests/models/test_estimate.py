"""The memory of a training is reckoned about as torch keeps it."""

from dataclasses import replace

import pytest
import torch

from models.batches import IGNORED, Batch
from models.conditioned import Conditioned, losses
from models.estimate import activation_bytes, hours, weight_bytes
from models.recipe import Emotion, Lora, Optimization, Recipe, Validation
from musicmed_live.musicgen.decoder import DecoderConfig, MusicgenDecoder

DEEP = DecoderConfig(layers=6, width=64, heads=2, ffn=256, text_width=8, vocab=32)
FRAMES, SEGMENTS = 117, 3
ALL = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
WHOLE = Recipe(Optimization(steps=1, batch=SEGMENTS, learning_rate=1e-3), Validation(every=1))
TWICE = replace(WHOLE, training=replace(WHOLE.training, checkpoint_layers=True))
LORA = replace(WHOLE, lora=Lora(4, 4, ALL))
DROPPED = replace(WHOLE, lora=Lora(4, 4, ALL, dropout=0.1))


def make_batch() -> Batch:
    columns = torch.randint(0, DEEP.vocab, (SEGMENTS, DEEP.codebooks, FRAMES + DEEP.codebooks - 1))
    rows = torch.zeros(SEGMENTS, 2)
    targets = columns.masked_fill(columns == 0, IGNORED)
    return Batch(("",) * SEGMENTS, columns, targets, torch.randn(SEGMENTS, 2, 8), rows, rows, rows[:, 0])


def kept_bytes(recipe: Recipe, half: bool) -> int:
    """What torch keeps of a batch to go back, weights not counted."""
    torch.manual_seed(0)
    frozen = torch.bfloat16 if half and recipe.lora is not None else torch.float32
    model = Conditioned(MusicgenDecoder(DEEP).to(frozen), recipe, 1.0, "deep")
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = make_batch()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = model(batch)
        losses(logits, batch.targets).mean()
    return sum(kept.values())


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", [WHOLE, LORA, DROPPED], ids=["whole", "lora", "dropped"])
def test_what_a_batch_keeps(recipe: Recipe, half: bool) -> None:
    assert kept_bytes(recipe, half) == pytest.approx(activation_bytes(DEEP, recipe, FRAMES, half), rel=0.25)


def test_with_layers_computed_twice_one_of_them_is_kept_at_a_time() -> None:
    all_layers, none = (activation_bytes(replace(DEEP, layers=count), WHOLE, FRAMES, False) for count in (6, 0))
    reckoned = activation_bytes(DEEP, TWICE, FRAMES, False)
    assert kept_bytes(TWICE, False) + (all_layers - none) / 6 == pytest.approx(reckoned, rel=0.25)


def test_what_weights_take() -> None:
    model = Conditioned(MusicgenDecoder(DEEP), replace(WHOLE, emotion=Emotion(tokens=1, width=2)), 1.0, "deep")
    count = sum(weight.numel() for weight in model.parameters())
    assert weight_bytes(list(model.parameters())) == 16 * count
    model.requires_grad_(False)
    assert weight_bytes(list(model.parameters())) == 4 * count


def test_only_what_is_to_come_is_counted() -> None:
    recipe = replace(WHOLE, training=replace(WHOLE.training, steps=100), validation=Validation(every=50))
    assert hours(recipe, 0, 4, step_seconds=36, batch_seconds=9) == pytest.approx(1 + 3 * 4 * 3 / 3600)
    assert hours(recipe, 90, 4, step_seconds=36, batch_seconds=9) == pytest.approx(0.1 + 4 * 3 / 3600)
