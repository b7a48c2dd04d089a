"""What training sees: preprocessed tensors, labels and where the fractures are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case, FractionBox
from runtime.preprocess import Placement, PreprocessSpec

MASK_STRIDE_PX = 4
"""Boxes are kept as masks this much coarser than the input: finer than any evidence map, and small."""


class TensorSource(Protocol):
    """The part of TensorCache that training needs."""

    spec: PreprocessSpec

    def stack(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32."""
        ...

    def placement(self, case: Case) -> Placement:
        """Where the image lies in its tensor."""
        ...


@dataclass(frozen=True, eq=False)
class LabelledTensors:
    """tensors: (N, 1, S, S) float32. labels: (N,) float32, 0 or 1.

    masks: (N, S // 4, S // 4) uint8, 1 where a fracture box lies; empty for healthy images and for fractures
    that nobody has outlined. strata: (N,) words by which sampling can be balanced, the body parts.

    Raises ValueError for shapes that do not belong together.
    """

    tensors: NDArray[np.float32]
    labels: NDArray[np.float32]
    masks: NDArray[np.uint8]
    strata: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        count, size = len(self.tensors), self.tensors.shape[-1]
        grid = size // MASK_STRIDE_PX
        expected = ((count, 1, size, size), (count,), (count, grid, grid))
        got = (self.tensors.shape, self.labels.shape, self.masks.shape)
        if got != expected:
            raise ValueError(f"tensors, labels and masks must be {expected}, got {got}")
        if self.strata is not None and len(self.strata) != count:
            raise ValueError(f"{count} images need as many strata, got {len(self.strata)}")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class TrainData:
    """fit: what the weights learn from. calibration: what chooses the epoch. Disjoint patients.

    preprocess: how the tensors were made; augmentation works in its [0, 1] scale.
    """

    fit: LabelledTensors
    calibration: LabelledTensors
    preprocess: PreprocessSpec


def train_data(source: TensorSource, fit: Sequence[Case], calibration: Sequence[Case]) -> TrainData:
    """Gather two sets of cases from a tensor cache."""
    return TrainData(label(source, fit), label(source, calibration), source.spec)


def label(source: TensorSource, cases: Sequence[Case]) -> LabelledTensors:
    """The cases' tensors with labels, and their boxes as masks."""
    masks = [box_mask(case.boxes, source.placement(case)) for case in cases]
    labels = np.array([case.label for case in cases], np.float32)
    strata = np.array([case.body_part for case in cases], np.str_)
    return LabelledTensors(source.stack(cases), labels, np.stack(masks), strata)


def box_mask(boxes: Sequence[FractionBox], placement: Placement) -> NDArray[np.uint8]:
    """(S // 4, S // 4) uint8: 1 in every cell that a box touches. Boxes are fractions of the source image."""
    cells = placement.size_px // MASK_STRIDE_PX
    mask = np.zeros((cells, cells), np.uint8)
    for box in boxes:
        x0, y0, x1, y1 = (edge / MASK_STRIDE_PX for edge in _to_input(box, placement))
        columns = slice(max(0, int(x0)), max(0, int(np.ceil(x1))))
        mask[max(0, int(y0)) : max(0, int(np.ceil(y1))), columns] = 1
    return mask


def _to_input(box: FractionBox, placement: Placement) -> tuple[float, float, float, float]:
    width, height = placement.source_width_px, placement.source_height_px
    x0, y0 = placement.to_input(box[0] * width, box[1] * height)
    x1, y1 = placement.to_input(box[2] * width, box[3] * height)
    return x0, y0, x1, y1
