"""What single cells of the field's tables mean. Each function raises ValueError with a reason for people."""

from __future__ import annotations

import math
import re

OLDEST_YEARS = 120.0
UNKNOWN_PART = "unknown"
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([DWMY]?)", re.ASCII)
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_SEXES = {
    "": "",
    "unknown": "",
    "u": "",
    "m": "male",
    "male": "male",
    "f": "female",
    "female": "female",
    "o": "other",
    "other": "other",
}
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


def parse_age(text: str) -> float | None:
    """Years from "41", "10.5", DICOM's "041Y", "006M", "003W" or "012D"; None for an empty cell."""
    if not text:
        return None
    found = _AGE.fullmatch(text.upper())
    years = float(found[1]) * _YEARS[found[2]] if found else math.nan
    if not 0 <= years <= OLDEST_YEARS:
        raise ValueError(f"age must be 0 to {OLDEST_YEARS:.0f} years, got {text!r}")
    return years


def parse_sex(text: str) -> str:
    """ "male", "female", "other" or ""."""
    if text.lower() not in _SEXES:
        raise ValueError(f"sex must be male, female, other or empty, got {text!r}")
    return _SEXES[text.lower()]


def parse_side(text: str) -> str:
    """ "left", "right", "both" or ""."""
    if text.lower() not in _SIDES:
        raise ValueError(f"laterality must be left, right, both or empty, got {text!r}")
    return _SIDES[text.lower()]
