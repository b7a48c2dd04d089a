"""What single cells of the field's tables mean. Each function raises ValueError with a reason for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from runtime.metadata import OLDEST_YEARS, parse_age, parse_sex

__all__ = [
    "OLDEST_YEARS",
    "UNKNOWN_PART",
    "parse_age",
    "parse_flag",
    "parse_label",
    "parse_sex",
    "parse_side",
    "parsed",
]

_T = TypeVar("_T")

UNKNOWN_PART = "unknown"
_SIDES = {"": "", "l": "left", "left": "left", "r": "right", "right": "right", "b": "both", "both": "both"}
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "no": 0, "yes": 1}


def parse_label(text: str, column: str = "fractured") -> int:
    """0 or 1."""
    label = _LABELS.get(text.lower())
    if label is None:
        raise ValueError(f"{column} must be 0 or 1, got {text!r}")
    return label


def parse_flag(text: str, column: str) -> int:
    """0 or 1, where an empty cell means 0."""
    return parse_label(text, column) if text else 0


def parse_side(text: str) -> str:
    """ "left", "right", "both" or ""."""
    if text.lower() not in _SIDES:
        raise ValueError(f"laterality must be left, right, both or empty, got {text!r}")
    return _SIDES[text.lower()]


def parsed(parse: Callable[[str], _T], text: str, faults: list[str]) -> _T | None:
    """What the cell means, None where it means nothing: the reason is then added to `faults`.

    So a row with several bad cells tells of all of them.
    """
    try:
        return parse(text)
    except ValueError as error:
        faults.append(str(error))
        return None
