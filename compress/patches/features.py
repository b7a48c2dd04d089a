"""What made and real windows are compared by: texture and edges in the hole, and pixels about its middle.

The features are those of the classical baselines (compress.classical.features). They need no pretrained
weights and see one channel, but know nothing of bones: what they do not measure, the figures do not see.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from compress.classical.features import CellFeatures
from compress.patches.networks import blend, chunks
from runtime.preprocess import PreprocessSpec

Rows = NDArray[np.float64]

_KINDS = ("hog", "lbp", "glcm")
_CROP_SHARE = 2  # of a window's side
_CROP_CELLS = 16
_FLAT = 1e-6


def texture(windows: Tensor, masks: Tensor, spec: PreprocessSpec) -> Rows:
    """windows (n, 1, w, w), masks (n, 1, w / 4, w / 4) -> (n, F): means over the cells that a hole touches.

    spec: of the images that the windows are cut from.
    """
    extract = CellFeatures(_KINDS, replace(spec, size_px=windows.shape[-1]))
    rows = [_means(extract, windows[part], masks[part]) for part in chunks(len(windows))]
    return np.asarray(torch.cat(rows).numpy(), np.float64)


def crops(windows: Tensor, masks: Tensor) -> Rows:
    """(n, 256): 16 x 16 means of the square, half a window wide, about the middle of what is marked.

    Each has mean 0 and length 1: a copy that is only brighter is a copy.
    """
    side = windows.shape[-1]
    rows = [_crop(window[0], blend(mask[None])[0, 0] > 0, side) for window, mask in _pairs(windows, masks)]
    planes = F.adaptive_avg_pool2d(torch.stack(rows)[:, None], _CROP_CELLS).flatten(1).double()
    centred = planes - planes.mean(dim=1, keepdim=True)
    return np.asarray((centred / centred.norm(dim=1, keepdim=True).clamp_min(_FLAT)).numpy())


def poses(rows: Rows) -> Rows:
    """(n, 256) -> (8 n, 256): the same crops, turned and mirrored."""
    planes = rows.reshape(-1, _CROP_CELLS, _CROP_CELLS)
    turned = [np.rot90(planes, quarter, (1, 2)) for quarter in range(4)]
    every = [*turned, *(plane[:, :, ::-1] for plane in turned)]
    return np.concatenate([plane.reshape(len(rows), -1) for plane in every])


def _means(extract: CellFeatures, windows: Tensor, masks: Tensor) -> Tensor:
    with torch.no_grad():
        cells = extract(windows)[1]
    weight = F.adaptive_max_pool2d((blend(masks) > 0).float(), cells.shape[-2:])
    means: Tensor = (cells * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp_min(1)
    return means


def _pairs(windows: Tensor, masks: Tensor) -> zip[tuple[Tensor, Tensor]]:
    return zip(windows, masks, strict=True)


def _crop(window: Tensor, hole: Tensor, side_px: int) -> Tensor:
    half = side_px // _CROP_SHARE // 2
    middle = hole.nonzero().double().mean(dim=0).round().long() if hole.any() else torch.tensor([half, half])
    top, left = (middle - half).clamp(0, side_px - 2 * half).tolist()
    return window[top : top + 2 * half, left : left + 2 * half]
