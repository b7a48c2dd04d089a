"""What training sees: preprocessed tensors, labels and where the fractures are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.datasets.base import Case, FractionBox
from compress.metadata import Fusion, vectors
from compress.training.made_windows import MadeWindows
from compress.training.outlines import Polygon, Polygons
from runtime.preprocess import Placement, PreprocessSpec

MASK_STRIDE_PX = 4
"""Boxes are kept as masks this much coarser than the input: finer than any evidence map, and small."""


class ImageRows(Protocol):
    """Images (N, 1, S, S) float32: an array, or rows that are read when asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, 1, S, S)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> NDArray[np.float32]:
        """(n, 1, S, S) of a slice or of numbers, (1, S, S) of one number."""
        ...

    def __iter__(self) -> Iterator[NDArray[np.float32]]: ...


class TensorSource(Protocol):
    """The part of TensorCache that training needs."""

    spec: PreprocessSpec

    def rows(self, cases: Sequence[Case]) -> ImageRows:
        """(N, 1, S, S) float32."""
        ...

    def placement(self, case: Case) -> Placement:
        """Where the image lies in its tensor."""
        ...


@dataclass(frozen=True, eq=False)
class LabelledTensors:
    """tensors: (N, 1, S, S) float32. labels: (N,) float32, 0 or 1.

    masks: (N, S // 4, S // 4) uint8, 1 where a fracture box lies; empty for healthy images and for fractures
    that nobody has outlined. strata: (N,) words by which sampling can be balanced, the body parts. metadata:
    (N, D) float32, facts of the patients (runtime.metadata); None for networks with the picture alone.

    Raises ValueError for shapes that do not belong together.
    """

    tensors: ImageRows
    labels: NDArray[np.float32]
    masks: NDArray[np.uint8]
    strata: NDArray[np.str_] | None = None
    metadata: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count, size = len(self.tensors), self.tensors.shape[-1]
        grid = size // MASK_STRIDE_PX
        expected = ((count, 1, size, size), (count,), (count, grid, grid))
        got = (self.tensors.shape, self.labels.shape, self.masks.shape)
        if got != expected:
            raise ValueError(f"tensors, labels and masks must be {expected}, got {got}")
        if self.strata is not None and len(self.strata) != count:
            raise ValueError(f"{count} images need as many strata, got {len(self.strata)}")
        if self.metadata is not None and (self.metadata.ndim != 2 or len(self.metadata) != count):
            raise ValueError(f"{count} images need metadata ({count}, D), got {self.metadata.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, rows: slice | NDArray[np.int64]) -> tuple[Tensor, ...]:
        """What a network is asked for these rows: images, and facts where there are any."""
        images = torch.from_numpy(np.ascontiguousarray(self.tensors[rows]))
        if self.metadata is None:
            return (images,)
        return images, torch.from_numpy(np.ascontiguousarray(self.metadata[rows]))


@dataclass(frozen=True, eq=False)
class TrainData:
    """fit: what the weights learn from. calibration: what chooses the epoch. Disjoint patients.

    preprocess: how the tensors were made; augmentation works in its [0, 1] scale. patches: makes some of the
    windows of crop_epochs, None where all are cut from radiographs. fusion: which facts of the patients the
    sets hold and how much of them is withheld; None for networks with the picture alone.
    """

    fit: LabelledTensors
    calibration: LabelledTensors
    preprocess: PreprocessSpec
    patches: MadeWindows | None = None
    fusion: Fusion | None = None


def train_data(
    source: TensorSource,
    fit: Sequence[Case],
    calibration: Sequence[Case],
    outlines: Polygons | None = None,
    fusion: Fusion | None = None,
) -> TrainData:
    """Gather two sets of cases from a tensor cache; see `label`."""
    learnt, judged = (label(source, cases, outlines, fusion) for cases in (fit, calibration))
    return TrainData(learnt, judged, source.spec, fusion=fusion)


def label(
    source: TensorSource,
    cases: Sequence[Case],
    outlines: Polygons | None = None,
    fusion: Fusion | None = None,
) -> LabelledTensors:
    """The cases' tensors with labels, body parts and the facts that `fusion` asks for; as masks their
    outlines, or their boxes without.
    """
    known = outlines or {}
    masks = [_mask(case, known.get(case.case_id, ()), source.placement(case)) for case in cases]
    labels = np.array([case.label for case in cases], np.float32)
    strata = np.array([case.body_part for case in cases], np.str_)
    facts = None if fusion is None else vectors(fusion.spec, cases)
    return LabelledTensors(source.rows(cases), labels, np.stack(masks), strata, facts)


def _mask(case: Case, polygons: Sequence[Polygon], placement: Placement) -> NDArray[np.uint8]:
    return outline_mask(polygons, placement) if polygons else box_mask(case.boxes, placement)


def outline_mask(polygons: Sequence[Polygon], placement: Placement) -> NDArray[np.uint8]:
    """(S // 4, S // 4) uint8: 1 in every cell that a polygon touches. Corners are fractions of the image."""
    scale = (placement.source_width_px, placement.source_height_px)
    fine = np.zeros((placement.size_px, placement.size_px), np.uint8)
    for polygon in polygons:
        corners = [placement.to_input(x * scale[0], y * scale[1]) for x, y in polygon]
        # Corners are edges between pixels; OpenCV means the pixel's middle and fills its border too.
        cv2.fillPoly(fine, [np.floor(np.array(corners)).astype(np.int32)], 1)
    cells = placement.size_px // MASK_STRIDE_PX
    fine = fine[: cells * MASK_STRIDE_PX, : cells * MASK_STRIDE_PX]
    mask: NDArray[np.uint8] = fine.reshape(cells, MASK_STRIDE_PX, cells, MASK_STRIDE_PX).max(axis=(1, 3))
    return mask


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
