"""Recipes: TOML in, frozen options out, and no key is silently ignored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from compress.recipe import Recipe, load_recipe, parse_recipe, shipped_recipes
from runtime.errors import RecipeError


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_parses(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.targets


def test_a_recipe_is_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('seed = 4\n[[targets]]\nengine = "openvino"\nprecisions = ["fp32"]\n')
    recipe = load_recipe(path)
    assert (recipe.name, recipe.seed) == ("mine", 4)
    assert [(t.engine, t.precisions) for t in recipe.targets] == [("openvino", ("fp32",))]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("sede = 1", "r.sede"),
        ("[train]\nepoch = 3", "r.train.epoch"),
        ("[gate.margins]\nauc = 0.1", "r.gate.margins.auc"),
        ('[[targets]]\nengine = "x"\nbits = 8', r"r.targets\[0\].bits"),
    ],
)
def test_an_unknown_key_is_named_with_its_place(text: str, where: str) -> None:
    with pytest.raises(RecipeError, match=f"unknown key {where}"):
        parse_recipe(text, "r")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepochs = 2.5", "r.train.epochs must be int"),
        ("[train]\nepochs = true", "r.train.epochs must be int"),
        ("[train]\nlearning_rate = 'fast'", "r.train.learning_rate must be float"),
        ("train = 3", "r.train must be a table"),
        ("targets = 3", "r.targets must be a list"),
        ("[data.split]\nfit = 0.9", "sum to 1"),
        ("[preprocess]\nsize_px = 3", "size_px must be 16 to 4096"),
        ("seed = = 3", "not TOML"),
    ],
)
def test_an_impossible_value_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text, "r")


def test_a_missing_recipe_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("nowhere")
    assert "demo" in caught.value.hint
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "absent.toml")


def test_whole_numbers_are_taken_for_floats() -> None:
    assert parse_recipe("[train]\nlearning_rate = 1", "r").train.learning_rate == 1.0


def test_recipes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe("r").seed = 3  # type: ignore[misc]
