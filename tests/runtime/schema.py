"""A small reader of JSON schemas: the keywords that the runtime's schemas use, an error for any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_REMARKS = {"$schema", "$id", "title", "description"}


def problems(value: Any, name: str = "findings-1.json") -> list[str]:
    """What is wrong with a JSON value of findings, or of another schema; it must also survive JSON itself."""
    return list(_problems(json.loads(json.dumps(value, allow_nan=False)), _schema(name), "$"))


def _schema(name: str) -> dict[str, Any]:
    text = resources.files("runtime").joinpath(f"schemas/{name}").read_text(encoding="utf-8")
    return dict(json.loads(text))


def _problems(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _problems(value, _schema(schema["$ref"]), where)
        return
    known = {
        "type",
        "const",
        "enum",
        "minimum",
        "maximum",
        "items",
        "properties",
        "required",
        "additionalProperties",
    }
    assert set(schema) <= known | _REMARKS, f"keyword {set(schema) - known - _REMARKS} is not understood"
    if "const" in schema and value != schema["const"]:
        yield f"{where} must be {schema['const']!r}, got {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} must be one of {schema['enum']}, got {value!r}"
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if kinds and not any(_is_of(value, kind) for kind in kinds):
        yield f"{where} must be {kinds}, got {value!r}"
    elif isinstance(value, dict):
        yield from _problems_of_object(value, schema, where)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _problems(item, schema.get("items", {}), f"{where}[{i}]")
    elif isinstance(value, int | float) and not _in_range(value, schema):
        yield f"{where} is out of range: {value}"


def _is_of(value: Any, kind: str) -> bool:
    return isinstance(value, bool) is (kind == "boolean") and isinstance(value, _TYPES[kind])


def _in_range(value: float, schema: dict[str, Any]) -> bool:
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _problems_of_object(value: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key in schema.get("required", []):
        if key not in value:
            yield f"{where}.{key} is missing"
    for key, item in value.items():
        if key in named:
            yield from _problems(item, named[key], f"{where}.{key}")
        elif isinstance(others, dict):
            yield from _problems(item, others, f"{where}.{key}")
        elif not others:
            yield f"{where}.{key} is not in the schema"
