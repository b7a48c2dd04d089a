"""A search file: the recipe to begin with, the space, how to search and how to choose (TOML)."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from compress.limits import at_least, one_of, seed_like
from compress.options.read import from_table
from compress.recipe import Recipe, read_source
from compress.search.outcome import FIGURES
from compress.search.space import TARGET, Choice, Params, Space, changes_reference, parse_space, set_keys
from runtime.errors import RecipeError

SAMPLERS = ("tpe", "nsga2", "random")
_PARTS = ("base", "space", "search", "choice")
_WITHOUT_ANSWERS = ("tensorrt",)


@dataclass(frozen=True)
class SearchOptions:
    """trials: of the whole search, a multiple of batch. batch: how many are drawn at once, knowing the
    results of all batches before and of none beside. objectives: auroc_bound (lower bound of the AUROC),
    loss_bound (upper bound of what pruning and quantization cost against the same network before them),
    latency_ms (median of one image), size_mb. engine, precision: of every trial, unless the space has them.
    sampler: tpe | nsga2 | random. threads: processor threads of each training, however many workers.
    retries: how often a trial is begun again whose worker died.
    stop_early: whether hopeless trainings end early (compress.search.stopping). gate: whether the trials that
    no other beats are judged on the gate patients.
    """

    trials: int = 24
    batch: int = 4
    objectives: tuple[str, ...] = ("auroc_bound", "latency_ms", "size_mb")
    seed: int = 7
    engine: str = "onnxruntime"
    precision: str = "int8"
    sampler: str = "tpe"
    threads: int = 1
    retries: int = 2
    stop_early: bool = True
    gate: bool = True

    def __post_init__(self) -> None:
        at_least(1, trials=self.trials, batch=self.batch, threads=self.threads)
        at_least(0, retries=self.retries)
        seed_like("seed", self.seed)
        one_of("sampler", self.sampler, SAMPLERS)
        if self.trials % self.batch:
            raise ValueError(f"trials must be a multiple of batch, got {self.trials} and {self.batch}")
        if not self.objectives or len(set(self.objectives)) != len(self.objectives):
            raise ValueError(f"objectives must name different ones, got {list(self.objectives)}")
        for name in self.objectives:
            one_of("objectives", name, tuple(FIGURES))


@dataclass(frozen=True)
class ChoiceOptions:
    """most_loss: largest loss of the trial that is chosen (compress.search.choice); 1 asks nothing.

    prefer: the figure that decides among those left.
    """

    most_loss: float = 0.02
    prefer: str = "latency_ms"

    def __post_init__(self) -> None:
        if not 0 <= self.most_loss <= 1:
            raise ValueError(f"most_loss must be 0 to 1, got {self.most_loss:g}")
        one_of("prefer", self.prefer, tuple(FIGURES))


@dataclass(frozen=True)
class SearchPlan:
    """name: of the file. base: the table of the recipe that every trial begins with."""

    name: str
    base: dict[str, Any]
    space: Space
    options: SearchOptions = SearchOptions()
    choice: ChoiceOptions = ChoiceOptions()

    @property
    def shares_reference(self) -> bool:
        """Whether all trials begin with the same network, so that their losses can be compared."""
        return not changes_reference(self.space)

    @property
    def identity(self) -> str:
        """SHA-256 of what may not change where a search is gone on with."""
        space = {key: [type(one).__name__, asdict(one)] for key, one in self.space.items()}
        fixed = asdict(replace(self.options, trials=self.options.batch, retries=0, gate=True))
        return hashlib.sha256(json.dumps([self.base, space, fixed], sort_keys=True).encode()).hexdigest()

    def recipe(self, params: Params) -> Recipe:
        """The recipe of a trial, with one target in one precision. Raises RecipeError."""
        table = set_keys(self.base, params)
        chosen = {"engine": self.options.engine, "precision": self.options.precision, **table.pop(TARGET, {})}
        table["targets"] = [_target(table.get("targets", []), chosen)]
        return from_table(Recipe, table, self.name)


def load_search(path: Path) -> SearchPlan:
    """Read a search file; a base that is a path is looked for beside it. Raises RecipeError."""
    text, name = read_source(path if path.suffix else path.with_name(f"{path.name}.toml"), _recipes())
    return parse_search(text, name, path.parent)


def parse_search(text: str, name: str, folder: Path = Path()) -> SearchPlan:
    """TOML text -> SearchPlan. Raises RecipeError naming what is wrong."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"search {name} is not TOML: {error}") from error
    unknown = sorted(set(table) - set(_PARTS))
    if unknown:
        keys = ", ".join(f"{name}.{key}" for key in unknown)
        raise RecipeError(f"unknown key {keys}", f"known keys: {', '.join(_PARTS)}")
    plan = SearchPlan(
        name,
        _base(table.get("base"), name, folder),
        parse_space(_table(table, "space", name), f"{name}.space"),
        from_table(SearchOptions, _table(table, "search", name), f"{name}.search"),
        from_table(ChoiceOptions, _table(table, "choice", name), f"{name}.choice"),
    )
    _check(plan)
    return plan


def _recipes() -> Any:
    return resources.files("compress") / "recipes"


def _base(source: object, name: str, folder: Path) -> dict[str, Any]:
    if not isinstance(source, str):
        raise RecipeError(
            f"{name}.base must name a recipe, got {source!r}", 'write base = "demo", or the path of a .toml'
        )
    path = folder / source if Path(source).suffix else Path(source)
    text, recipe = read_source(path, _recipes())
    try:
        return {"name": recipe, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {recipe} is not TOML: {error}") from error


def _table(table: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise RecipeError(f"{name}.{key} must be a table, got {found!r}")
    return found


def _check(plan: SearchPlan) -> None:
    """The recipe without the space must be right, every key one of it, and losses comparable."""
    plan.recipe({})
    problems = [problem for key in plan.space if (problem := _unknown(plan, key))]
    if "loss_bound" in plan.options.objectives and not plan.shares_reference:
        problems.append(
            "loss_bound compares trials of one network only, this space changes it: use auroc_bound"
        )
    if "latency_ms" in (*plan.options.objectives, plan.choice.prefer) and _engines(plan) & {
        *_WITHOUT_ANSWERS
    }:
        problems.append("latency_ms cannot be measured for tensorrt, whose engines run on the device")
    if plan.choice.prefer not in plan.options.objectives:
        problems.append(f"choice.prefer must be one of the objectives, got {plan.choice.prefer}")
    if problems:
        raise RecipeError(f"{plan.name}: {'; '.join(problems)}", "change the search file")


def _engines(plan: SearchPlan) -> set[Any]:
    dimension = plan.space.get(f"{TARGET}.engine")
    return set(dimension.values) if isinstance(dimension, Choice) else {plan.options.engine}


def _unknown(plan: SearchPlan, key: str) -> str:
    """What is wrong with a key whatever its value; an impossible combination is a matter of its trial."""
    dimension = plan.space[key]
    value = dimension.values[0] if isinstance(dimension, Choice) else dimension.low
    try:
        plan.recipe({key: value})
    except RecipeError as error:
        return str(error) if str(error).startswith("unknown key") else ""
    return ""


def _target(targets: list[dict[str, Any]], chosen: dict[str, Any]) -> dict[str, Any]:
    """The base's own settings for the engine, with what was chosen."""
    own = next((item for item in targets if item.get("engine") == chosen["engine"]), {})
    precision = chosen.pop("precision")
    return {**own, **chosen, "precisions": [precision]}
