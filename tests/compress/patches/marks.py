"""A task in which a fracture is plainly something: bright windows, dark where a fracture is."""

from __future__ import annotations

import numpy as np

from compress.patches.options import PatchOptions
from compress.training.data import LabelledTensors
from runtime.preprocess import PreprocessSpec

SPEC = PreprocessSpec(size_px=96)
QUICK = PatchOptions(share=0.5, steps=12, batch_size=2, width=4)


def dark_marks(count: int, seed: int) -> LabelledTensors:
    """Every other image holds a fracture of 3 x 3 cells, which is dark in the middle of bright noise."""
    rng = np.random.default_rng(seed)
    tensors = rng.uniform(0.3, 0.5, (count, 1, 96, 96)).astype(np.float32)
    labels = (np.arange(count) % 2).astype(np.float32)
    masks = np.zeros((count, 24, 24), np.uint8)
    for number in np.flatnonzero(labels):
        row, column = rng.integers(4, 17, 2)
        masks[number, row : row + 3, column : column + 3] = 1
        tensors[number, 0, row * 4 : row * 4 + 12, column * 4 : column * 4 + 12] -= 1.2
    return LabelledTensors(tensors, labels, masks)
