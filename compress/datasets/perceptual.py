"""Images that look the same although their files differ: another size, JPEG quality or exposure.

Each image gets a 64-bit hash of its coarse structure (the signs of the 8 x 8 lowest cosine coefficients round
their median) and a small picture. Pairs whose hashes differ in few bits are candidates; of these, pairs whose
small pictures correlate are near-duplicates. The second look is needed: radiographs of one body part in one
position are alike, and hashes alone call hundreds of different patients' images the same.

Source of the hash: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010.
A picture that was turned, mirrored, inverted or cropped is not recognised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.radiograph import Radiograph

HASH_BITS = 64
SIDE_PX = 32
_FREQUENCIES = 8
_LEAST_CONTRAST = 1e-6  # of the value range; an even plate has no structure to compare
_BLOCK_PAIRS = 1 << 24
_PAIRS_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Likeness:
    """When two images count as near-duplicates: bits that may differ, correlation that must be reached.

    Copies of radiographs at half to one and a half times the size, other JPEG qualities and another exposure
    stay within 5 bits and above 0.997; the likest images of different examinations in FracAtlas reach 0.985.
    """

    max_distance_bits: int = 8
    min_correlation: float = 0.99


DEFAULT_LIKENESS = Likeness()


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """signs: (64,) bool. picture: (32, 32) float16 of mean 0 and standard deviation 1."""

    signs: NDArray[np.bool_]
    picture: NDArray[np.float16]


@dataclass(frozen=True)
class Similar:
    """Two images that look the same, by id, the smaller id first."""

    first: str
    second: str
    distance_bits: int
    correlation: float


def fingerprint(radiograph: Radiograph) -> Fingerprint | None:
    """The fingerprint of an image, None for one without any contrast."""
    small = cv2.resize(radiograph.pixels, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    plane = np.asarray(small, np.float32)
    spread = float(plane.std())
    if spread <= _LEAST_CONTRAST * (1 << radiograph.bit_depth):
        return None
    unit = (plane - plane.mean()) / spread
    lowest = np.asarray(cv2.dct(unit))[:_FREQUENCIES, :_FREQUENCIES].ravel()
    # The first coefficient is the mean, 0 by now: it takes no part in the median.
    return Fingerprint(lowest > np.median(lowest[1:]), unit.astype(np.float16))


def near_duplicates(
    fingerprints: Mapping[str, Fingerprint], likeness: Likeness = DEFAULT_LIKENESS
) -> tuple[Similar, ...]:
    """All pairs that look the same, the nearest first.

    Hashes are compared block by block: as +1 and -1, their product counts equal minus different bits.
    """
    ids = sorted(fingerprints)
    if len(ids) < 2:
        return ()
    signs = np.stack([np.where(fingerprints[each].signs, 1, -1) for each in ids]).astype(np.float32)
    pictures = np.stack([fingerprints[each].picture.ravel() for each in ids])
    found: list[Similar] = []
    rows_at_once = max(1, _BLOCK_PAIRS // len(ids))
    for start in range(0, len(ids), rows_at_once):
        distances = (HASH_BITS - signs[start : start + rows_at_once] @ signs[start:].T) / 2
        rows, columns = np.nonzero(distances <= likeness.max_distance_bits)
        later = columns > rows
        rows, columns = rows[later], columns[later]
        alike = _correlations(pictures, rows + start, columns + start)
        for at in np.flatnonzero(alike >= likeness.min_correlation).tolist():
            row, column = int(rows[at]), int(columns[at])
            distance_bits = round(float(distances[row, column]))
            found.append(Similar(ids[row + start], ids[column + start], distance_bits, float(alike[at])))
    return tuple(sorted(found, key=lambda pair: (-pair.correlation, pair.first, pair.second)))


def _correlations(
    pictures: NDArray[np.float16], first: NDArray[np.intp], second: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(pairs,) Pearson correlation of the small pictures."""
    values = np.empty(len(first), np.float32)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        one, other = pictures[first[part]].astype(np.float32), pictures[second[part]].astype(np.float32)
        values[part] = np.einsum("ij,ij->i", one, other) / one.shape[1]
    return values
