"""An evaluation from the clips to the page: with tones whose emotion is known, and with a tiny MusicGen."""

import argparse
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.clips import Grid
from models.commands import evaluate as command
from models.evaluate import PAGE, RESULT, Content, Judge, evaluate, sides_of
from models.tagging import VOCABULARY, tags_at
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import frames_of
from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.errors import BadWeights, InvalidInput
from musicmed_live.service.generators import Choice
from tests.models.judging import ToneListener, ToneTagger, tones
from tests.musicgen import tiny
from tests.recognition.test_essentia import DEAM, write_models

GRID = Grid(levels=3, seeds=3, seconds=0.5)
HALVES = (("A", (4, 64)), ("B", (64, 4)))  # of a change of rank 4 of a matrix of the tiny model
LISTENER = Judge("listener", ToneListener(), {"coefficients.json": "ab" * 32})


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Content]:
    """A base that strays and an adapter that hardly does. Not to be changed."""
    out = tmp_path_factory.mktemp("evaluation")
    return out, evaluate([tones("base", 0.9), tones("adapter", 0.1)], [LISTENER], GRID, out)


def figures(content: Content, side: str, judge: str = "listener") -> Any:
    return content["figures"][side][judge]


def test_music_that_follows_has_better_figures_and_the_gain_says_so(compared: tuple[Path, Content]) -> None:
    _, content = compared

    base, adapter = figures(content, "base"), figures(content, "adapter")
    assert adapter["valence"]["r"]["value"] > 0.95
    assert adapter["valence"]["r"]["low"] > base["valence"]["r"]["value"]
    assert adapter["quadrants"]["value"] == 1
    assert base["tags"]["hamming_score"] < adapter["tags"]["hamming_score"]
    gained = content["gains"]["listener"]["valence_r"]
    assert gained["value"] == pytest.approx(adapter["valence"]["r"]["value"] - base["valence"]["r"]["value"])
    assert gained["low"] > 0


def test_everything_is_in_the_file(compared: tuple[Path, Content]) -> None:
    out, content = compared

    assert json.loads((out / RESULT).read_text()) == content
    assert content["grid"] == {"levels": [-0.8, 0.0, 0.8], "seeds": [0, 1, 2], "seconds": 0.5}
    assert content["sides"] == {"base": {"tones": "0.9"}, "adapter": {"tones": "0.1"}}
    assert content["judges"] == {"listener": {"coefficients.json": "ab" * 32}}
    assert {"python", "musicmed_live", "numpy"} <= set(content["software"])
    assert len(content["clips"]) == 2 * 9 * 3
    first = content["clips"][0]
    assert (first["valence"], first["arousal"], first["seed"]) == (-0.8, -0.8, 0)
    assert set(first["tags"]) == tags_at(Emotion(-0.8, -0.8))
    assert set(first["heard"]["listener"]["tags"]) <= VOCABULARY
    assert "absent" in content["clap"]


def test_the_same_clips_give_the_same_figures_again(compared: tuple[Path, Content]) -> None:
    out, content = compared
    told: list[str] = []

    again = evaluate(
        [tones("base", 0.9), tones("adapter", 0.1)], [LISTENER], GRID, out, told=lambda what, _: told.append(what)
    )

    assert again == content
    assert told.count("made") == told.count("judged") == len(content["clips"])


def test_how_loud_a_clip_is_tells_a_recognizer_nothing(tmp_path: Path) -> None:
    levels = []

    class Gauge(ToneListener):
        def judge(self, mono: Mono) -> Judgement:
            levels.append(float(np.sqrt(np.square(mono, dtype=np.float64).mean())))
            return super().judge(mono)

    evaluate([tones("composer")], [Judge("gauge", Gauge())], GRID, tmp_path)
    assert levels == pytest.approx([levels[0]] * len(levels), rel=1e-4)


def test_what_cannot_be_judged_is_counted_and_not_guessed(tmp_path: Path) -> None:
    deaf = Judge("deaf", ToneListener(deaf_to_unpleasant=True))

    content = evaluate([tones("base"), tones("adapter")], [deaf], GRID, tmp_path)

    assert figures(content, "base", "deaf")["unheard"] == 9
    assert figures(content, "base", "deaf")["clips"] == 18
    assert content["clips"][0]["heard"]["deaf"] == {"unheard": "too low to be heard"}
    assert "too low to be heard" in (tmp_path / PAGE).read_text()


def test_too_few_clips_are_no_figures_and_the_file_says_null(tmp_path: Path) -> None:
    deaf = Judge("deaf", ToneListener(deaf_to_unpleasant=True))

    evaluate([tones("base")], [deaf], Grid(2, 1, 0.5), tmp_path)

    content = json.loads((tmp_path / RESULT).read_text())
    assert figures(content, "base", "deaf")["clips"] == 2
    assert figures(content, "base", "deaf")["valence"]["r"] == {"value": None, "low": None, "high": None}
    assert content["gains"] == {}


def test_a_recognizer_that_knows_tags_is_asked_for_them(tmp_path: Path) -> None:
    content = evaluate([tones("base")], [Judge("tagger", ToneTagger())], Grid(2, 1, 0.5), tmp_path)

    assert all(clip["heard"]["tagger"]["tags"] == ["calm"] for clip in content["clips"])
    asked_calm = sum("calm" in clip["tags"] for clip in content["clips"])
    assert figures(content, "base", "tagger")["tags"]["precision"] == pytest.approx(asked_calm / 4)


class Reader(HTMLParser):
    """Counts tags, keeps what is referred to, and sees that every element is closed."""

    void = frozenset({"meta", "rect", "path", "circle", "br", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_has_every_sound_with_a_name_and_nothing_from_outside(compared: tuple[Path, Content]) -> None:
    out, content = compared

    page = (out / PAGE).read_text()

    found = read(page).found
    sounds = [attributes for tag, attributes in found if tag == "audio"]
    assert {sound["src"] for sound in sounds} == {clip["file"] for clip in content["clips"]}
    assert all((out / str(sound["src"])).is_file() for sound in sounds)
    assert len({sound["aria-label"] for sound in sounds}) == len(sounds)
    assert sum(tag == "svg" for tag, _ in found) == 2
    assert not {tag for tag, _ in found} & {"script", "link", "img", "iframe"}
    assert "http" not in page
    assert "Nobody has listened" in page


def test_names_are_not_taken_for_markup(tmp_path: Path) -> None:
    evil = Judge("<script>alert(1)</script>", ToneListener())
    evaluate([tones("base")], [evil], Grid(2, 1, 0.5), tmp_path)
    assert "script" not in {tag for tag, _ in read((tmp_path / PAGE).read_text()).found}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint. Not to be changed."""
    torch.set_num_threads(1)
    return tiny.write_hf(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes what the tiny model plays, as PEFT writes it. Not to be changed."""
    folder = tmp_path_factory.mktemp("adapters") / "other"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 64, "bias": "none"}')
    layers = [f"base_model.model.decoder.model.decoder.layers.{layer}.self_attn.v_proj.lora_" for layer in range(2)]
    random = torch.Generator().manual_seed(3)
    tensors = {
        f"{name}{half}.weight": torch.randn(shape, generator=random) for name in layers for half, shape in HALVES
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_a_model_and_its_adapter_are_compared(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    grid = Grid(levels=2, seeds=1, seconds=0.6)
    sides = sides_of(Choice("musicgen", str(tiny_model), (str(adapter),), "cpu"))

    content = evaluate(sides, [Judge("listener", ToneListener())], grid, tmp_path)

    assert list(content["sides"]) == ["base", "adapter"]
    assert "model.safetensors" in content["sides"]["base"]
    added = set(content["sides"]["adapter"]) - set(content["sides"]["base"])
    assert added == {"other/adapter_config.json", "other/adapter_model.safetensors"}
    sounds = {clip["side"]: (tmp_path / clip["file"]).read_bytes() for clip in content["clips"]}
    assert sounds["base"] != sounds["adapter"]
    assert all(clip["text"] for clip in content["clips"])


def test_an_adapter_that_is_none_is_refused_before_the_base_plays(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("nowhere", "empty"):
        with pytest.raises(BadWeights, match=folder):
            sides_of(Choice("musicgen", str(tiny_model), (str(tmp_path / folder),), "cpu"))


def run(*arguments: str) -> None:
    """The command as the command line runs it."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(["evaluate", *arguments])
    options.run(options)


def test_the_composer_is_evaluated_without_any_weights_of_musicgen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = write_models(tmp_path / "essentia", {DEAM: (5.0, 3.0)}, slope=0.8)
    small = ("--levels", "2", "--seeds", "1", "--seconds", "5")

    run("--generator", "composer", "--out", str(tmp_path / "out"), "--recognizer", f"essentia={weights}", *small)

    said = capsys.readouterr().out
    assert re.search(r"composer, heard by essentia: r of valence .*, of arousal .*; right quadrant", said)
    assert said.splitlines()[-1] == str(tmp_path / "out" / PAGE)
    content = json.loads((tmp_path / "out" / RESULT).read_text())
    assert set(content["judges"]["essentia"]) == {"msd-musicnn-1.onnx", DEAM}
    assert content["figures"]["composer"]["essentia"]["clips"] == 4
    assert (content["grid"]["seconds"], frames_of(5.0)) == (5.0, 240_000)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--levels", "1"), '--levels: "1" is not a whole number from 2 to 21'),
        (("--seeds", "none"), "--seeds"),
        (("--seconds", "4"), '--seconds: "4" is not a number from 5 to 120'),
        (("--seconds", "nan"), "--seconds"),
        (("--generator", "orchestra"), "--generator"),
        (("--adapter", "here"), "only MusicGen has one"),
        (("--recognizer", "clap"), "--recognizer"),
        (("--recognizer", "essentia="), "names no folder"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_is_made(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        run("--generator", "composer", "--out", str(tmp_path / "out"), *options)
    assert not (tmp_path / "out").exists()


def test_a_recognizer_whose_weights_are_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="music2emo needs its weights there"):
        run("--generator", "composer", "--out", str(tmp_path / "out"), "--recognizer", f"music2emo={tmp_path / 'no'}")


def test_a_recognizer_is_named_once(tmp_path: Path) -> None:
    weights = write_models(tmp_path / "essentia", {DEAM: (5.0, 3.0)})
    twice = ("--recognizer", f"essentia={weights}") * 2
    with pytest.raises(InvalidInput, match="twice"):
        run("--generator", "composer", "--out", str(tmp_path / "out"), *twice)
