"""Windows cut from radiographs, half of them around a fracture: how small lesions are learnt from nothing.

A fracture covers a hundredth of a radiograph. Learnt from whole images it takes thousands of steps before the
first gradient that means anything; in windows a third as wide it fills a tenth, and nine cost as much as one
image. Windows are only turned by quarters and mirrored: nothing is interpolated, so a line one pixel wide
stays one.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from compress.training.data import MASK_STRIDE_PX, LabelledTensors
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec

Plane = TypeVar("Plane", bound=np.generic)

PER_IMAGE = 4
"""Windows in one epoch, for each image of the fit set."""
_SIDE_SHARE = 3
_SIDE_MULTIPLE_PX = 32
_DARK = 0.25  # of the range that preprocessing gives: below it there is rarely bone
_SHIFT_SHARE = 3


def window_side_px(size_px: int) -> int:
    """A third of the input, in steps that every network's strides divide."""
    return max(_SIDE_MULTIPLE_PX, size_px // _SIDE_SHARE // _SIDE_MULTIPLE_PX * _SIDE_MULTIPLE_PX)


class WindowSampler:
    """Draws batches of windows. Raises StepError where no fracture has a box or an image is too small."""

    def __init__(self, data: LabelledTensors, preprocess: PreprocessSpec) -> None:
        is_marked = data.masks.any(axis=(1, 2))
        self._data = data
        self._marked = np.flatnonzero(is_marked)
        self._healthy = np.flatnonzero(data.labels < 0.5)
        self._known = np.flatnonzero(is_marked | (data.labels < 0.5))
        self._dark = (_DARK - preprocess.mean) / preprocess.std
        self._cells = window_side_px(preprocess.size_px) // MASK_STRIDE_PX
        if not len(self._marked) or self._cells > data.masks.shape[-1]:
            raise StepError("crop_epochs needs fracture boxes and images of 32 px", "set crop_epochs = 0")

    def draw(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """(count, 1, w, w) images and (count, 1, w / 4, w / 4) masks; every other one around a fracture."""
        return _stacked([self._one(number % 2 == 0, generator) for number in range(count)])

    def fractured(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """The same shapes; every one around a fracture."""
        return _stacked([self._one(True, generator) for _ in range(count)])

    def every_fracture(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """The same shapes; one window of each image with an outlined fracture."""
        return _stacked([self._one_of(row, True, generator) for row in self._marked.tolist()])

    def healthy(self, masks: Tensor, generator: Generator) -> Tensor:
        """(n, 1, w, w) windows of healthy images, one a mask (n, 1, w / 4, w / 4): what it marks is not dark.

        Where a window would leave its image, it is moved back, and the mark may then lie anywhere. Raises
        StepError where no image is healthy.
        """
        if not len(self._healthy):
            raise StepError("there is no healthy image to cut windows from", "bring some")
        windows = [self._beneath(mask, generator) for mask in masks[:, 0].numpy()]
        return torch.from_numpy(np.stack(windows)[:, None])

    def _one(
        self, around_fracture: bool, generator: Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        row = generator.choice(self._marked if around_fracture else self._known)
        return self._one_of(int(row), around_fracture, generator)

    def _one_of(
        self, row: int, around_fracture: bool, generator: Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image, mask = self._data.tensors[row][0], self._data.masks[row]
        wanted = mask > 0 if around_fracture else self._bright(image, mask.shape[0])
        top, left = self._corner(wanted, generator)
        window, side = self._cut(image, top, left), self._cells
        pose = int(generator.integers(8))
        return _turn(window, pose), _turn(mask[top : top + side, left : left + side], pose)

    def _beneath(self, mask: NDArray[np.float32], generator: Generator) -> NDArray[np.float32]:
        """A healthy window, turned, with the middle of the mask at a cell that is not dark."""
        image = self._data.tensors[int(generator.choice(self._healthy))][0]
        cells, pose = self._data.masks.shape[-1], int(generator.integers(8))
        bright = np.flatnonzero(self._bright(image, cells))
        found = np.array(divmod(int(generator.choice(bright)), cells))
        top, left = np.clip(found - _middle(_turn_back(mask, pose)), 0, cells - self._cells).tolist()
        return _turn(self._cut(image, top, left), pose)

    def _cut(self, image: NDArray[np.float32], top: int, left: int) -> NDArray[np.float32]:
        """The window whose first cell is this one."""
        side, stride = self._cells, MASK_STRIDE_PX
        return image[top * stride : (top + side) * stride, left * stride : (left + side) * stride]

    def _bright(self, image: NDArray[np.float32], cells: int) -> NDArray[np.bool_]:
        """Cells whose first pixel is not dark; all, where every one is."""
        bright = image[::MASK_STRIDE_PX, ::MASK_STRIDE_PX][:cells, :cells] > self._dark
        return bright if bright.any() else np.ones_like(bright)

    def _corner(self, wanted: NDArray[np.bool_], generator: Generator) -> tuple[int, int]:
        """Of a window about one of the wanted cells, though not in its very middle."""
        row, column = divmod(int(generator.choice(np.flatnonzero(wanted))), wanted.shape[1])
        reach = self._cells // _SHIFT_SHARE
        top, left = np.array([row, column]) - self._cells // 2 + generator.integers(-reach, reach + 1, 2)
        last = wanted.shape[0] - self._cells
        return int(np.clip(top, 0, last)), int(np.clip(left, 0, last))


def _stacked(pairs: list[tuple[NDArray[np.float32], NDArray[np.uint8]]]) -> tuple[Tensor, Tensor]:
    images, masks = (np.stack(planes)[:, None] for planes in zip(*pairs, strict=True))
    return torch.from_numpy(images), torch.from_numpy(masks.astype(np.float32))


def _turn(plane: NDArray[Plane], pose: int) -> NDArray[Plane]:
    """One of the eight poses of a square."""
    turned = np.rot90(plane, pose % 4)
    return np.ascontiguousarray(turned[:, ::-1] if pose >= 4 else turned)


def _turn_back(plane: NDArray[Plane], pose: int) -> NDArray[Plane]:
    """Undo `_turn`."""
    return np.rot90(plane[:, ::-1] if pose >= 4 else plane, -(pose % 4))


def _middle(mask: NDArray[np.float32]) -> NDArray[np.int64]:
    """(row, column) of the mean marked cell; of the middle without any."""
    marked = np.argwhere(mask > 0) if mask.any() else np.array([mask.shape]) // 2
    return np.asarray(np.round(marked.mean(axis=0)), np.int64)
