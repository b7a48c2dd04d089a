"""Tables of plain values, as TOML gives them, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

from compress.options.gate import MarginValue
from runtime.errors import RecipeError

T = TypeVar("T")


def from_table(cls: type[T], table: dict[str, Any], where: str) -> T:
    """A table of plain values as a frozen dataclass. Raises RecipeError naming the key that is wrong."""
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise RecipeError(f"unknown key {where}.{unknown[0]}", f"known keys: {', '.join(hints)}")
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise RecipeError(f"{where} must be a table, got {value!r}")
        return from_table(kind, value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{where} must be a list, got {value!r}")
        return tuple(
            _convert(typing.get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(value)
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, types.UnionType):
        return _convert_margin(kind, value, where)
    if type(value) is not kind:
        raise RecipeError(f"{where} must be {kind.__name__}, got {value!r}")
    if kind is float and not math.isfinite(value):
        raise RecipeError(f"{where} must be a finite number, got {value!r}")
    return value


def _convert_margin(kind: types.UnionType, value: Any, where: str) -> Any:
    """The one value that may be of two kinds."""
    if kind != MarginValue:
        raise RecipeError(f"{where}: recipes hold plain values only")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RecipeError(f'{where} must be a number or a share such as "3%", got {value!r}')
    return _convert(str if isinstance(value, str) else float, value, where)
