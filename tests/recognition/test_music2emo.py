"""Music2Emo: MERT's layers run as HuBERT's, the head by its authors' names, and nothing of a checkpoint is run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import HubertConfig, HubertModel

from musicmed_live.core.judgement import Mono
from musicmed_live.errors import BadWeights, CannotJudge
from musicmed_live.recognition.features import RATE
from musicmed_live.recognition.music2emo import TAGS, Head, Music2Emo
from musicmed_live.recognition.neural import Tagger, at_rate

WIDTH = 16
CONFIG = {
    **{"hidden_size": WIDTH, "num_hidden_layers": 9, "num_attention_heads": 2, "intermediate_size": 24},
    **{"conv_dim": [8] * 7, "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_kernel": [10, 3, 3, 3, 3, 2, 2]},
    **{"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "feat_proj_layer_norm": True},
}
# What MERT's own configuration has beside HuBERT's.
MERT_ONLY = {
    **{
        "model_type": "mert_model",
        "architectures": ["MERTModel"],
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
    },
    **{"feature_extractor_cqt": False, "feature_extractor_cqt_bins": 336, "deepnorm": False, "attention_relax": -1.0},
    "sample_rate": 24_000,
}
HEAD_SHAPES = {
    "chord_root_embedding.weight": (14, 4),
    "chord_attr_embedding.weight": (14, 4),
    "chord_transformer.layers.1.self_attn.in_proj_weight": (24, 8),
    "chord_transformer.layers.1.linear1.weight": (64, 8),
    "input_proj.0.weight": (512, 2 * 768 + 8 + 1),
    "classification_branch.2.weight": (56, 256),
    "regression_branch.2.bias": (2,),
}


@pytest.fixture(scope="module")
def mert() -> HubertModel:
    """A tiny HuBERT with all its layers. Not to be changed."""
    torch.manual_seed(0)
    model = HubertModel(HubertConfig.from_dict(CONFIG))
    model.eval()
    return model


@pytest.fixture(scope="module")
def head() -> Head:
    """A head that says 7 and 4, calm and sad, whatever it hears. Not to be changed."""
    torch.manual_seed(1)
    head = Head(2 * WIDTH)
    with torch.no_grad():
        tags, ratings = last(head.classification_branch), last(head.regression_branch)
        for layer in (tags, ratings):
            layer.weight.zero_()
        ratings.bias.copy_(torch.tensor([7.0, 4.0]))
        tags.bias.fill_(-3)
        tags.bias[[TAGS.index("calm"), TAGS.index("sad")]] = 2
    return head


def last(branch: nn.Sequential) -> nn.Linear:
    layer = branch[-1]
    assert isinstance(layer, nn.Linear)
    return layer


@pytest.fixture
def folder(tmp_path: Path, mert: HubertModel, head: Head) -> Path:
    """The weights as their authors publish them: old names, pickles."""
    (tmp_path / "mert").mkdir()
    (tmp_path / "mert/config.json").write_text(json.dumps(CONFIG | MERT_ONLY))
    (tmp_path / "mert/preprocessor_config.json").write_text('{"do_normalize": true, "sampling_rate": 24000}')
    old = {name.replace("parametrizations.weight.original0", "weight_g"): x for name, x in mert.state_dict().items()}
    old = {name.replace("parametrizations.weight.original1", "weight_v"): x for name, x in old.items()}
    torch.save(old, tmp_path / "mert/pytorch_model.bin")
    write_head(tmp_path, head)
    return tmp_path


def write_head(folder: Path, head: Head) -> None:
    state = {f"model.{name}": tensor for name, tensor in head.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state | {"loss.pos_weight": torch.ones(56)}}, folder / "J_all.ckpt")


def music(seconds: float = 4.0) -> Mono:
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_ratings_become_a_judgement_and_probable_tags_are_heard(folder: Path) -> None:
    recognizer = Music2Emo(folder)
    assert isinstance(recognizer, Tagger)

    found = recognizer.tag(music())

    assert (found.judgement.emotion.valence, found.judgement.emotion.arousal) == (0.5, -0.25)
    assert found.tags == {"calm", "sad"}
    assert found.probabilities["happy"] == pytest.approx(1 / (1 + np.exp(3)))
    assert recognizer.judge(music()) == found.judgement


@pytest.mark.parametrize("normalized", [True, False])
def test_the_head_is_given_the_means_of_merts_sixth_and_seventh_layer(
    folder: Path, mert: HubertModel, normalized: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mert/preprocessor_config.json").write_text(json.dumps({"do_normalize": normalized}))
    given: list[torch.Tensor] = []
    run = Head.forward

    def watched(head: Head, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given.append(features)
        return run(head, features)

    monkeypatch.setattr(Head, "forward", watched)
    Music2Emo(folder).judge(music())

    sound = at_rate(music(), 24_000)
    if normalized:
        sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    with torch.no_grad():
        states = mert(torch.from_numpy(sound)[None], output_hidden_states=True).hidden_states
    expected = torch.cat([states[6].mean(dim=1), states[7].mean(dim=1)], dim=1)
    assert torch.allclose(given[0], expected, atol=1e-4)


def test_long_sound_is_heard_in_stretches_of_30_s(folder: Path) -> None:
    recognizer = Music2Emo(folder)
    once = music(30.0)

    one, two = (recognizer._mert.features(at_rate(sound, 24_000)) for sound in (once, np.concatenate([once, once])))

    assert torch.allclose(one, two, atol=1e-2)


def test_the_heads_tensors_have_the_published_names_and_shapes() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in Head(2 * 768).state_dict().items()}
    assert shapes.items() >= HEAD_SHAPES.items()
    assert len(TAGS) == len(set(TAGS)) == 56


def test_safetensors_are_read_where_there_are_some(folder: Path, mert: HubertModel, head: Head) -> None:
    (folder / "J_all.ckpt").unlink()
    (folder / "mert/pytorch_model.bin").unlink()
    save_file(
        {f"model.{name}": tensor.contiguous() for name, tensor in head.state_dict().items()}, folder / "h.safetensors"
    )
    save_file(mert.state_dict(), folder / "mert/model.safetensors")

    assert Music2Emo(folder).tag(music()).tags == {"calm", "sad"}


class Trap:
    """Pickled, it would write a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["J_all.ckpt", "mert/pytorch_model.bin"])
def test_a_pickle_with_code_is_refused_and_not_run(folder: Path, name: str) -> None:
    sprung = folder / "sprung"
    torch.save({"state_dict": {"x": Trap(sprung)}}, folder / name)

    with pytest.raises(BadWeights, match="more than tensors"):
        Music2Emo(folder)
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["J_all.ckpt", "mert/pytorch_model.bin"])
@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"half"])
def test_a_damaged_file_is_refused(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == b"half" else content)

    with pytest.raises(BadWeights, match=path.name):
        Music2Emo(folder)


def test_weights_that_hold_no_numbers_are_refused(folder: Path, head: Head) -> None:
    broken = Head(2 * WIDTH)
    broken.load_state_dict(head.state_dict())
    with torch.no_grad():
        last(broken.regression_branch).bias[1] = float("nan")
    write_head(folder, broken)

    with pytest.raises(BadWeights, match=r"regression_branch\.2\.bias"):
        Music2Emo(folder)


def test_the_head_of_another_mert_is_refused(folder: Path) -> None:
    write_head(folder, Head(2 * 24))
    with pytest.raises(BadWeights, match=r"input_proj.0.weight is \(512, 57\), not \(512, 41\)"):
        Music2Emo(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "wav2vec2"}, "not mert_model"),
        ({"deepnorm": True}, "deepnorm is set"),
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt is set"),
        ({"num_hidden_layers": 4}, "4 layers are too few"),
        ({"hidden_size": "wide"}, "no configuration of MERT"),
        ({"num_attention_heads": 3}, "no MERT can be built"),
    ],
)
def test_another_encoder_is_refused(folder: Path, change: dict[str, object], said: str) -> None:
    (folder / "mert/config.json").write_text(json.dumps(CONFIG | MERT_ONLY | change))
    with pytest.raises(BadWeights, match=said):
        Music2Emo(folder)


def test_a_folder_without_a_head_or_with_two_is_refused(folder: Path, head: Head) -> None:
    save_file({name: tensor.contiguous() for name, tensor in head.state_dict().items()}, folder / "other.safetensors")
    with pytest.raises(BadWeights, match="2 checkpoints"):
        Music2Emo(folder)

    for path in (folder / "other.safetensors", folder / "J_all.ckpt"):
        path.unlink()
    with pytest.raises(BadWeights, match="0 checkpoints"):
        Music2Emo(folder)


def test_sound_that_is_too_short_is_not_judged(folder: Path) -> None:
    with pytest.raises(CannotJudge, match="too little"):
        Music2Emo(folder).judge(music(1.0))
