"""What a matrix depends on: one recipe for all models, and what single models need otherwise.

[train], [preprocess], [[targets]] and the like are those of every network; [networks.NAME.model] and
[networks.NAME.train] say what is different for one, key by key; [classical.NAME] holds the options of a
baseline.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from compress import zoo
from compress.classical import options as classical
from compress.options.read import from_table
from compress.recipe import CLASSICAL, Recipe, names_in, read_source
from runtime.errors import RecipeError

_SHARED = ("name", "seed", "data", "preprocess", "train", "targets", "gate", "operating_points")
_OWN = ("model", "train")
_FOLDER = resources.files("compress.matrix") / "recipes"
# The other way of writing trees is known to ONNX Runtime only.
_OPERATORS = "standard"

Table = dict[str, Any]


@dataclass(frozen=True)
class MatrixRecipe:
    """shared: what all have in common. networks, baselines: each model's whole recipe, by its name."""

    shared: Recipe
    networks: dict[str, Recipe]
    baselines: dict[str, Recipe]

    @property
    def name(self) -> str:
        """Of the recipe."""
        return self.shared.name

    def choose(self, networks: tuple[str, ...] = (), with_baselines: bool = True) -> tuple[str, ...]:
        """Names of the models to compare: these networks, all where none is named, then the baselines.

        Raises RecipeError that lists every name that does not exist.
        """
        unknown = sorted(set(networks) - set(self.networks))
        if unknown:
            raise RecipeError(
                f"no network {', '.join(map(repr, unknown))}", f"networks: {', '.join(self.networks)}"
            )
        chosen = tuple(dict.fromkeys(networks)) or tuple(self.networks)
        return (*chosen, *self.baselines) if with_baselines else chosen

    def of(self, name: str) -> Recipe:
        """The whole recipe of a network or baseline."""
        return self.networks[name] if name in self.networks else self.baselines[name]


def load_matrix_recipe(source: str | Path) -> MatrixRecipe:
    """Read a file, or a shipped one by name ("demo", "fracatlas"). Raises RecipeError."""
    return parse_matrix_recipe(*read_source(source, _FOLDER))


def shipped_matrices() -> tuple[str, ...]:
    """Names of the matrix recipes that come with Ulna."""
    return names_in(_FOLDER)


def parse_matrix_recipe(text: str, name: str) -> MatrixRecipe:
    """TOML text -> MatrixRecipe. Raises RecipeError naming the key that is wrong."""
    try:
        table = {"name": name, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {name} is not TOML: {error}") from error
    networks, baselines = (_take(table, key, name) for key in ("networks", "classical"))
    _require_known(networks, zoo.NAMES, f"{name}.networks")
    _require_known(baselines, classical.NAMES, f"{name}.classical")
    _require_known(table, _SHARED, name)
    recipe = MatrixRecipe(
        from_table(Recipe, table, name),
        {key: _network(table, key, networks.get(key, {}), name) for key in zoo.NAMES},
        {key: _baseline(table, key, baselines.get(key, {}), name) for key in classical.NAMES},
    )
    _refuse_what_is_not_used(recipe)
    return recipe


def _network(table: Table, key: str, own: Table, name: str) -> Recipe:
    where = f"{name}.networks.{key}"
    _require_known(own, _OWN, where)
    parts = {part: _take(own, part, where, nested=False) for part in _OWN}
    _refuse_name(parts["model"], f"{where}.model")
    model = {**parts["model"], "name": key}
    train = _merged(_take(dict(table), "train", name, nested=False), parts["train"])
    return from_table(Recipe, {**table, "model": model, "train": train}, where)


def _baseline(table: Table, key: str, own: Table, name: str) -> Recipe:
    where = f"{name}.classical.{key}"
    _refuse_name(own, where)
    options = {"operators": _OPERATORS, **own, "name": key}
    return from_table(Recipe, {**table, "model": {"name": CLASSICAL}, "classical": options}, where)


def _refuse_name(own: Table, where: str) -> None:
    if "name" in own:
        raise RecipeError(f"unknown key {where}.name", "the table is named after the model already")


def _merged(base: Table, over: Table) -> Table:
    """Tables inside tables are merged too; any other value of `over` takes the place of the one below it."""
    nested = {
        key: _merged(base[key], value)
        for key, value in over.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return {**base, **over, **nested}


def _take(table: Table, key: str, where: str, nested: bool = True) -> Table:
    """Take a table (of tables) out of `table`; {} where there is none."""
    found = table.pop(key, {})
    if not isinstance(found, dict) or (nested and not all(isinstance(item, dict) for item in found.values())):
        raise RecipeError(f"{where}.{key} must be a table{' of tables' if nested else ''}, got {found!r}")
    return found


def _require_known(table: Table, known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        keys = ", ".join(f"{where}.{key}" for key in unknown)
        raise RecipeError(f"unknown key {keys}", f"known keys: {', '.join(known)}")


def _refuse_what_is_not_used(recipe: MatrixRecipe) -> None:
    problems = []
    if any("fp16" in target.precisions for target in recipe.shared.targets):
        problems.append("targets.precisions must be fp32 and int8 alone, which every engine has")
    if recipe.shared.operating_points.folds:
        problems.append("operating_points.folds must be 0, a matrix chooses on the calibration patients")
    if recipe.shared.operating_points.refit:
        problems.append("operating_points.refit must be false, a matrix compares at the locked thresholds")
    followers = [key for key, own in recipe.networks.items() if own.train.distill_weight]
    if followers:
        problems.append(f"distill_weight must be 0, {', '.join(followers)} would have no teacher")
    if problems:
        raise RecipeError(f"{recipe.name}: {'; '.join(problems)}", "take these keys out")
