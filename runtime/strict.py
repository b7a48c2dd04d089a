"""JSON from outside -> frozen dataclasses, or a BundleFormatError that names the value that is wrong."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from runtime.errors import BundleFormatError

T = TypeVar("T")
MAX_DEPTH = 32


def loads(data: bytes, name: str) -> Any:
    """Parse UTF-8 JSON. Raises BundleFormatError for NaN, infinities, repeated keys, halves of characters
    (a lone \\ud800, which nothing can print) and deep nesting.

    The plain parser takes all of these; the last one may even end the process.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(f"{name} is not valid JSON: {error}") from error
    if _depth(value) > MAX_DEPTH:
        raise BundleFormatError(f"{name} is nested deeper than {MAX_DEPTH} levels")
    if b"\\u" in data:  # half a character can only have come from an escape: the bytes were UTF-8
        _require_whole_characters(value, name)
    return value


def build(cls: type[T], value: Any, where: str) -> T:
    """A dict -> a dataclass, key by key; what its __post_init__ refuses is refused here by name."""
    table = _table(value, where)
    assert dataclasses.is_dataclass(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise BundleFormatError(f"{where}: unknown key {unknown[0]!r}", f"known keys: {', '.join(fields)}")
    missing = [name for name, field in fields.items() if name not in table and _required(field)]
    if missing:
        raise BundleFormatError(f"{where}: key {missing[0]!r} is missing")
    hints = typing.get_type_hints(cls)
    values = {key: _convert(hints[key], item, f"{where}.{key}") for key, item in table.items()}
    try:
        return typing.cast(T, cls(**values))
    except (TypeError, ValueError) as error:
        raise BundleFormatError(f"{where}: {error}") from error


def _require_whole_characters(value: Any, name: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BundleFormatError(f"{name} holds half a character") from error


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return build(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # only ever "X | None"
        return None if value is None else _convert(arguments[0], value, where)
    if origin is tuple:
        items = _items(value, where)
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        table = _table(value, where)
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in table.items()}
    return _scalar(kind, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return _float(value, where)
    if kind is not Any and type(value) is not kind:
        raise BundleFormatError(f"{where} must be {kind.__name__}, got {value!r:.80}")
    return value


def _float(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise BundleFormatError(f"{where} is too large a number") from error


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BundleFormatError(f"{where} must be an object, got {value!r:.80}")
    return value


def _items(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise BundleFormatError(f"{where} must be a list, got {value!r:.80}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        repeated, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"key {repeated!r} appears twice")
    return table


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _depth(value: Any) -> int:
    deepest, layer = 0, [value]
    while layer:
        deepest += 1
        layer = [child for item in layer for child in _children(item)]
    return deepest


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, dict | list)]
    if isinstance(value, list):
        return [child for child in value if isinstance(child, dict | list)]
    return []
