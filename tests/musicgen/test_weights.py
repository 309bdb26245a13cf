"""Checkpoints: what can be read, that no more is held than is used, and one sentence for each that cannot be played."""

import json
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import MusicgenForConditionalGeneration

from musicmed_live.errors import BadWeights
from musicmed_live.musicgen.decoder import DecoderConfig
from musicmed_live.musicgen.weights import check, open_checkpoint
from tests.musicgen import tiny

SHAPE = DecoderConfig(layers=2, width=64, heads=2, ffn=128, text_width=32)
Q_PROJ = "decoder.model.decoder.layers.1.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def layouts(tiny_model: Path, tiny_audiocraft: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same checkpoint in one file, in several, with the older names of normalised weights, and by audiocraft."""
    shards = tiny.write_hf(tmp_path_factory.mktemp("models") / "shards", shards=True)
    older = copy_of(tiny_model, tmp_path_factory.mktemp("models") / "older")
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    edit_tensors(older, lambda tensors: {renamed(name, names): tensor for name, tensor in tensors.items()})
    return [tiny_model, shards, older, tiny_audiocraft]


@pytest.fixture
def copied(tiny_model: Path, tmp_path: Path) -> Path:
    """A checkpoint in the Hugging Face layout, to be spoiled."""
    return copy_of(tiny_model, tmp_path / "model")


@pytest.fixture
def copied_audiocraft(tiny_audiocraft: Path, tmp_path: Path) -> Path:
    """A checkpoint in audiocraft's layout, to be spoiled."""
    return copy_of(tiny_audiocraft, tmp_path / "model")


def copy_of(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def renamed(name: str, pairs: dict[str, str]) -> str:
    for old, new in pairs.items():
        name = name.replace(old, new)
    return name


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    changed = change(load_file(folder / "model.safetensors"))
    save_file({name: tensor.clone() for name, tensor in changed.items()}, folder / "model.safetensors")


def edit_config(folder: Path, *keys: str, value: Any) -> None:
    """Set one value of a `config.json`."""
    path = folder / "config.json"
    content = json.loads(path.read_text())
    put(content, keys, value)
    path.write_text(json.dumps(content))


def edit_cfg(path: Path, *keys: str, value: Any) -> None:
    """Set one value of the configuration in a file of audiocraft's."""
    package = torch.load(path, weights_only=True)
    cfg = yaml.safe_load(package["xp.cfg"])
    put(cfg, keys, value)
    torch.save(package | {"xp.cfg": yaml.safe_dump(cfg)}, path)


def put(content: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        content = content[key]
    content[keys[-1]] = value


def refusal(source: str | Path) -> str:
    """The one sentence that a checkpoint is refused with."""
    with pytest.raises(BadWeights) as refused:
        open_checkpoint(source, offline=True)
    message = str(refused.value)
    assert refused.value.field == "model"
    assert "\n" not in message
    assert len(message) < 500
    return message


@torch.no_grad()
def test_every_layout_gives_the_same_parts(tiny_model: Path, layouts: list[Path]) -> None:
    whole: Any = MusicgenForConditionalGeneration.from_pretrained(tiny_model)
    state = whole.state_dict()
    decoder = {name for name in state if name.startswith(("decoder.", "enc_to_dec_proj."))}
    codes = torch.randint(0, 2048, (1, 1, 4, 20))
    for folder in layouts:
        checkpoint = open_checkpoint(folder)
        tensors = checkpoint.decoder_tensors()
        codec: Any = checkpoint.codec()
        tokenizer, text_encoder = checkpoint.text_encoder()
        prompt = tokenizer("calm piano", return_tensors="pt")

        assert checkpoint.config == SHAPE
        assert set(tensors) == decoder
        assert all(torch.equal(tensors[name], state[name]) for name in decoder)
        assert torch.equal(codec.decode(codes, [None])[0], whole.audio_encoder.decode(codes, [None])[0])
        hidden = whole.text_encoder(**prompt).last_hidden_state
        assert torch.allclose(text_encoder(**prompt).last_hidden_state, hidden, atol=1e-5)


def test_a_tensor_is_a_view_of_its_file_and_lets_go_of_it(copied: Path) -> None:
    def mapped() -> bool:
        return str(copied / "model.safetensors") in Path("/proc/self/maps").read_text()

    tensors = open_checkpoint(copied).decoder_tensors()
    assert not mapped()
    tensor = tensors[Q_PROJ]
    assert mapped()
    del tensor
    assert not mapped()


def test_the_text_encoder_and_the_codec_come_in_full_precision(copied: Path) -> None:
    edit_tensors(copied, lambda tensors: {name: tensor.bfloat16() for name, tensor in tensors.items()})
    checkpoint = open_checkpoint(copied)

    assert {weight.dtype for weight in checkpoint.text_encoder()[1].parameters()} == {torch.float32}
    assert {weight.dtype for weight in checkpoint.codec().parameters()} == {torch.float32}
    assert checkpoint.decoder_tensors()[Q_PROJ].dtype == torch.bfloat16


def test_a_check_tells_what_a_checkpoint_is(tiny_audiocraft: Path) -> None:
    found = check(tiny_audiocraft)

    assert (found.layout, found.config, found.folder) == ("audiocraft", SHAPE, tiny_audiocraft)
    assert found.parameters == sum(
        tensor.numel() for tensor in open_checkpoint(found.folder).decoder_tensors().values()
    )


def test_a_directory_that_is_not_there_or_not_a_checkpoint(tmp_path: Path) -> None:
    assert "neither a directory nor the name of a model" in refusal(tmp_path / "absent")
    assert "neither a directory nor the name of a model" in refusal("humming")
    assert "holds neither config.json nor state_dict.bin" in refusal(tmp_path)
    (tmp_path / "file").write_text("")
    assert "is a file; give the directory" in refusal(tmp_path / "file")


@pytest.mark.parametrize(
    "name", ["musicgen-melody", "musicgen-stereo-small", "musicgen-melody-large", "musicgen-style"]
)
def test_other_variants_are_refused_before_they_are_downloaded(name: str) -> None:
    assert "only the mono ones that follow text can be played" in refusal(f"facebook/{name}")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()

    with pytest.raises(BadWeights, match=name):
        check(copied)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = tiny.write_hf(tmp_path / "model", shards=True)
    (folder / "model-00003-of-00010.safetensors").unlink()

    assert "model-00003-of-00010.safetensors is missing" in refusal(folder)


def test_an_index_names_no_files_elsewhere(tmp_path: Path) -> None:
    folder = tiny.write_hf(tmp_path / "model", shards=True)
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("model-00003-of", "../model-00003-of"))

    assert "which is not a file beside it" in refusal(folder)


@pytest.mark.parametrize("kept", [0, 5, 100, 100_000, -1])
def test_a_truncated_safetensors_file(copied: Path, kept: int) -> None:
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])

    assert "model.safetensors is cut short" in refusal(copied)


def test_a_header_that_promises_too_much(copied: Path) -> None:
    (copied / "model.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{}")

    assert "model.safetensors is cut short" in refusal(copied)


def test_a_missing_tensor_is_named(copied: Path) -> None:
    edit_tensors(copied, lambda tensors: {name: tensors[name] for name in tensors if name != Q_PROJ})

    assert f"lacks the tensor {Q_PROJ}" in refusal(copied)


def test_a_tensor_of_another_shape_or_kind_is_named(copied: Path) -> None:
    edit_tensors(copied, lambda tensors: tensors | {Q_PROJ: tensors[Q_PROJ][:32]})
    assert f"{Q_PROJ} has the shape (32, 64), not (64, 64)" in refusal(copied)
    edit_tensors(copied, lambda tensors: tensors | {Q_PROJ: torch.zeros(64, 64, dtype=torch.int8)})
    assert f"{Q_PROJ} is not stored in floating-point numbers" in refusal(copied)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"musicgen"', "[" * 100_000, "\x80\xff"])
def test_a_configuration_that_is_not_json(copied: Path, text: str) -> None:
    (copied / "config.json").write_text(text, encoding="latin-1")

    assert "config.json" in refusal(copied)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (["model_type"], "musicgen_melody", "follows a melody"),
        (["model_type"], "llama", 'the model is "llama"'),
        (["decoder"], None, "decoder is null, not an object"),
        (["decoder", "audio_channels"], 2, "stereo"),
        (["decoder", "num_attention_heads"], 7, "7 heads cannot share a width of 64"),
        (["decoder", "num_attention_heads"], 64, "64 heads cannot share a width of 64"),
        (["decoder", "num_hidden_layers"], -1, "num_hidden_layers is -1"),
        (["decoder", "num_hidden_layers"], 10**9, "num_hidden_layers is 1000000000"),
        (["decoder", "hidden_size"], 64.0, "hidden_size"),
        (["decoder", "hidden_size"], True, "hidden_size"),
        (["decoder", "ffn_dim"], "many", "ffn_dim"),
        (["decoder", "activation_function"], "relu", "MusicGen has \"gelu\""),
        (["decoder", "vocab_size"], 1024, "they are not of one model"),
        (["decoder", "num_codebooks"], 8, "they are not of one model"),
        (["audio_encoder", "model_type"], "dac", "the codec is \"dac\""),
        (["audio_encoder", "sampling_rate"], 24_000, "24000 Hz"),
        (["audio_encoder", "audio_channels"], 2, "2 channels"),
        (["audio_encoder", "upsampling_ratios"], [8, 5, 4, 2], "320 samples to a frame"),
        (["audio_encoder", "upsampling_ratios"], [], "1 samples to a frame"),
        (["audio_encoder", "upsampling_ratios"], "8542", "upsampling_ratios"),
        (["audio_encoder", "codebook_size"], 1024, "they are not of one model"),
        (["audio_encoder", "target_bandwidths"], [], "they are not of one model"),
        (["audio_encoder", "num_filters"], 8, "has the shape"),
        (["audio_encoder", "num_lstm_layers"], 10**9, "num_lstm_layers is 1000000000"),
        (["audio_encoder", "normalize"], True, "keeps the level"),
        (["audio_encoder", "use_causal_conv"], True, "use_causal_conv is true; MusicGen's is false"),
        (["audio_encoder", "norm_type"], "time_group_norm", 'norm_type is "time_group_norm"'),
        (["audio_encoder", "residual_kernel_size"], 4, "residual_kernel_size is 4; MusicGen's is 1, 3"),
        (["audio_encoder", "target_bandwidths"], [float("inf")], "they are not of one model"),
        (["audio_encoder", "codebook_size"], 1, "they are not of one model"),
        (["audio_encoder", "pad_mode"], 7, "pad_mode"),
        (["text_encoder", "dense_act_fn"], "none", "T5EncoderModel"),
        (["audio_encoder", "norm_type"], "none", "norm_type"),
        (["audio_encoder", "kernel_size"], "seven", "kernel_size"),
        (["text_encoder", "model_type"], "bert", "the text encoder is \"bert\""),
        (["text_encoder", "d_model"], 64, "has the shape"),
        (["text_encoder", "num_layers"], 3, "lacks the tensor"),
        (["text_encoder", "num_heads"], 0, "num_heads is 0"),
        (["text_encoder", "feed_forward_proj"], 3, "feed_forward_proj"),
    ],
)  # fmt: skip
def test_a_configuration_that_makes_no_sense_or_is_of_another_model(
    copied: Path, keys: list[str], value: object, words: str
) -> None:
    edit_config(copied, *keys, value=value)

    assert words in refusal(copied)


def test_a_codec_that_transformers_cannot_make(copied: Path) -> None:
    edit_config(copied, "audio_encoder", "trim_right_ratio", value=0.5)

    assert "no EncodecModel is as config.json says" in refusal(copied)


def test_a_tokenizer_that_is_none(copied: Path) -> None:
    (copied / "tokenizer.json").write_text('{"model": 3}')

    with pytest.raises(BadWeights, match="no readable tokenizer"):
        check(copied)


def test_a_tokenizer_of_a_thousand_million_words(copied: Path) -> None:
    path = copied / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"extra_ids": 10**9}))

    with pytest.raises(BadWeights, match="extra_ids is 1000000000"):
        check(copied)


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
@pytest.mark.parametrize("kept", [0, 100, 100_000, -1])
def test_a_truncated_file_of_audiocraft(copied_audiocraft: Path, name: str, kept: int) -> None:
    path = copied_audiocraft / name
    path.write_bytes(path.read_bytes()[:kept])

    assert f"{name} is cut short" in refusal(copied_audiocraft)


def test_damage_inside_a_file_of_audiocraft(copied_audiocraft: Path) -> None:
    path = copied_audiocraft / "state_dict.bin"
    content = bytearray(path.read_bytes())
    content[60:2000] = bytes(1940)
    path.write_bytes(content)

    assert "state_dict.bin" in refusal(copied_audiocraft)


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
def test_a_missing_file_of_audiocraft_is_named(copied_audiocraft: Path, name: str) -> None:
    (copied_audiocraft / name).unlink()

    assert f"{name} is missing" in refusal(copied_audiocraft)


class Exploit:
    """Something that runs a program when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        """Touch a file."""
        return (subprocess.check_call, (["touch", str(self.mark)],))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_not_run(copied_audiocraft: Path, tmp_path: Path, zipped: bool) -> None:
    path, mark = copied_audiocraft / "state_dict.bin", tmp_path / "ran"
    if zipped:
        torch.save({"best_state": {}, "xp.cfg": Exploit(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Exploit(mark)))

    message = refusal(copied_audiocraft)

    assert "would run code" in message if zipped else "no file of PyTorch" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "has no best_state"),
        ({"best_state": {"a": 1}}, "has no best_state"),
        ({"best_state": {1: torch.zeros(1)}}, "has no best_state"),
        ({"best_state": {"a": torch.zeros(3, 3).to_sparse()}}, "has no best_state"),
        ({"best_state": {}}, "has no configuration in xp.cfg"),
        ({"best_state": {}, "xp.cfg": "{"}, "its xp.cfg is not YAML"),
        ({"best_state": {}, "xp.cfg": "3"}, "has no configuration in xp.cfg"),
        ({"best_state": {}, "xp.cfg": "a: 1"}, "the model is null"),
        ({"pretrained": "facebook/encodec_32khz"}, "only names \"facebook/encodec_32khz\""),
    ],
)  # fmt: skip
def test_a_file_of_something_else(copied_audiocraft: Path, content: object, words: str) -> None:
    torch.save(content, copied_audiocraft / "state_dict.bin")

    assert words in refusal(copied_audiocraft)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (["lm_model"], "transformer_lm_magnet", "transformer_lm_magnet"),
        (["conditioners", "self_wav"], {"model": "chroma_stem"}, "self_wav"),
        (["conditioners", 7], {"model": "t5"}, '"7"'),
        (["channels"], 2, "stereo"),
        (["codebooks_pattern", "modeling"], "parallel", "the codebooks' pattern"),
        (["codebooks_pattern", "delay", "delays"], [0, 0, 1, 1], "the codebooks' pattern"),
        (["transformer_lm", "num_heads"], 3, "3 heads cannot share"),
        (["transformer_lm", "num_layers"], 3, "lacks the tensor"),
        (["transformer_lm", "num_layers"], 1, "which MusicGen does not have"),
        (["transformer_lm", "dim"], 32, "has the shape"),
        (["transformer_lm", "n_q"], 0, "n_q is 0"),
        (["transformer_lm", "positional_embedding"], "rope", "rope"),
        (["conditioners", "description", "t5", "name"], "../../secret", "the text encoder is"),
        (["conditioners", "description", "t5", "name"], "t5-large", "without its text encoder: copy t5-large into"),
    ],
)
def test_a_decoder_of_audiocraft_that_is_of_another_model(
    copied_audiocraft: Path, keys: list[str], value: object, words: str
) -> None:
    edit_cfg(copied_audiocraft / "state_dict.bin", *keys, value=value)

    assert words in refusal(copied_audiocraft)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (["compression_model"], "dac", 'the codec is "dac"'),
        (["sample_rate"], 24_000, "24000 Hz"),
        (["channels"], 2, "2 channels"),
        (["rvq", "n_q"], 8, "they are not of one model"),
        (["rvq", "bins"], 1024, "they are not of one model"),
        (["seanet", "ratios"], [8, 5, 4, 2], "320 samples to a frame"),
        (["seanet", "n_filters"], 8, "has the shape"),
        (["seanet", "lstm"], None, "num_lstm_layers"),
        (["seanet"], None, "seanet in its xp.cfg is null"),
    ],
)
def test_a_codec_of_audiocraft_that_does_not_suit(
    copied_audiocraft: Path, keys: list[str], value: object, words: str
) -> None:
    edit_cfg(copied_audiocraft / "compression_state_dict.bin", *keys, value=value)

    assert words in refusal(copied_audiocraft)


def test_a_joint_projection_of_one_number(copied_audiocraft: Path) -> None:
    path = copied_audiocraft / "state_dict.bin"
    package = torch.load(path)
    package["best_state"]["transformer.layers.0.self_attn.in_proj_weight"] = torch.tensor(1.0)
    torch.save(package, path)

    assert "lacks the tensor" in refusal(copied_audiocraft)


def test_a_configuration_that_is_no_file(copied_audiocraft: Path) -> None:
    config = copied_audiocraft / "t5-base" / "config.json"
    config.unlink()
    config.mkdir()

    assert f"{config} cannot be read" in refusal(copied_audiocraft)


def test_a_text_encoder_beside_the_decoder_of_another_width(copied_audiocraft: Path) -> None:
    edit_config(copied_audiocraft / "t5-base", "d_model", value=64)

    assert "the text encoder is 64 wide" in refusal(copied_audiocraft)


def test_the_tiny_checkpoint_holds_what_a_published_one_holds(tiny_model: Path) -> None:
    with safe_open(tiny_model / "model.safetensors", framework="pt") as file:
        names = set(file.keys())

    assert "text_encoder.encoder.embed_tokens.weight" not in names  # stored once, as text_encoder.shared.weight
    assert {name.partition(".")[0] for name in names} == {"decoder", "enc_to_dec_proj", "text_encoder", "audio_encoder"}


@pytest.mark.parametrize("name", ["decoder.lm_heads.2.weight", "audio_encoder.decoder.layers.0.conv.bias"])
def test_a_number_that_is_none_is_found_where_the_weights_are_read(copied: Path, name: str) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        tensors[name].view(-1)[5] = torch.nan
        return tensors

    edit_tensors(copied, spoil)
    checkpoint = open_checkpoint(copied)
    with pytest.raises(BadWeights, match=r"bias|lm_heads\.2\.weight") as refused:
        _ = [checkpoint.codec(), *checkpoint.decoder_tensors().values()]
    assert "no finite number" in str(refused.value)


@pytest.mark.parametrize(
    ("source", "why"), [("~nobody-of-that-name/model", "home directory"), ("x" * 5000, "too long")]
)
def test_a_path_that_cannot_be_is_refused(source: str, why: str) -> None:
    said = refusal(source)
    assert source[:20] in said
    assert why in said
