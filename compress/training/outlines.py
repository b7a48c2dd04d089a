"""Outlines of fractures, finer than boxes, read from a file that lies beside the images of a data set."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.datasets.base import Case
from compress.datasets.problems import refuse
from runtime.errors import StepError

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) as fractions of the image's width and height, at least three."""
Polygons = Mapping[str, tuple[Polygon, ...]]
"""By case id."""

_LEAST_NUMBERS = 6


@dataclass(frozen=True)
class Outlines:
    """What a file said. digest: of its bytes; "" for no file."""

    polygons: Polygons = field(default_factory=dict)
    digest: str = ""


def outlines_of(cases: Iterable[Case], data: Path | None, name: str) -> Outlines:
    """Those that a recipe names, none where it names none; fractures without one keep their boxes.

    Raises StepError where there is no such file, and where it outlines healthy images or no fracture.
    """
    if not name:
        return Outlines()
    if data is None:
        raise StepError(
            f"outlines {name} are named and no data", "give --data, or leave [data] outlines empty"
        )
    cases, found = tuple(cases), read_outlines(data / name)
    require_fractured(cases, found, name)
    if not any(found.polygons.get(case.case_id) for case in cases if case.label):
        raise StepError(f"{data / name} outlines no fracture of this data", "check its case ids")
    return found


def require_fractured(cases: Iterable[Case], found: Outlines, name: str) -> None:
    """Raise StepError that lists the healthy images that are outlined. name: of the file."""
    wrong = [case for case in cases if not case.label and found.polygons.get(case.case_id)]
    problems = [f"{case.case_id} is healthy" for case in wrong]
    refuse(f"outlines {name}", problems, "correct the label or the outline")


def read_outlines(path: Path) -> Outlines:
    """JSON {case id: [fracture, …]}; a fracture is a list of rings [x0, y0, x1, y1, …], as COCO writes them.

    Raises StepError that lists everything wrong.
    """
    try:
        data = path.read_bytes()
        table = json.loads(data)
    except (OSError, ValueError) as error:
        raise StepError(f"cannot read outlines {path}: {error}", "give a JSON file") from error
    if not isinstance(table, dict):
        raise StepError(f"outlines {path} must map case ids to polygons", "see compress.training.outlines")
    problems: list[str] = []
    polygons = {case: _polygons(case, fractures, problems) for case, fractures in table.items()}
    refuse(f"outlines {path.name}", problems, "give corners as fractions of the image, three or more")
    return Outlines(polygons, hashlib.sha256(data).hexdigest())


def _polygons(case: str, fractures: Any, problems: list[str]) -> tuple[Polygon, ...]:
    if not isinstance(fractures, list) or not all(isinstance(rings, list) for rings in fractures):
        problems.append(f"{case}: expected a list of fractures, each a list of rings")
        return ()
    rings = [ring for fracture in fractures for ring in fracture]
    wrong = [number for number, ring in enumerate(rings, 1) if not _is_ring(ring)]
    problems += [f"{case}: ring {number} is no polygon inside the image" for number in wrong]
    return () if wrong else tuple(tuple(zip(ring[::2], ring[1::2], strict=True)) for ring in rings)


def _is_ring(ring: Any) -> bool:
    if not isinstance(ring, list) or len(ring) < _LEAST_NUMBERS or len(ring) % 2:
        return False
    return all(
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= 1
        for value in ring
    )
