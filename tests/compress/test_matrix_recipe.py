"""Recipes of matrices: what all share, what single models need otherwise, and every wrong word by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from compress import zoo
from compress.classical.options import NAMES as BASELINES
from compress.cli import app
from compress.matrix.recipe import load_matrix_recipe, parse_matrix_recipe, shipped_matrices
from runtime.errors import RecipeError

TEXT = """
seed = 4
[preprocess]
size_px = 64
[train]
epochs = 3
[train.augment]
noise = 0.1
flip = false
[networks.vit]
model.width = 0.5
train.learning_rate = 1e-4
train.augment.noise = 0.0
[classical.random_forest]
trees = 20
operators = "ml"
"""


@pytest.mark.parametrize("name", shipped_matrices())
def test_every_shipped_matrix_parses_and_holds_every_model(name: str) -> None:
    recipe = load_matrix_recipe(name)
    assert recipe.name == name
    assert tuple(recipe.networks) == zoo.NAMES
    assert tuple(recipe.baselines) == BASELINES
    for key, own in recipe.networks.items():
        zoo.traits_of(key).require(own.model, own.preprocess.size_px)


def test_a_network_takes_what_is_its_own_and_the_rest_from_all() -> None:
    recipe = parse_matrix_recipe(TEXT, "mine")
    vit, cnn = recipe.of("vit"), recipe.of("cnn")
    assert (vit.model.name, vit.model.width, vit.train.learning_rate) == ("vit", 0.5, 1e-4)
    assert (vit.train.augment.noise, vit.train.augment.flip, vit.train.epochs) == (0.0, False, 3)
    assert (cnn.model.name, cnn.model.width, cnn.train.augment.noise) == ("cnn", 1.0, 0.1)
    assert {own.seed for own in (*recipe.networks.values(), *recipe.baselines.values())} == {4}


def test_baselines_are_written_so_that_every_engine_reads_them_unless_the_recipe_says_otherwise() -> None:
    recipe = parse_matrix_recipe(TEXT, "mine")
    forest, boosting = recipe.of("random_forest"), recipe.of("gradient_boosting")
    assert forest.is_classical
    assert (forest.classical.trees, forest.classical.operators) == (20, "ml")
    assert boosting.classical.operators == "standard"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[networks.vlt.train]\nepochs = 1", "r.networks.vlt"),
        ("[classical.forest]\ntrees = 1", "r.classical.forest"),
        ("[networks.vit.gate]\nconfidence = 0.9", "r.networks.vit.gate"),
        ("[networks.vit.train]\nepoch = 1", "r.networks.vit.train.epoch"),
        ('[networks.vit.model]\nname = "cnn"', "r.networks.vit.model.name"),
        ('[classical.kmeans]\nname = "kmeans"', "r.classical.kmeans.name"),
        ("[prune]\nratio = 0.1", "r.prune"),
        ("[networks]\nvit = 3", "r.networks must be a table of tables"),
        ("[operating_points]\nfolds = 3", "folds must be 0"),
        ("[operating_points]\nrefit = true", "refit must be false"),
        ("[networks.cnn.train]\ndistill_weight = 0.5", "cnn would have no teacher"),
        ("seed =", "not TOML"),
    ],
)
def test_what_a_matrix_does_not_know_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_matrix_recipe(text, "r")


def test_networks_that_do_not_exist_are_refused_with_the_list_of_those_that_do() -> None:
    recipe = parse_matrix_recipe(TEXT, "mine")
    with pytest.raises(RecipeError, match="'alexnet', 'vgg'") as caught:
        recipe.choose(("vgg", "cnn", "alexnet"))
    assert all(name in caught.value.hint for name in zoo.NAMES)


def test_no_name_means_all_and_a_name_twice_means_once() -> None:
    recipe = parse_matrix_recipe(TEXT, "mine")
    assert recipe.choose() == (*zoo.NAMES, *BASELINES)
    assert recipe.choose(("vit", "cnn", "vit"), with_baselines=False) == ("vit", "cnn")


def test_the_command_refuses_a_bad_name_before_it_touches_the_folder(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["matrix", "--network", "vgg", "--out", str(tmp_path / "out")])
    assert isinstance(found.exception, RecipeError)
    assert not (tmp_path / "out").exists()
