"""Model cards: what the hub reads, what was measured, and what is not known, from files alone."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.card import HISTORY, card
from models.clips import Grid
from models.commands import card as command
from models.evaluate import RESULT, Content, Judge, evaluate
from models.history import History, Validated
from musicmed_live.errors import CannotServe, InvalidInput
from tests.models.judging import ToneListener, tones

SHA = "ab" * 32
RECIPE = {
    "training": {"steps": 4, "batch": 2, "learning_rate": 1e-4, "accumulate": 8},
    "validation": {"every": 2, "segments": 256, "patience": 5},
    "lora": {"rank": 16, "alpha": 32.0, "targets": ["q_proj", "v_proj"], "dropout": 0.05},
    "emotion": {"tokens": 4, "width": 256, "learning_rate": 1e-3},
    "seed": 7,
}


def history(**changes: Any) -> Content:
    """As a training leaves it."""
    happened = History(
        [3.0, 2.9, 2.8, 2.7],
        [
            Validated.of(2, [("pleasant-calm", 2.9), ("unpleasant-aroused", 3.1)]),
            Validated.of(4, [("pleasant-calm", 2.5), ("unpleasant-aroused", 2.7)]),
        ],
        "all steps are made",
    )
    return {
        "version": 1,
        "recipe": RECIPE,
        "model": {"name": "facebook/musicgen-small", "sha256": SHA},
        "shards": {
            "sha256": SHA[::-1],
            "splits": {"train": {"segments": 120, "quadrants": {"pleasant-calm": 80, "unpleasant-aroused": 40}}},
        },
        "device": "cuda",
        "versions": {"torch": "2.13.0", "peft": "0.21.0"},
        **happened.as_json(),
        **changes,
    }


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of an evaluation of both sides. Not to be changed."""
    folder = tmp_path_factory.mktemp("evaluation")
    judges = [Judge(name, ToneListener(), {"weights": SHA}) for name in ("embedded", "essentia")]
    evaluate([tones("base", 0.9), tones("adapter", 0.1)], judges, Grid(3, 2, 0.5), folder)
    return folder


@pytest.fixture(scope="module")
def measured(evaluation: Path) -> Content:
    content: Content = json.loads((evaluation / RESULT).read_text())
    return content


def head(text: str) -> dict[str, Any]:
    """The YAML before the text, as the hub reads it."""
    before, content, _ = text.split("---\n", 2)
    assert before == ""
    found: dict[str, Any] = yaml.safe_load(content)
    return found


def test_the_hub_finds_licence_base_model_and_tags(measured: Content) -> None:
    found = head(card(measured, history()))

    assert found["license"] == "cc-by-nc-4.0"
    assert found["base_model"] == "facebook/musicgen-small"
    assert found["library_name"] == "peft"
    assert {"musicgen", "lora", "emotion"} <= set(found["tags"])
    assert "datasets" not in found


def test_a_short_name_is_spelled_out_for_the_hub(measured: Content) -> None:
    found = head(card(measured, history(model={"name": "medium", "sha256": SHA})))
    assert found["base_model"] == "facebook/musicgen-medium"


def test_the_data_set_is_named_where_the_training_tells_it(measured: Content) -> None:
    told = history(shards=dict(history()["shards"]) | {"origin": {"source": "MTG-Jamendo at 1234", "split": 0}})
    assert head(card(measured, told))["datasets"] == ["mtg-jamendo"]


@pytest.mark.parametrize("name", ["tiny", "a: b\n- c", "/models/mine"])
def test_a_base_model_that_the_hub_does_not_know_is_not_told_to_it(measured: Content, name: str) -> None:
    found = head(card(measured, history(model={"name": name, "sha256": SHA})))
    assert "base_model" not in found


def test_every_figure_of_the_evaluation_is_in_it(measured: Content) -> None:
    text = card(measured, history())

    r = measured["figures"]["adapter"]["essentia"]["valence"]["r"]
    assert f"{r['value']:.2f} ({r['low']:.2f} to {r['high']:.2f})" in text
    gained = measured["gains"]["embedded"]["arousal_r"]
    assert f"{gained['value']:.2f} ({gained['low']:.2f} to {gained['high']:.2f}) to arousal's" in text
    assert f"| hamming score | {measured['figures']['base']['embedded']['tags']['hamming_score']:.2f} |" in text
    assert "CLAP's weights are not here" in text
    assert text.count(SHA) >= 3


def test_the_training_is_told_with_its_best_validation(measured: Content) -> None:
    text = card(measured, history())

    assert "A LoRA adapter of rank 16 for MusicGen (facebook/musicgen-small)" in text
    assert "4 learned tokens beside the text" in text
    assert "| lora.targets | q_proj, v_proj |" in text
    assert "Best validation: 2.600 nats per token at step 4." in text
    assert "| unpleasant-aroused | 2.700 | 1 |" in text
    assert "| train | 120 | pleasant-calm 80, unpleasant-aroused 40 |" in text
    assert "4 steps were made on cuda (all steps are made)." in text


def test_a_training_that_was_never_validated_says_so(measured: Content) -> None:
    assert "It was never validated." in card(measured, history(validated=[], stopped=""))


def test_what_is_not_known_is_said(measured: Content) -> None:
    text = card(measured, None)

    assert "Nobody has listened" in text
    assert "No patient has heard it" in text
    assert "game music for the piano" in text
    assert "Essentia's heads" in text
    assert "Music2Emo" not in text  # it did not judge
    assert "How it was trained is not known" in text


def test_a_file_that_both_sides_share_is_listed_once(measured: Content) -> None:
    shared = {"model.safetensors": SHA}
    sides = {"base": shared, "adapter": {**shared, "adapter/recipe.toml": SHA[::-1]}}

    text = card({**measured, "sides": sides}, None)

    assert text.count("| model.safetensors |") == 1
    assert "| adapter | adapter/recipe.toml |" in text


def test_tables_keep_their_columns_whatever_a_name_holds(measured: Content) -> None:
    odd = {**measured, "sides": {**measured["sides"], "adapter": {"a|b.safetensors": SHA}}}
    assert "| adapter | a\\|b.safetensors |" in card(odd, None)


def run(*arguments: str) -> None:
    """The command as the command line runs it."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(["card", *arguments])
    options.run(options)


def test_the_command_writes_the_card(evaluation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / HISTORY).write_text(json.dumps(history()))
    out = tmp_path / "calm-adapter" / "README.md"

    run("--evaluation", str(evaluation), "--training", str(tmp_path), "--out", str(out))

    assert capsys.readouterr().out == f"{out}\n"
    assert "\n# Emotion adapter for facebook/musicgen-small\n" in out.read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing; make it with musicmed-live models evaluate"),
        ("{", "cannot be read"),
        ("[1]", "is not of version 1"),
        ('{"version": 99}', "is not of version 1"),
        ('{"version": 1, "sides": {"base": {}}}', "is of no adapter"),
        ('{"version": 1, "sides": {"adapter": {}}}', "lack KeyError"),
    ],
)
def test_an_evaluation_that_is_none_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / RESULT).write_text(content)
    with pytest.raises(InvalidInput, match=said):
        run("--evaluation", str(tmp_path), "--out", str(tmp_path / "README.md"))
    assert not (tmp_path / "README.md").exists()


def test_a_training_that_is_none_is_refused(evaluation: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="models train"):
        run("--evaluation", str(evaluation), "--training", str(tmp_path), "--out", str(tmp_path / "README.md"))


def test_the_training_of_another_adapter_is_refused(evaluation: Path, tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text(json.dumps(history()))
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_model.safetensors").write_bytes(b"another")
    with pytest.raises(InvalidInput, match="is of another adapter"):
        run("--evaluation", str(evaluation), "--training", str(tmp_path), "--out", str(tmp_path / "README.md"))


def test_a_card_that_cannot_be_written_is_said(evaluation: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotServe):
        run("--evaluation", str(evaluation), "--out", str(tmp_path / "file" / "README.md"))


@pytest.mark.parametrize("name", ["mine", "somebody/musicgen-like"])
def test_meta_s_licence_is_told_of_meta_s_models_only(measured: Content, name: str) -> None:
    text = card(measured, history(model={"name": name, "sha256": SHA}))
    assert head(text)["license"] == "other"
    assert "not known here" in text
    assert "CC BY-NC 4.0) forbids" not in text


def test_the_licences_of_the_music_are_told(measured: Content) -> None:
    train = {"segments": 3, "quadrants": {}, "licences": {"by-nc": 2, "": 1}}
    text = card(measured, history(shards={"sha256": SHA, "splits": {"train": train}}))
    assert "trained on: not told (1 segments), by-nc (2 segments)." in text


def test_a_folder_is_no_place_for_a_card(evaluation: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a folder; give the name of a file in it"):
        run("--evaluation", str(evaluation), "--out", str(tmp_path))
