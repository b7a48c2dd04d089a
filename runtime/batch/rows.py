"""An answer as a row of a table, and text that is harmless in a cell."""

from __future__ import annotations

from typing import Any

TEXT, NUMBER, COUNT = "text", "number", "count"
_KINDS: dict[str, type | tuple[type, ...]] = {TEXT: str, NUMBER: (int, float), COUNT: int}
_STAGES = ("read", "quality", "preprocess", "infer", "inverse", "locate")
COLUMNS: dict[str, str] = {
    "file": TEXT,
    "member": TEXT,
    "occurrence": COUNT,
    "verdict": TEXT,
    "probability": NUMBER,
    "high_sensitivity": NUMBER,
    "high_specificity": NUMBER,
    "boxes": COUNT,
    "box_x0_px": NUMBER,
    "box_y0_px": NUMBER,
    "box_x1_px": NUMBER,
    "box_y1_px": NUMBER,
    "box_score": NUMBER,
    "refusal_code": TEXT,
    "refusal_message": TEXT,
    "warnings": TEXT,
    "width_px": COUNT,
    "height_px": COUNT,
    "engine": TEXT,
    "precision": TEXT,
    "bundle_sha256": TEXT,
    "model_sha256": TEXT,
    "image_sha256": TEXT,
    **{f"{stage}_ms": NUMBER for stage in _STAGES},
    "total_ms": NUMBER,
    "notice": TEXT,
}
"""Every column and what it holds; thresholds are those that the probability was held against, the box is the
strongest, total_ms is of all stages."""
FAILURE_COLUMNS = (
    "file",
    "member",
    "occurrence",
    "refusal_code",
    "refusal_message",
    "advice",
    "image_sha256",
)
_FORMULA = (*"=+-@", *"\uff1d\uff0b\uff0d\uff20")
"""What begins a formula; the second four are the wide forms, which spreadsheets take for the first."""


def row_of(record: dict[str, Any]) -> dict[str, Any]:
    """A line of findings.jsonl -> a value for each of COLUMNS, None for none; text is printable."""
    refusal, boxes, points = record["refusal"] or {}, record["boxes"], record["operating_points"] or {}
    box, times = boxes[0] if boxes else {}, record["timings_ms"]
    source = record["provenance"]
    values = {
        **{name: record[name] for name in ("file", "member", "occurrence", "verdict", "probability")},
        **{name: points.get(name) for name in ("high_sensitivity", "high_specificity")},
        "boxes": len(boxes),
        **{f"box_{name}": box.get(name) for name in ("x0_px", "y0_px", "x1_px", "y1_px", "score")},
        "refusal_code": refusal.get("code"),
        "refusal_message": refusal.get("message"),
        "warnings": " ".join(record["warnings"]),
        **{name: record[name] for name in ("width_px", "height_px", "notice")},
        **{name: source[name] for name in ("engine", "precision", "bundle_sha256", "model_sha256")},
        "image_sha256": source["image_sha256"],
        **{f"{stage}_ms": times.get(stage) for stage in _STAGES},
        "total_ms": round(sum(times.values()), 3),
    }
    return {name: _plain(values[name]) for name in COLUMNS}


def require_row(record: dict[str, Any]) -> None:
    """Raises LookupError, TypeError or AttributeError for what no row can be made of."""
    row = row_of(record)
    for name, kind in COLUMNS.items():
        if row[name] is not None and not isinstance(row[name], _KINDS[kind]):
            raise TypeError(f"{name} cannot be {row[name]!r}")
    needed = [record["verdict"]]
    if record["refusal"] is not None:
        needed += [record["refusal"][name] for name in ("code", "message", "advice")]
    if not all(isinstance(text, str) for text in needed):
        raise TypeError("a verdict, and all that a refusal says, are texts")


def failure_of(record: dict[str, Any]) -> dict[str, Any]:
    """The same for FAILURE_COLUMNS; for an unreadable picture."""
    row = {**row_of(record), "advice": _plain(record["refusal"]["advice"])}
    return {name: row[name] for name in FAILURE_COLUMNS}


def printable(text: str) -> str:
    """With what cannot be printed as escapes: a line feed is backslash n, a backslash two of them."""
    return "".join(_escaped(letter) for letter in text)


def cell(value: Any) -> Any:
    """A printable text for a spreadsheet: one that it would compute, or that begins with ', gets a ' more."""
    if isinstance(value, str) and value.startswith((*_FORMULA, "'")):
        return "'" + value
    return value


def _plain(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _escaped(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
