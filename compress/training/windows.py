"""Windows cut from radiographs, half of them around a fracture: how small lesions are learnt from nothing.

A fracture covers a hundredth of a radiograph. Learnt from whole images it takes thousands of steps before the
first gradient that means anything; in windows a third as wide it fills a tenth, and nine cost as much as one
image. Windows are only turned by quarters and mirrored: nothing is interpolated, so a line one pixel wide
stays one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from compress.training.data import MASK_STRIDE_PX, LabelledTensors
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec

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
        self._known = np.flatnonzero(is_marked | (data.labels < 0.5))
        self._dark = (_DARK - preprocess.mean) / preprocess.std
        self._cells = window_side_px(preprocess.size_px) // MASK_STRIDE_PX
        if not len(self._marked) or self._cells > data.masks.shape[-1]:
            raise StepError("crop_epochs needs fracture boxes and images of 32 px", "set crop_epochs = 0")

    def draw(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """(count, 1, w, w) images and (count, 1, w / 4, w / 4) masks; every other one around a fracture."""
        pairs = [self._one(number % 2 == 0, generator) for number in range(count)]
        images, masks = (np.stack(planes)[:, None] for planes in zip(*pairs, strict=True))
        return torch.from_numpy(images), torch.from_numpy(masks.astype(np.float32))

    def _one(
        self, around_fracture: bool, generator: Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        row = generator.choice(self._marked if around_fracture else self._known)
        image, mask = self._data.tensors[row, 0], self._data.masks[row]
        wanted = mask > 0 if around_fracture else self._bright(image, mask.shape[0])
        top, left = self._corner(wanted, generator)
        side, stride = self._cells, MASK_STRIDE_PX
        window = image[top * stride : (top + side) * stride, left * stride : (left + side) * stride]
        return _turn(window, mask[top : top + side, left : left + side], int(generator.integers(8)))

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


def _turn(
    image: NDArray[np.float32], mask: NDArray[np.uint8], pose: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """One of the eight poses of a square."""
    image, mask = np.rot90(image, pose % 4), np.rot90(mask, pose % 4)
    if pose >= 4:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)
