"""A picture of made windows: real fractures, and healthy windows before and after their holes are filled."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.patches.source import PatchMaker
from compress.training.data import MASK_STRIDE_PX
from runtime import lettering
from runtime.errors import StepError
from runtime.lettering import Canvas, Colour, Style
from runtime.preprocess import PreprocessSpec

_BACKGROUND: Colour = (24, 22, 20)  # blue, green, red
_OUTLINE: Colour = (64, 140, 255)
_TITLE = Style(24, (255, 255, 255), bold=True)
_HEADING = Style(17, (240, 236, 232), bold=True)
_QUIET = Style(15, (178, 172, 168))
_MARGIN_PX, _GAP_PX, _CELL_PX, _TITLE_PX, _GUTTER_PX = 24, 6, 144, 104, 30
_COLUMNS = ("real fracture", "healthy", "fracture made", "healthy refilled")
_BLOCKS = 2
_NOTE = "Outlined: where a fracture is, was made, or the hole was filled with none."


@dataclass(frozen=True, eq=False)
class _Row:
    """windows: in the order of the columns. masks: the real one's, then that of the other three."""

    windows: tuple[NDArray[np.float32], ...]
    masks: tuple[NDArray[np.float32], NDArray[np.float32]]


def draw_patches(maker: PatchMaker, spec: PreprocessSpec, seed: int, rows: int = 16) -> bytes:
    """PNG bytes; the same seed draws the same windows. Raises StepError where it cannot be encoded."""
    made = _make(maker, seed, rows)
    tall = -(-rows // _BLOCKS)
    block_px = len(_COLUMNS) * (_CELL_PX + _GAP_PX) - _GAP_PX
    width_px = 2 * _MARGIN_PX + _BLOCKS * block_px + (_BLOCKS - 1) * _GUTTER_PX
    shape = (_TITLE_PX + tall * (_CELL_PX + _GAP_PX) + _MARGIN_PX, width_px, 3)
    canvas = np.full(shape, _BACKGROUND, np.uint8)
    lefts = [_MARGIN_PX + number * (block_px + _GUTTER_PX) for number in range(_BLOCKS)]
    _write(canvas, f"Made windows, seed {seed}", lefts)
    for number, row in enumerate(made):
        block, line = divmod(number, tall)
        _draw_row(canvas, row, (lefts[block], _TITLE_PX + line * (_CELL_PX + _GAP_PX)), spec)
    done, encoded = cv2.imencode(".png", canvas)
    if not done:
        raise StepError(f"OpenCV could not encode a picture of {shape[1]} x {shape[0]} pixels")
    return bytes(encoded.tobytes())


def _make(maker: PatchMaker, seed: int, count: int) -> list[_Row]:
    rng = np.random.default_rng(seed)
    real, masks = maker.sampler.fractured(count, rng)
    borrowed = masks.roll(1, 0)
    below = maker.sampler.healthy(borrowed, rng)
    filled = [maker.fill(below, borrowed, torch.full((count,), label), rng) for label in (1.0, 0.0)]
    columns = [_planes(part) for part in (real, below, *filled)]
    outlines = _planes(masks), _planes(borrowed)
    return [
        _Row(tuple(column[number] for column in columns), (outlines[0][number], outlines[1][number]))
        for number in range(count)
    ]


def _planes(stack: Tensor) -> NDArray[np.float32]:
    return np.asarray(stack[:, 0].numpy(), np.float32)


def _write(canvas: Canvas, title: str, lefts: list[int]) -> None:
    font = lettering.outline_font()
    lettering.draw(canvas, title, (_MARGIN_PX, 40), _TITLE, font)
    lettering.draw(canvas, _NOTE, (_MARGIN_PX, 66), _QUIET, font)
    for left in lefts:
        for number, words in enumerate(_COLUMNS):
            place = (left + number * (_CELL_PX + _GAP_PX), _TITLE_PX - 12)
            lettering.draw(canvas, words, place, _HEADING, font)


def _draw_row(canvas: Canvas, row: _Row, corner_px: tuple[int, int], spec: PreprocessSpec) -> None:
    left, top = corner_px
    for number, window in enumerate(row.windows):
        cell = _gray(window, spec)
        _outline(cell, row.masks[min(number, 1)], window.shape[0])
        x = left + number * (_CELL_PX + _GAP_PX)
        canvas[top : top + _CELL_PX, x : x + _CELL_PX] = cell


def _gray(window: NDArray[np.float32], spec: PreprocessSpec) -> Canvas:
    """(144, 144, 3)."""
    unit = np.clip(window * spec.std + spec.mean, 0, 1)
    large = cv2.resize(unit, (_CELL_PX, _CELL_PX), interpolation=cv2.INTER_CUBIC)
    gray = np.clip(large * 255, 0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(np.repeat(gray[:, :, None], 3, axis=2))


def _outline(cell: Canvas, mask: NDArray[np.float32], side_px: int) -> None:
    """Around the marked cells, drawn in place."""
    scale = _CELL_PX / side_px * MASK_STRIDE_PX
    for row, column in np.argwhere(mask > 0).tolist():
        edges = [(row - 1, column, 0), (row + 1, column, 1), (row, column - 1, 2), (row, column + 1, 3)]
        for beside_row, beside_column, edge in edges:
            if not _is_marked(mask, beside_row, beside_column):
                _edge(cell, (row, column), edge, scale)


def _is_marked(mask: NDArray[np.float32], row: int, column: int) -> bool:
    inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
    return inside and bool(mask[row, column] > 0)


def _edge(cell: Canvas, place: tuple[int, int], edge: int, scale: float) -> None:
    """edge: above, below, left or right of the marked cell."""
    top, left = (round(number * scale) for number in place)
    bottom, right = (round((number + 1) * scale) for number in place)
    ends = (
        ((left, top), (right, top)),
        ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)),
        ((right, top), (right, bottom)),
    )[edge]
    cv2.line(cell, *ends, _OUTLINE, 1)
