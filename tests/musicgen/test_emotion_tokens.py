"""Emotion tokens move with the emotion, are kept beside the adapter, and are heard with its weight."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from musicmed_live.core.emotion import Emotion
from musicmed_live.errors import BadWeights, InvalidInput
from musicmed_live.musicgen.conditioning import Conditioner, beside
from musicmed_live.musicgen.decoder import PROMPT_TOKENS
from musicmed_live.musicgen.emotion_tokens import (
    MOST_TOKENS,
    EmotionShape,
    EmotionTokens,
    load_emotion_tokens,
    save_emotion_tokens,
)
from musicmed_live.musicgen.engine import Conditioning
from musicmed_live.musicgen.generator import MusicgenGenerator
from musicmed_live.musicgen.prompts import WeightedPrompt
from tests.musicgen import tiny

SHAPE = EmotionShape(tiny.TEXT_WIDTH, tokens=3, width=16, scale=0.5)
WEIGHT = "emotion_tokens.safetensors"
CALM = Emotion(0.6, -0.6)

emotions = st.builds(Emotion, st.floats(-1, 1), st.floats(-1, 1))


def make_tokens(seed: int = 0, shape: EmotionShape = SHAPE) -> EmotionTokens:
    torch.manual_seed(seed)
    return EmotionTokens(shape)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_emotion_tokens(make_tokens(), tmp_path)
    return tmp_path


def text(tokens: int) -> Conditioning:
    return Conditioning(torch.ones(tokens, tiny.TEXT_WIDTH), torch.zeros(tokens), (1.0,))


def test_opposite_emotions_have_other_tokens() -> None:
    tokens = make_tokens()
    high, low = tokens.at(Emotion(1, 1)), tokens.at(Emotion(-1, -1))
    assert high.shape == (3, tiny.TEXT_WIDTH)
    assert (high - low).square().mean() > 0.1 * high.square().mean()


@given(emotions)
def test_every_token_is_as_large_as_those_of_texts(emotion: Emotion) -> None:
    rms = make_tokens().at(emotion).square().mean(-1).sqrt()
    torch.testing.assert_close(rms, torch.full((3,), SHAPE.scale), rtol=1e-3, atol=0)


@given(emotions, emotions)
def test_a_small_move_changes_little(emotion: Emotion, towards: Emotion) -> None:
    tokens, moved = make_tokens(), emotion.blend(towards, 1e-3)
    change = (tokens.at(moved) - tokens.at(emotion)).abs().max()
    assert change <= 20 * emotion.distance(moved) + 1e-5


@pytest.mark.parametrize("tokens", [0, MOST_TOKENS + 1])
def test_so_many_that_the_text_has_no_room_are_refused(tokens: int) -> None:
    with pytest.raises(InvalidInput, match=f"{tokens} emotion tokens"):
        EmotionShape(tiny.TEXT_WIDTH, tokens)


def test_what_was_saved_gives_the_same_tokens(saved: Path) -> None:
    found = load_emotion_tokens(saved, tiny.TEXT_WIDTH)
    assert found is not None
    assert found.shape == SHAPE
    assert torch.equal(found.at(CALM), make_tokens().at(CALM))
    assert not any(weight.requires_grad for weight in found.parameters())


def test_an_adapter_may_have_none(tmp_path: Path) -> None:
    assert load_emotion_tokens(tmp_path, tiny.TEXT_WIDTH) is None


def test_what_was_loaded_stays_when_its_file_changes(saved: Path) -> None:
    found = load_emotion_tokens(saved, tiny.TEXT_WIDTH)
    assert found is not None
    with (saved / WEIGHT).open("r+b") as file:
        file.write(b"\0" * (saved / WEIGHT).stat().st_size)
    assert torch.equal(found.at(CALM), make_tokens().at(CALM))


def refusal(folder: Path, text_width: int = tiny.TEXT_WIDTH) -> str:
    with pytest.raises(BadWeights) as caught:
        load_emotion_tokens(folder, text_width)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_tokens_for_another_width_of_text_are_refused_with_both_widths(saved: Path) -> None:
    message = refusal(saved, 768)
    assert str(tiny.TEXT_WIDTH) in message
    assert "768" in message


@pytest.mark.parametrize("missing", ["emotion_tokens.json", WEIGHT])
def test_one_file_without_the_other_is_refused(saved: Path, missing: str) -> None:
    (saved / missing).unlink()
    assert f"{missing} is missing; copy the whole adapter" in refusal(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 2),
        ("tokens", 0),
        ("tokens", 10**9),
        ("width", None),
        ("text_width", "32"),
        ("scale", 0),
        ("scale", True),
        ("scale", float("nan")),
        ("scale", 10**400),
    ],
)
def test_settings_out_of_range_are_refused(saved: Path, name: str, value: object) -> None:
    path = saved / "emotion_tokens.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert name in refusal(saved)


@pytest.mark.parametrize("content", ["", "[]", "{", "{}"])
def test_settings_that_are_none_are_refused(saved: Path, content: str) -> None:
    (saved / "emotion_tokens.json").write_text(content)
    assert "emotion_tokens.json" in refusal(saved)


Change = Callable[[torch.Tensor], torch.Tensor]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weight: weight[:-1].clone(), "not of one adapter"),
        (lambda weight: torch.full_like(weight, float("nan")), "no finite number"),
        (lambda weight: torch.full_like(weight, 1e300, dtype=torch.float64), "no finite number"),
        (lambda weight: weight.to(torch.int8), "no finite number"),
    ],
    ids=["shape", "nan", "too large", "int8"],
)
def test_damaged_weights_are_refused(saved: Path, change: Change, words: str) -> None:
    state = load_file(saved / WEIGHT)
    save_file(state | {"net.0.weight": change(state["net.0.weight"])}, saved / WEIGHT)
    assert words in refusal(saved)


@pytest.mark.parametrize("kept", [0, 4, 100])
def test_a_file_that_was_cut_short_is_refused(saved: Path, kept: int) -> None:
    (saved / WEIGHT).write_bytes((saved / WEIGHT).read_bytes()[:kept])
    assert "cut short" in refusal(saved)


def test_they_stand_behind_the_text_with_the_weight_of_their_adapter() -> None:
    tokens = make_tokens()
    told = beside(text(5), CALM, [(tokens, 0.25)])
    assert torch.equal(told.hidden[:5], text(5).hidden)
    assert torch.equal(told.hidden[5:], tokens.at(CALM))
    assert told.log_weight.tolist() == pytest.approx([0.0] * 5 + [math.log(0.25)] * 3)
    assert told.adapters == (1.0,)


def test_what_is_not_heard_and_what_has_none_is_left_out() -> None:
    told = beside(text(5), CALM, [(make_tokens(), 0.0), (None, 1.0), (make_tokens(1), 1.0)])
    assert torch.equal(told.hidden[5:], make_tokens(1).at(CALM))


def test_the_text_is_cut_rather_than_they() -> None:
    tokens = make_tokens()
    told = beside(text(PROMPT_TOKENS), CALM, [(tokens, 1.0)])
    assert told.hidden.shape == (PROMPT_TOKENS, tiny.TEXT_WIDTH)
    assert len(told.log_weight) == PROMPT_TOKENS
    assert torch.equal(told.hidden[-3:], tokens.at(CALM))


def test_a_blend_of_prompts_takes_them_along() -> None:
    tokenizer = tiny.make_tokenizer()
    encoder = cast(T5EncoderModel, tiny.make_model(0, 64, len(tokenizer)).text_encoder)
    conditioner = Conditioner(lambda: (cast(PreTrainedTokenizerBase, tokenizer), encoder))
    blended = conditioner.blend([WeightedPrompt("calm music", 0.5), WeightedPrompt("sad slow piano", 0.5)], (1.0,))
    told = beside(blended, CALM, [(make_tokens(), 1.0)])
    assert len(told.hidden) == len(blended.hidden) + 3
    assert torch.equal(told.log_weight[:-3], blended.log_weight)


def test_adapters_that_together_leave_no_room_for_text_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    module = "base_model.model.decoder.model.decoder.layers.0.fc1"
    halves = {f"{module}.lora_A.weight": torch.zeros(1, 64), f"{module}.lora_B.weight": torch.zeros(128, 1)}
    save_file(halves, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 1, "lora_alpha": 1}')
    save_emotion_tokens(make_tokens(shape=EmotionShape(tiny.TEXT_WIDTH, MOST_TOKENS, width=2)), tmp_path)
    with pytest.raises(InvalidInput, match="48 emotion tokens, and at most 32 leave room for text"):
        MusicgenGenerator(str(tiny_model), [str(tmp_path)] * 3, device="cpu")
