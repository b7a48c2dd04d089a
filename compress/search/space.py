"""The space of a search: dotted keys of a recipe, each with the values that it may take.

Keys below `target` are those of the one target of every trial: `target.engine`, `target.precision`,
`target.method`, `target.calibration_cases` and `target.smooth`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import RecipeError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = str | int | float | bool
Params = dict[str, Any]

TARGET = "target"
OF_REFERENCE = ("preprocess", "model", "classical", "metadata", "train", "patches")
"""Tables that the unpruned float network depends on: trials that differ in them have different references."""
OF_DEFORMATION = ("prune", "finetune", TARGET)
TABLES = (*OF_REFERENCE, *OF_DEFORMATION)
TARGET_KEYS = ("engine", "precision", "method", "calibration_cases", "smooth")


@dataclass(frozen=True)
class Choice:
    """One of these values."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        kinds = {type(value) for value in self.values}
        if not self.values or not kinds <= {str, int, float, bool}:
            raise ValueError(f"must list texts, numbers or true and false, got {list(self.values)}")
        if len({(type(value), value) for value in self.values}) != len(self.values):
            raise ValueError(f"must list different values, got {list(self.values)}")

    def distribution(self) -> BaseDistribution:
        """As Optuna knows it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


@dataclass(frozen=True)
class Range:
    """From low to high, both included; whole numbers where low, high and step are whole.

    step: 0 is any number in between (1 for whole ones). log: evenly spread over the powers.
    """

    low: float | int
    high: float | int
    step: float | int = 0
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low must lie below high, got {self.low:g} and {self.high:g}")
        if self.step < 0 or (self.step and self.log):
            raise ValueError("step must be positive, and left out where log is true")
        if self.log and not self.low > 0:
            raise ValueError(f"low must be positive where log is true, got {self.low:g}")

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step))

    def distribution(self) -> BaseDistribution:
        """As Optuna knows it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step) or 1)
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step or None)


Space = dict[str, Choice | Range]


def parse_space(table: dict[str, Any], where: str) -> Space:
    """Raises RecipeError that lists every key that is wrong. Whether a recipe has the key is seen later."""
    space: Space = {}
    problems = [] if table else [f"{where} is empty: there is nothing to search"]
    for key, value in table.items():
        try:
            space[key] = _dimension(key, value)
        except (RecipeError, ValueError) as error:
            problems.append(f'{where}."{key}": {error}')
    if problems:
        raise RecipeError("; ".join(problems), f"tables to search in: {', '.join(TABLES)}")
    return space


def changes_reference(space: Space) -> bool:
    """Whether trials differ in the network that pruning and quantization begin with."""
    return any(key.partition(".")[0] in OF_REFERENCE for key in space)


def set_keys(table: dict[str, Any], params: Params) -> dict[str, Any]:
    """A recipe's table with the dotted keys set; the one given is not changed. Raises RecipeError."""
    for key, value in params.items():
        table = _with(table, key.split("."), value, key)
    return table


def _dimension(key: str, value: Any) -> Choice | Range:
    root, _, rest = key.partition(".")
    if root not in TABLES or not rest:
        raise ValueError("no key that a search may change")
    if root == TARGET and rest not in TARGET_KEYS:
        raise ValueError(f"no key of a target, known: {', '.join(TARGET_KEYS)}")
    if isinstance(value, list):
        return Choice(tuple(value))
    if isinstance(value, dict):
        return _range(value)
    raise ValueError(f"must be a list or {{ low, high }}, got {value!r}")


def _range(table: dict[str, Any]) -> Range:
    wrong = sorted(set(table) - {"low", "high", "step", "log"}) + sorted({"low", "high"} - set(table))
    if wrong:
        raise ValueError(f"a range has low, high, and perhaps step or log; look at {', '.join(wrong)}")
    numbers = {name: value for name, value in table.items() if name != "log"}
    bad = [name for name, value in numbers.items() if type(value) not in (int, float)]
    if bad or not isinstance(table.get("log", False), bool):
        raise ValueError(f"{', '.join(bad or ['log'])} must be {'a number' if bad else 'true or false'}")
    return Range(**table)


def _with(table: dict[str, Any], path: list[str], value: Value, key: str) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**table, head: value}
    inner = table.get(head, {})
    if not isinstance(inner, dict):
        raise RecipeError(f"{key}: {head} is no table of the recipe")
    return {**table, head: _with(inner, rest, value, key)}
