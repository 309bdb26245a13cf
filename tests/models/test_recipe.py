"""Recipes: few keys, each checked, and every recipe that comes along can be trained by."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recipe import Conditioning, Recipe, find_recipe, read_recipe
from models.schedule import FLOOR, rate
from musicmed_live.errors import InvalidInput

LEAST = "[training]\nsteps = 10\nbatch = 2\nlearning_rate = 1e-3\n[validation]\nevery = 5\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipe.toml"


def read(path: Path, text: str) -> Recipe:
    path.write_text(text)
    return read_recipe(path)


@pytest.mark.parametrize("size", ["tiny", "small", "medium", "large"])
def test_the_recipes_that_come_along_adapt_and_follow_emotion(size: str) -> None:
    recipe = read_recipe(find_recipe(size))
    assert recipe.lora is not None
    assert recipe.emotion is not None


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_a_step_is_of_sixteen_segments(size: str) -> None:
    training = read_recipe(find_recipe(size)).training
    assert training.batch * training.accumulate == 16


def test_what_is_left_out_has_a_default(path: Path) -> None:
    recipe = read(path, LEAST)
    assert (recipe.lora, recipe.emotion, recipe.seed) == (None, None, 0)
    assert recipe.conditioning == Conditioning()
    assert recipe.training.accumulate == 1


def test_whole_numbers_do_for_fractions(path: Path) -> None:
    assert read(path, LEAST.replace("1e-3", "1")).training.learning_rate == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LEAST.replace("batch = 2\n", ""), "training.batch is missing"),
        (LEAST.replace("batch = 2", "batch = 0"), "training.batch is 0, not from 1"),
        (LEAST.replace("batch = 2", "batch = 2.5"), "training.batch is 2.5, not a whole number"),
        (LEAST.replace("batch = 2", "batch = true"), "training.batch is true, not a whole number"),
        (LEAST.replace("batch = 2", 'batch = "two"'), 'training.batch is "two"'),
        (LEAST.replace("1e-3", "nan"), "training.learning_rate is nan"),
        (LEAST.replace("1e-3", "inf"), "training.learning_rate is inf"),
        (LEAST.replace("1e-3", "-1e-3"), "training.learning_rate is -0.001"),
        (LEAST + "[training.more]\n", "training.more is no key; known are steps, batch"),
        ("epochs = 3\n" + LEAST, "epochs is no key"),
        ("lora = 8\n" + LEAST, "lora is 8, not a table"),
        ("training = 8\n", "validation is missing"),
        (LEAST + '[lora]\nrank = 4\nalpha = 4\ntargets = "q_proj"\n', "lora.targets is"),
        (LEAST + "[lora]\nrank = 4\nalpha = 4\ntargets = []\n", "lora.targets is empty"),
        (LEAST + "[lora]\nrank = 4\nalpha = 4\ntargets = [1]\n", "lora.targets is [1], not a list of names"),
        (LEAST + "[conditioning]\ndrop_text = 0.6\ndrop_both = 0.6\n", "add up to 1.3"),
        ("steps = \n", "is not TOML"),
    ],
)
def test_what_cannot_be_trained_by_is_refused_by_its_name(path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(path, text)
    assert words in caught.value.message
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_recipe_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(InvalidInput, match="is missing; recipes that come along are small, medium, large and tiny"):
        read_recipe(path)


def test_those_that_come_along_are_known_by_name(path: Path) -> None:
    assert find_recipe("small").read_text().startswith("# LoRA and emotion tokens for musicgen-small")
    assert find_recipe(str(path)) == path


def test_any_other_value_is_another_recipe(path: Path) -> None:
    recipe = read(path, LEAST)
    assert recipe.fingerprint == read(path, "# the same\n" + LEAST).fingerprint
    assert recipe.fingerprint != replace(recipe, seed=1).fingerprint


@given(st.integers(1, 1000), st.integers(0, 1000), st.data())
def test_the_rate_rises_to_the_full_one_and_falls_to_the_floor(warmup: int, rest: int, given: st.DataObject) -> None:
    steps = warmup + rest + 1
    step = given.draw(st.integers(0, steps - 1))
    assert 0 < rate(step, steps, warmup) <= 1
    assert rate(warmup - 1, steps, warmup) == pytest.approx(1)
    assert rate(steps, steps, warmup) == pytest.approx(FLOOR)
    if step + 1 < warmup:
        assert rate(step, steps, warmup) < rate(step + 1, steps, warmup)
    elif step >= warmup:
        assert rate(step, steps, warmup) >= rate(step + 1, steps, warmup) >= FLOOR - 1e-9
