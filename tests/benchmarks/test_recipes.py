"""The recipes behind the published comparisons can be run."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks
from compress.branches import branch_nodes
from compress.recipe import load_recipe

RECIPES = sorted((Path(benchmarks.__file__).parent / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_its_targets_exist(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert branch_nodes(recipe)


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 5
