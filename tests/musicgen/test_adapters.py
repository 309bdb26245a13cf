"""Adapters that PEFT trained are read as PEFT means them, and what cannot be honoured is refused in one sentence."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import AdaLoraConfig, IA3Config, LoraConfig, PeftConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.errors import BadWeights, InvalidInput
from musicmed_live.musicgen.adapters import Adapter, adapter_weights, load_adapter, parse_adapter_option
from musicmed_live.musicgen.decoder import DecoderConfig
from tests.musicgen import tiny

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # by PEFT itself

CONFIG = DecoderConfig(layers=2, width=64, heads=2, ffn=128, text_width=tiny.TEXT_WIDTH)
ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]
EVERYTHING = [
    *(*ATTENTION, "fc1", "fc2", "enc_to_dec_proj"),
    *(f"{table}.{book}" for table in ("lm_heads", "embed_tokens") for book in range(4)),
]
WEIGHT = "adapter_model.safetensors"
SOME_DOWN = "base_model.model.decoder.model.decoder.layers.0.self_attn.q_proj.lora_A.weight"

Tensors = dict[str, torch.Tensor]
emotions = st.builds(Emotion, st.floats(-1, 1), st.floats(-1, 1))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def make_model() -> nn.Module:
    model: nn.Module = tiny.make_model(0, CONFIG.width, 64)
    return model


def train(model: nn.Module, settings: PeftConfig, folder: Path) -> nn.Module:
    """Let PEFT adapt the model and save the adapter; returns the model."""
    adapted = get_peft_model(model, settings)
    adapted.save_pretrained(str(folder))
    return model


def lora(**settings: Any) -> LoraConfig:
    return LoraConfig(init_lora_weights=False, **settings)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound adapter. Not to be changed."""
    folder = tmp_path_factory.mktemp("adapters") / "calm"
    train(make_model(), lora(r=4, target_modules=["q_proj"]), folder)
    return folder


@pytest.fixture
def copied(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "copied"))


def change_settings(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_tensors(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    save_file(change(load_file(folder / WEIGHT)), folder / WEIGHT)


def deltas(model: nn.Module) -> Tensors:
    """What PEFT adds to each matrix that it adapted."""
    adapted = {name: module for name, module in model.named_modules() if hasattr(module, "get_delta_weight")}
    return {name: module.get_delta_weight("default") for name, module in adapted.items()}


def changes(adapter: Adapter) -> Tensors:
    """What the adapter adds to each matrix, as it is stored."""
    return {
        name: (up @ down).T if ".embed_tokens." in name else up @ down for name, (down, up) in adapter.layers.items()
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 4, "lora_alpha": 4, "target_modules": EVERYTHING},
        {"r": 3, "lora_alpha": 16, "target_modules": ATTENTION, "use_rslora": True},
        {"r": 8, "lora_alpha": 0.5, "target_modules": r".*decoder.*encoder_attn\.(k|v)_proj", "lora_dropout": 0.1},
        {
            "r": 4,
            "target_modules": EVERYTHING,
            "rank_pattern": {r"layers\.1\.self_attn\..*": 2, "fc1": 6, "lm_heads.0": 1},
            "alpha_pattern": {"fc1": 3, r"^decoder\.model\.decoder\.embed_tokens\.2": 5, "lm_heads.[01]": 0.1},
        },
        {"r": 2, "target_modules": ["fc2"], "layers_to_transform": [1], "layers_pattern": "layers"},
    ],
)
def test_an_adapter_changes_the_model_as_in_peft(tmp_path: Path, settings: dict[str, Any]) -> None:
    expected = deltas(train(make_model(), lora(**settings), tmp_path))
    found = changes(load_adapter(tmp_path, CONFIG))
    assert expected
    assert found.keys() == expected.keys()
    for name, delta in expected.items():
        torch.testing.assert_close(found[name], delta)


def test_an_adapter_of_the_decoder_alone_fits_the_whole_model(tmp_path: Path) -> None:
    decoder = make_model().get_submodule("decoder")
    settings = lora(r=4, target_modules=["q_proj", "lm_heads.1", "embed_tokens.0"], alpha_pattern={"^lm_heads.1": 2})
    expected = deltas(train(decoder, settings, tmp_path))
    found = changes(load_adapter(tmp_path, CONFIG))
    assert found.keys() == {f"decoder.{name}" for name in expected}
    for name, delta in expected.items():
        torch.testing.assert_close(found[f"decoder.{name}"], delta)


def test_names_may_lack_the_prefix_that_peft_puts_before_them(copied: Path) -> None:
    expected = changes(load_adapter(copied, CONFIG))
    change_tensors(copied, lambda old: {name.removeprefix("base_model.model."): old[name] for name in old})
    found = changes(load_adapter(copied, CONFIG))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_adapter_in_half_precision_is_played_in_single(copied: Path) -> None:
    change_tensors(copied, lambda old: {name: tensor.bfloat16() for name, tensor in old.items()})
    adapter = load_adapter(copied, CONFIG)
    assert {tensor.dtype for pair in adapter.layers.values() for tensor in pair} == {torch.float32}


def test_what_was_loaded_stays_when_its_file_changes(copied: Path) -> None:
    adapter = load_adapter(copied, CONFIG)
    before = changes(adapter)
    with (copied / WEIGHT).open("r+b") as file:
        file.write(b"\0" * (copied / WEIGHT).stat().st_size)
    assert all(torch.equal(delta, before[name]) for name, delta in changes(adapter).items())


def test_an_adapter_has_the_name_of_its_directory(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(good)
    assert load_adapter(Path(), CONFIG).name == "calm"


def refusal(folder: Path, config: DecoderConfig = CONFIG) -> str:
    with pytest.raises(BadWeights) as caught:
        load_adapter(folder, config)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_path_that_is_no_directory_is_refused(good: Path) -> None:
    assert "is not a directory" in refusal(good / "nowhere")
    assert "is not a directory" in refusal(good / WEIGHT)


def test_a_directory_without_an_adapter_is_refused(tmp_path: Path) -> None:
    assert "has no adapter_config.json" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", "nonsense", "{}"])
def test_settings_that_are_none_are_refused(copied: Path, content: str) -> None:
    (copied / "adapter_config.json").write_text(content)
    assert "adapter_config.json" in refusal(copied)


@pytest.mark.parametrize(
    "settings",
    [
        IA3Config(target_modules=["k_proj"], feedforward_modules=[]),
        AdaLoraConfig(target_modules=["k_proj"], total_step=9),
    ],
    ids=lambda settings: settings.peft_type,
)
def test_another_kind_of_adapter_is_refused(tmp_path: Path, settings: PeftConfig) -> None:
    train(make_model(), settings, tmp_path)
    assert re.search(r"peft_type is \"(IA3|ADALORA)\"; only LORA", refusal(tmp_path))


def test_a_prompt_tuning_adapter_is_refused(copied: Path) -> None:
    change_settings(copied, peft_type="PROMPT_TUNING")
    assert "PROMPT_TUNING" in refusal(copied)


@pytest.mark.parametrize(
    "settings",
    [
        lora(target_modules=["q_proj"], use_dora=True),
        lora(target_modules=["q_proj"], bias="lora_only"),
        lora(target_modules=["q_proj"], modules_to_save=["enc_to_dec_proj"]),
        LoraConfig(target_modules=["q_proj"], init_lora_weights="olora"),
    ],
    ids=["use_dora", "bias", "modules_to_save", "init_lora_weights"],
)
def test_what_goes_beyond_lora_is_refused(tmp_path: Path, settings: LoraConfig, request: pytest.FixtureRequest) -> None:
    train(make_model(), settings, tmp_path)
    assert f"{request.node.callspec.id} is " in refusal(tmp_path)


@pytest.mark.parametrize(
    "name", ["lora_bias", "fan_in_fan_out", "layer_replication", "trainable_token_indices", "kasa_config"]
)
def test_settings_that_would_change_what_is_played_are_refused(copied: Path, name: str) -> None:
    change_settings(copied, **{name: [1]})
    assert f"{name} is [1]" in refusal(copied)


def test_whole_weights_beside_the_adapter_are_refused_even_if_the_settings_do_not_tell(copied: Path) -> None:
    change_tensors(copied, lambda old: old | {"base_model.model.enc_to_dec_proj.weight": torch.zeros(64, 32)})
    assert "enc_to_dec_proj.weight" in refusal(copied)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("r", 0),
        ("r", 2.5),
        ("r", "4"),
        ("r", None),
        ("lora_alpha", float("nan")),
        ("lora_alpha", float("inf")),
        ("lora_alpha", 10**400),
        ("lora_alpha", True),
        ("rank_pattern", [4]),
        ("rank_pattern", {"q_proj": 0}),
        ("rank_pattern", {"q_proj(": 4}),
        ("alpha_pattern", {"(?i)q_proj": 4}),
        ("alpha_pattern", {"q_proj": "four"}),
    ],
)
def test_settings_out_of_range_are_refused(copied: Path, name: str, value: object) -> None:
    change_settings(copied, **{name: value})
    assert "adapter_config.json" in refusal(copied)


def test_an_adapter_of_the_text_encoder_is_refused(tmp_path: Path) -> None:
    train(make_model(), lora(r=2, target_modules=["q", "q_proj"]), tmp_path)
    assert re.search(r"adapts text_encoder\..*, which is no part of MusicGen's decoder", refusal(tmp_path))


@pytest.mark.parametrize(
    "module", ["audio_enc_to_dec_proj", "audio_encoder.decoder.layers.1.lstm", "text_encoder.shared"]
)
def test_an_adapter_of_another_part_is_refused(copied: Path, module: str) -> None:
    place = SOME_DOWN.removesuffix(".lora_A.weight")
    change_tensors(copied, lambda old: {name.replace(place, module): old[name] for name in old})
    assert f"adapts {module}, which is no part of MusicGen's decoder" in refusal(copied)


def test_an_adapter_of_more_layers_is_refused(good: Path) -> None:
    fewer = DecoderConfig(layers=1, width=64, heads=2, ffn=128, text_width=tiny.TEXT_WIDTH)
    message = refusal(good, fewer)
    assert "decoder.model.decoder.layers.1." in message
    assert "a decoder of 1 layers" in message


def test_an_adapter_of_a_wider_model_is_refused_with_both_widths(good: Path) -> None:
    wider = DecoderConfig(layers=2, width=128, heads=2, ffn=256, text_width=tiny.TEXT_WIDTH)
    message = refusal(good, wider)
    assert "(4, 64)" in message
    assert "128" in message


def test_another_rank_than_the_settings_say_is_refused(copied: Path) -> None:
    change_settings(copied, r=8)
    assert "has the ranks 4 and 4, but adapter_config.json says 8" in refusal(copied)


def test_halves_of_different_ranks_are_refused(copied: Path) -> None:
    change_tensors(copied, lambda old: old | {SOME_DOWN: torch.zeros(3, 64)})
    assert "has the ranks 3 and 4" in refusal(copied)


@pytest.mark.parametrize("shape", [(64,), (0,), (4, 64, 1), ()])
def test_a_half_that_is_no_matrix_is_refused(copied: Path, shape: tuple[int, ...]) -> None:
    change_tensors(copied, lambda old: old | {SOME_DOWN: torch.zeros(shape)})
    assert "q_proj" in refusal(copied)


def test_a_pair_with_one_half_is_refused(copied: Path) -> None:
    change_tensors(copied, lambda old: {name: old[name] for name in old if name != SOME_DOWN})
    assert "only one half" in refusal(copied)


def test_an_adapter_without_a_tensor_is_refused(copied: Path) -> None:
    change_tensors(copied, lambda old: {})
    assert "is empty" in refusal(copied)


@pytest.mark.parametrize(
    "half",
    [
        torch.full((4, 64), float("nan")),
        torch.full((4, 64), float("inf")),
        torch.full((4, 64), 1e300, dtype=torch.float64),
        torch.ones(4, 64, dtype=torch.int8),
    ],
    ids=["nan", "inf", "too large", "int8"],
)
def test_what_is_no_finite_number_is_refused(copied: Path, half: torch.Tensor) -> None:
    change_tensors(copied, lambda old: old | {SOME_DOWN: half})
    assert "no finite number" in refusal(copied)


@pytest.mark.parametrize("kept", [0, 4, 100, 5000])
def test_a_file_that_was_cut_short_is_refused(copied: Path, kept: int) -> None:
    (copied / WEIGHT).write_bytes((copied / WEIGHT).read_bytes()[:kept])
    assert "cut short" in refusal(copied)


def test_a_pickled_adapter_is_refused(copied: Path) -> None:
    torch.save(load_file(copied / WEIGHT), copied / "adapter_model.bin")
    (copied / WEIGHT).unlink()
    assert "save it with safe_serialization=True" in refusal(copied)


@pytest.mark.parametrize(
    ("text", "place", "folder"),
    [
        ("adapters/calm", None, "adapters/calm"),
        ("calm=adapters/c", WORDS["calm"][0], "adapters/c"),
        ("Sad=x=y", WORDS["sad"][0], "x=y"),
        ("-0.6,0.6=tense", Emotion(-0.6, 0.6), "tense"),
        ("./rank=8", None, "./rank=8"),
        ("/data/rank=8/calm", None, "/data/rank=8/calm"),
    ],
)
def test_an_option_gives_a_place_and_a_directory(text: str, place: Emotion | None, folder: str) -> None:
    assert parse_adapter_option(text) == (place, Path(folder))


def test_the_home_directory_is_found_behind_a_mood() -> None:
    assert parse_adapter_option("calm=~/calm") == (WORDS["calm"][0], Path.home() / "calm")


@pytest.mark.parametrize("text", ["", "calm=", "hungry=x", "=x", "2,0=x", "1,2,3=x"])
def test_an_option_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--adapter"):
        parse_adapter_option(text)


def test_an_adapter_without_a_place_is_always_heard() -> None:
    assert adapter_weights(Emotion(-1, 1), (None, Emotion(1, -1), None))[::2] == (1.0, 1.0)


def test_an_adapter_is_heard_at_its_place_and_not_far_from_it() -> None:
    calm, tense = Emotion(0.5, -0.5), Emotion(-0.5, 0.5)
    assert adapter_weights(calm, (calm,)) == (1.0,)
    assert adapter_weights(calm, (calm, tense)) == pytest.approx((1.0, 0.0), abs=0.05)
    assert adapter_weights(Emotion(0, 0), (calm, tense)) == pytest.approx((0.37, 0.37), abs=0.01)
    assert adapter_weights(calm, (calm, calm)) == pytest.approx((0.5, 0.5))


@given(st.lists(st.one_of(st.none(), emotions), max_size=6), emotions, emotions, st.floats(0, 0.05))
def test_adapters_share_a_whole_and_do_not_jump(
    places: list[Emotion | None], emotion: Emotion, towards: Emotion, share: float
) -> None:
    moved = emotion.blend(towards, share)
    before, after = adapter_weights(emotion, places), adapter_weights(moved, places)
    placed = [weight for weight, place in zip(before, places, strict=True) if place is not None]
    assert all(0 <= weight <= 1 for weight in before)
    assert sum(placed) <= 1 + 1e-9
    change = sum(abs(one - other) for one, other in zip(before, after, strict=True))
    assert change <= 12 * emotion.distance(moved) + 1e-9


def test_a_path_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadWeights, match="too long"):
        load_adapter(Path("x" * 5000), CONFIG)
