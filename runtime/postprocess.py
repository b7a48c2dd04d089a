"""What the network put out -> a probability and places in the source image. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InferenceError
from runtime.findings import Box
from runtime.preprocess import Placement

EVIDENCE_LONG_SIDE_PX = 192
"""Cells on the longer side of the evidence over the source image (fewer for smaller images)."""


@dataclass(frozen=True)
class LocateOptions:
    """How peaks of the map become boxes.

    cut: height of the contour between the map's median (0) and its peak (1).
    keep: a further place is shown when its own peak lies at least this high on the same scale.
    max_boxes: strongest first.

    Chosen on the reference model's calibration patients (50 fractured images with boxes) and confirmed on its
    gate patients (92). cut: from 0.75 to 0.825 the strongest box lies on a fracture most often, and at 0.75
    overlap is best among these. keep: the lowest, in steps of 0.05, that shows no more boxes on healthy
    images than 0.5 and 0.7 did, since a second fracture not shown costs more than a box too many. From 0.5
    and 0.7 to 0.75 and 0.85, calibration then gate patients: strongest box on a fracture 0.66 to 0.82 and
    0.71 to 0.80, mean IoU 0.21 to 0.35 and 0.17 to 0.32, boxes on a healthy image that gets a verdict other
    than none 1.88 to 1.77 and 1.77 to 1.55. The mask is left as it is: closing changed nothing or widened
    the boxes, opening by 0.3 of a cell gained 0.002 and 0.004 of IoU, by 0.4 it lost 0.02.
    """

    cut: float = 0.75
    keep: float = 0.85
    max_boxes: int = 5


DEFAULT_OPTIONS = LocateOptions()


def probability(logit: float) -> float:
    """The logistic function without overflow. Raises InferenceError for NaN and infinities."""
    if not math.isfinite(logit):
        raise InferenceError(f"the network answered {logit}, a finite logit was expected")
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1.0 + odds)


def locate(
    logits: NDArray[np.float32], placement: Placement, options: LocateOptions = DEFAULT_OPTIONS
) -> tuple[tuple[Box, ...], NDArray[np.float32]]:
    """Boxes in source pixels, strongest first and at least one, and the evidence over the source image.

    logits: (h, w) map over the square input, one logit a cell. The evidence is (H', W') float32 in 0 to 1
    on a grid with the source's aspect ratio, long side at most EVIDENCE_LONG_SIDE_PX: cell (i, j) covers
    rows i*H/H' to (i+1)*H/H' of the source. Only the image is looked at, never the padding round it.
    Raises InferenceError for a map that is not a finite plane.
    """
    if logits.ndim != 2 or 0 in logits.shape or not np.isfinite(logits).all():
        raise InferenceError(f"the network's map must be a finite (h, w) plane, got shape {logits.shape}")
    on_source = over_source(logits, placement)
    return _boxes(on_source, _cell_px(logits.shape, placement), placement, options), _sigmoid(on_source)


def over_source(logits: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """The map resampled (bilinear) onto a grid over the source image, still logits."""
    height, width = placement.source_height_px, placement.source_width_px
    scale = min(1.0, EVIDENCE_LONG_SIDE_PX / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    x_source = (np.arange(columns) + 0.5) * width / columns
    y_source = (np.arange(rows) + 0.5) * height / rows
    x_input, y_input = placement.to_input(x_source, y_source)  # type: ignore[arg-type]  # works on arrays
    map_x = _to_cells(np.asarray(x_input), logits.shape[1], placement.size_px)
    map_y = _to_cells(np.asarray(y_input), logits.shape[0], placement.size_px)
    sampled = cv2.remap(
        logits.astype(np.float32),
        np.repeat(map_x[None, :], rows, axis=0),
        np.repeat(map_y[:, None], columns, axis=1),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(sampled, np.float32)


def _to_cells(coordinates: NDArray[np.float64], cells: int, size_px: int) -> NDArray[np.float32]:
    """Input pixels -> positions between cell centres."""
    return (coordinates * cells / size_px - 0.5).astype(np.float32)


def _cell_px(shape: tuple[int, ...], placement: Placement) -> tuple[float, float]:
    """(width, height) of one map cell in source pixels: no place is known more closely than that."""
    input_px_per_source_px = placement.scale
    return (
        placement.size_px / shape[1] / input_px_per_source_px,
        placement.size_px / shape[0] / input_px_per_source_px,
    )


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    # exp of 80 is still a finite float32, and the sigmoid is 0 or 1 there anyway.
    return (1.0 / (1.0 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)


def _boxes(
    logits: NDArray[np.float32], cell_px: tuple[float, float], placement: Placement, options: LocateOptions
) -> tuple[Box, ...]:
    floor, peak = float(np.median(logits)), float(logits.max())
    above = (logits >= floor + options.cut * (peak - floor)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    found = []
    for label in range(1, count):
        height = float(logits[labels == label].max())
        if height >= floor + options.keep * (peak - floor):
            found.append((height, _box(stats[label], logits.shape, cell_px, placement, height)))
    found.sort(key=lambda item: -item[0])
    return tuple(box for _, box in found[: options.max_boxes])


def _box(
    stats: NDArray[np.int32],
    grid: tuple[int, ...],
    cell_px: tuple[float, float],
    placement: Placement,
    peak_logit: float,
) -> Box:
    left, top, width, height = (int(value) for value in stats[:4])
    x0, x1 = _span(
        left, left + width, placement.source_width_px / grid[1], cell_px[0], placement.source_width_px
    )
    y0, y1 = _span(
        top, top + height, placement.source_height_px / grid[0], cell_px[1], placement.source_height_px
    )
    return Box(x0, y0, x1, y1, probability(peak_logit))


def _span(first: int, last: int, step_px: float, least_px: float, limit_px: int) -> tuple[float, float]:
    """Grid cells -> pixels, widened about the middle to at least `least_px`, inside the image."""
    middle, half = (first + last) / 2 * step_px, max((last - first) * step_px, least_px) / 2
    return max(0.0, middle - half), min(float(limit_px), middle + half)
