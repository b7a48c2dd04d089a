"""The published JSON schemas (draft 2020-12) of a run's record and of a step's verdict."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

FILE = "run.schema.json"


def run_schema() -> dict[str, Any]:
    """Of `run.json`; its `schema` number is the `const` here, and rises when a reader would no longer do."""
    text = resources.files("compress.report").joinpath(FILE).read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def verdict_schema() -> dict[str, Any]:
    """Of `gate/verdict.json`, which every judged node of `run.json` holds too."""
    whole = run_schema()
    return {"$schema": whole["$schema"], "$ref": "#/$defs/verdict", "$defs": whole["$defs"]}
