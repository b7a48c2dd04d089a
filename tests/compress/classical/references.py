"""The same features by plain loops over pixels, written from the papers and without the code under test."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
CELL = 8


def hog_cells(image: Plane) -> Plane:
    """(h, w, 9) mean votes: trilinear between orientations and cells; votes beyond the border are lost."""
    height, width = image.shape
    padded = np.pad(image, 1, mode="edge")
    votes = np.zeros((height // CELL, width // CELL, 9))
    for y in range(height):
        for x in range(width):
            dx = padded[y + 1, x + 2] - padded[y + 1, x]
            dy = padded[y + 2, x + 1] - padded[y, x + 1]
            degrees = (math.degrees(math.atan2(dy, dx)) + 90) % 180
            place = degrees / 20 - 0.5
            low = math.floor(place)
            for orientation, share in ((low % 9, 1 - (place - low)), ((low + 1) % 9, place - low)):
                _spread(votes[:, :, orientation], y, x, share * math.hypot(dx, dy))
    return votes / CELL**2


def _spread(cells: Plane, y: int, x: int, vote: float) -> None:
    top, left = (y + 0.5) / CELL - 0.5, (x + 0.5) / CELL - 0.5
    for row in (math.floor(top), math.floor(top) + 1):
        for column in (math.floor(left), math.floor(left) + 1):
            if 0 <= row < len(cells) and 0 <= column < cells.shape[1]:
                cells[row, column] += vote * (1 - abs(top - row)) * (1 - abs(left - column))


def hog_block(cells: Plane, row: int, column: int, floor: float) -> Plane:
    """(81,) L2-Hys of the 3 x 3 cells round one."""
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)))
    block = padded[row : row + 3, column : column + 3].ravel()
    clipped = np.minimum(block / math.sqrt((block**2).sum() + floor**2), 0.2)
    return clipped / max(math.sqrt((clipped**2).sum()), 1e-12)


def lbp_codes(image: Plane, radius: int) -> NDArray[np.int64]:
    """riu2: the number of ones where they form one run round the circle, else 9."""
    circle = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
    padded = np.pad(image, radius, mode="edge")
    codes = np.zeros(image.shape, np.int64)
    for y, x in np.ndindex(*image.shape):
        bits = [padded[y + radius * (1 + dy), x + radius * (1 + dx)] >= image[y, x] for dy, dx in circle]
        changes = sum(bits[k] != bits[k - 1] for k in range(8))
        codes[y, x] = sum(bits) if changes <= 2 else 9
    return codes


def glcm(image: Plane, distance: int, rows: range, columns: range) -> Plane:
    """(8, 8) shares of the pairs that start in `rows` x `columns`, in all eight directions."""
    levels = np.minimum((image * 8).astype(int), 7)
    counts = np.zeros((8, 8))
    steps = [(y, x) for y in (-distance, 0, distance) for x in (-distance, 0, distance) if (y, x) != (0, 0)]
    for y in rows:
        for x in columns:
            for dy, dx in steps:
                if 0 <= y + dy < len(image) and 0 <= x + dx < image.shape[1]:
                    counts[levels[y, x], levels[y + dy, x + dx]] += 1
    return counts / counts.sum()


def haralick(shares: Plane) -> dict[str, float]:
    """The five statistics of one matrix, by their definitions."""
    i, j = np.indices(shares.shape)
    mean_i, mean_j = (shares * i).sum(), (shares * j).sum()
    spread = math.sqrt((shares * (i - mean_i) ** 2).sum() * (shares * (j - mean_j) ** 2).sum())
    covariance = (shares * (i - mean_i) * (j - mean_j)).sum()
    present = shares[shares > 0]
    return {
        "contrast": (shares * (i - j) ** 2).sum(),
        "homogeneity": (shares / (1 + (i - j) ** 2)).sum(),
        "energy": math.sqrt((shares**2).sum()),
        "correlation": covariance / spread if spread > 0 else 1.0,
        "entropy": -(present * np.log(present)).sum(),
    }
