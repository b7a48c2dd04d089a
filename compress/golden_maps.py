"""Where each engine of a bundle looks on the golden cases: evidence maps that it must repeat on a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.tolerances import MAP_DIGITS, map_tolerance
from runtime.backends.base import Backend
from runtime.detector import Detector, DetectorSpec
from runtime.manifest import GoldenCase
from runtime.map_grid import pool
from runtime.preprocess import preprocess
from runtime.readers import read_bytes

GRID = 7
"""Cells a side. A network that halves its input four or five times has a map of 28 or 14 cells a side for 448
pixels, of 14 or 7 for 224: no line of the grid cuts any of them."""

Opener = Callable[[], Backend]
Grids = NDArray[np.float64]


@dataclass(frozen=True)
class Engine:
    """precision: of its manifest entry. shifted: whether thresholds of its own follow a shift of logits."""

    open: Opener
    precision: str
    shifted: bool = False


@dataclass(frozen=True)
class MapPlan:
    """Whose maps are written down.

    spec: how all of them are asked. origin: opens the float graph that the engines were made from.
    engines: by key.
    """

    spec: DetectorSpec
    origin: Opener
    engines: Mapping[str, Engine]


@dataclass(frozen=True)
class Placed:
    """Golden cases with maps, and how far each engine's may lie from them on a box, by key.

    An engine whose own errors would hide a wrong place is in neither: a check that cannot tell is no check.
    """

    golden: tuple[GoldenCase, ...]
    tolerances: dict[str, float]


def write_maps(golden: Sequence[tuple[GoldenCase, Path]], plan: MapPlan) -> Placed:
    """Have every engine look at the pictures of the golden cases, read and prepared as a box does.

    Raises InputError for a picture that the runtime cannot read, InferenceError for an engine that fails.
    """
    spec = plan.spec.preprocess
    tensors = [preprocess(read_bytes(path.read_bytes(), case.file), spec)[0] for case, path in golden]
    shown = [(tensor, case) for tensor, (case, _) in zip(tensors, golden, strict=True)]
    origin = _look(plan.origin, plan.spec, shown)
    cases, tolerances = [case for case, _ in golden], {}
    for key, engine in plan.engines.items():
        found = _look(engine.open, plan.spec, shown)
        shift = np.median(found - origin) if engine.shifted else 0.0
        tolerance = map_tolerance(found - shift, origin, engine.precision)
        if tells_places(found, tolerance):
            tolerances[key] = tolerance
            cases = [_with_map(case, key, grid) for case, grid in zip(cases, found, strict=True)]
    return Placed(tuple(cases), tolerances)


def tells_places(grids: Grids, tolerance: float) -> bool:
    """Whether each way to be wrong shows on one of the (N, R, C) maps at least."""
    return all(np.abs(mistake(grids) - grids).max() > tolerance for mistake in _MISTAKES)


def _look(
    opener: Opener, spec: DetectorSpec, shown: Sequence[tuple[NDArray[np.float32], GoldenCase]]
) -> Grids:
    """(N, GRID, GRID), rounded as they are written."""
    with Detector(opener(), spec) as detector:
        maps = [detector.score(tensor, case.facts).map for tensor, case in shown]
    return np.round([pool(evidence, GRID, GRID) for evidence in maps], MAP_DIGITS)


def _with_map(case: GoldenCase, key: str, grid: Grids) -> GoldenCase:
    rows = tuple(tuple(float(cell) for cell in row) for row in grid)
    return replace(case, maps={**case.maps, key: rows})


def _moved(axis: int, by: int) -> Callable[[Grids], Grids]:
    """By a cell; what leaves on one side is not there, the other side goes on as it was."""

    def move(grids: Grids) -> Grids:
        last = grids.shape[axis] - 1
        return np.asarray(np.take(grids, np.clip(np.arange(last + 1) - by, 0, last), axis))

    return move


_MISTAKES: tuple[Callable[[Grids], Grids], ...] = (
    lambda grids: grids[:, ::-1],
    lambda grids: grids[:, :, ::-1],
    lambda grids: grids[:, ::-1, ::-1],
    lambda grids: grids.transpose(0, 2, 1),
    lambda grids: grids.transpose(0, 2, 1)[:, ::-1],
    lambda grids: grids.transpose(0, 2, 1)[:, :, ::-1],
    lambda grids: grids.transpose(0, 2, 1)[:, ::-1, ::-1],
    *(_moved(axis, by) for axis in (1, 2) for by in (1, -1)),
    lambda grids: np.broadcast_to(grids.mean(axis=(1, 2), keepdims=True), grids.shape),
    np.zeros_like,
)
"""Mirrored, turned, transposed, moved by a cell, the same everywhere, nothing at all."""
