"""Marks that stand in a row like letters, in any direction, and figures that tell writing from anatomy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.letters import Floats, Marks

FEATURES = (
    "marks", "contrast", "least contrast", "contrast spread", "unevenness", "sharpness", "sharpness spread",
    "off the line", "size spread", "gap spread", "gap", "size", "level", "fill", "fill spread",
    "most unevenness", "stroke",
)  # fmt: skip
_LEAST_MARKS = 3
_MOST_MARKS, _MOST_PAIRS = 700, 3000
_NEAREST, _FARTHEST, _WIDEST_GAP = 0.25, 2.0, 2.4
_SIZES_ALIKE, _CONTRASTS_ALIKE = 1.8, 1.7
_OFF_THE_LINE = 0.4


@dataclass(frozen=True, eq=False)
class Rows:
    """features: (R, len(FEATURES)). members: corners (n, 4) of each row's marks, on the working picture."""

    features: Floats
    members: tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Neighbours that may begin a row: places of both, direction (P, 2), size and contrast between them."""

    first: NDArray[np.intp]
    direction: NDArray[np.float64]
    size: NDArray[np.float64]
    contrast: NDArray[np.float64]


def rows(marks: Marks, stroke_px: int) -> Rows:
    """The rows of at least three marks, longest first; a mark stands in one of them for the most part."""
    if len(marks) > _MOST_MARKS:
        marks = marks.only(np.argsort(-marks.contrast, kind="stable")[:_MOST_MARKS])
    features, members = [], []
    for places in _disjoint(_candidates(marks)):
        features.append(_figures(marks.only(places), stroke_px))
        members.append(marks.boxes[places])
    return Rows(np.array(features, np.float32).reshape(-1, len(FEATURES)), tuple(members))


def _candidates(marks: Marks) -> set[tuple[int, ...]]:
    if len(marks) < _LEAST_MARKS:
        return set()
    centers, sizes = _centers(marks), _sizes(marks)
    pairs = _pairs(marks, centers, sizes)
    found = set()
    for number, first in enumerate(pairs.first):
        away = centers - centers[first]
        along = away @ pairs.direction[number]
        size, contrast = pairs.size[number], pairs.contrast[number]
        across = np.abs(away[:, 1] * pairs.direction[number, 0] - away[:, 0] * pairs.direction[number, 1])
        fits = (across < _OFF_THE_LINE * size) & _alike(sizes, size, _SIZES_ALIKE)
        fits &= _alike(marks.contrast, contrast, _CONTRASTS_ALIKE)
        places = _unbroken(np.flatnonzero(fits), along, int(first), _WIDEST_GAP * size)
        if len(places) >= _LEAST_MARKS:
            found.add(tuple(sorted(int(place) for place in places)))
    return found


def _pairs(marks: Marks, centers: NDArray[np.float64], sizes: NDArray[np.float64]) -> _Pairs:
    away = centers[None] - centers[:, None]
    distance = np.hypot(away[..., 0], away[..., 1])
    larger = np.maximum(sizes[:, None], sizes[None])
    near = (distance < _FARTHEST * larger) & (distance > _NEAREST * larger)
    near &= _alike(sizes[:, None], sizes[None], _SIZES_ALIKE)
    near &= _alike(marks.contrast[:, None], marks.contrast[None], _CONTRASTS_ALIKE)
    first, second = np.nonzero(np.triu(near))
    if len(first) > _MOST_PAIRS:
        closest = np.argsort((distance / larger)[first, second], kind="stable")[:_MOST_PAIRS]
        first, second = first[closest], second[closest]
    return _Pairs(
        first,
        away[first, second] / np.maximum(distance[first, second], 1e-6)[:, None],
        (sizes[first] + sizes[second]) / 2,
        (marks.contrast[first] + marks.contrast[second]).astype(np.float64) / 2,
    )


def _alike(
    one: NDArray[np.floating], other: NDArray[np.floating] | float, within: float
) -> NDArray[np.bool_]:
    return np.asarray((one < within * other) & (other < within * one))


def _unbroken(
    places: NDArray[np.intp], along: NDArray[np.float64], first: int, widest: float
) -> NDArray[np.intp]:
    """The part of a line, from gap to gap, that the first mark is in."""
    places = places[np.argsort(along[places], kind="stable")]
    at = int(np.searchsorted(along[places], along[first]))
    breaks = np.flatnonzero(np.diff(along[places]) > widest) + 1
    start = max((int(end) for end in breaks if end <= at), default=0)
    end = min((int(end) for end in breaks if end > at), default=len(places))
    return places[start:end]


def _disjoint(found: set[tuple[int, ...]]) -> list[NDArray[np.intp]]:
    """Longest first; a row half of whose marks stand in longer ones is left out."""
    taken: set[int] = set()
    kept = []
    for places in sorted(found, key=lambda row: (-len(row), row)):
        if len(taken.intersection(places)) <= len(places) // 2:
            taken.update(places)
            kept.append(np.array(places, np.intp))
    return kept


def _figures(marks: Marks, stroke_px: int) -> list[float]:
    """In the order of FEATURES."""
    centers, sizes = _centers(marks), _sizes(marks)
    away = centers - centers.mean(axis=0)
    spread, axes = np.linalg.eigh(away.T @ away / len(marks))
    gaps = np.diff(np.sort(away @ axes[:, 1]))
    size, contrast = float(np.median(sizes)), marks.contrast
    return [
        len(marks), contrast.mean(), contrast.min(), contrast.std() / contrast.mean(),
        float(np.median(marks.unevenness)), marks.sharpness.mean(), marks.sharpness.std(),
        np.sqrt(max(spread[0], 0.0)) / size, np.log(sizes).std(), gaps.std() / size, gaps.mean() / size,
        size, abs(axes[0, 1]), marks.fill.mean(), marks.fill.std(), marks.unevenness.max(), stroke_px,
    ]  # fmt: skip


def _centers(marks: Marks) -> NDArray[np.float64]:
    return np.asarray((marks.boxes[:, :2] + marks.boxes[:, 2:]) / 2, np.float64)


def _sizes(marks: Marks) -> NDArray[np.float64]:
    return np.asarray((marks.boxes[:, 2:] - marks.boxes[:, :2]).max(axis=1, initial=0), np.float64)
