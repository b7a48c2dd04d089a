"""The images from which a quantizer learns its ranges: real ones, different ones, and enough of them.

A quantizer takes whatever it is given and never complains: ranges learned from a blank film, from noise or
from one image thirty times give a model that looks fine and misses fractures. So they are refused here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import INPUT_NAME, METADATA_NAME
from runtime.errors import StepError

MIN_IMAGES = 32
_MIN_STD = 1e-4
_MIN_NEIGHBOUR_CORRELATION = 0.25
"""Between horizontal neighbours: above 0.9 in radiographs, 0 in white noise."""
_THUMBNAIL_PX = 16
_SAME_WITHIN = 0.02
"""Two images are one when their thumbnails differ by less than this share of the images' own contrast."""
_NAMED = 5


@dataclass(frozen=True)
class CalibrationData:
    """tensors: (N, 1, S, S) float32 as the network takes them, N >= MIN_IMAGES. case_ids: N, all different.
    metadata: (N, D) float32, facts of the patients, for a network that takes them. body_parts: N, or () where
    nobody says.

    Raises StepError for too few, non-finite, constant, noise-like or repeated images.
    """

    tensors: NDArray[np.float32]
    case_ids: tuple[str, ...]
    metadata: NDArray[np.float32] | None = None
    body_parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_shapes(self.tensors, self.case_ids)
        _check_values(self.tensors, self.case_ids)
        _check_variety(self.tensors)
        facts = self.metadata
        if facts is not None and (facts.ndim != 2 or len(facts) != len(self) or not np.isfinite(facts).all()):
            raise StepError(f"{len(self)} calibration images need facts ({len(self)}, D), got {facts.shape}")

    def __len__(self) -> int:
        return len(self.case_ids)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the case ids and every value, in order."""
        digest = hashlib.sha256("\n".join(self.case_ids).encode())
        for tensor in self.tensors:
            digest.update(np.ascontiguousarray(tensor, np.dtype("<f4")).tobytes())
        if self.metadata is not None:
            digest.update(np.ascontiguousarray(self.metadata, np.dtype("<f4")).tobytes())
        return digest.hexdigest()

    def spread(self, count: int) -> CalibrationData:
        """`count` images spread evenly over the order, or all where there are fewer."""
        if count >= len(self):
            return self
        rows = np.linspace(0, len(self) - 1, count).round().astype(int)
        return CalibrationData(
            np.ascontiguousarray(self.tensors[rows]),
            tuple(self.case_ids[i] for i in rows),
            None if self.metadata is None else self.metadata[rows],
            tuple(self.body_parts[i] for i in rows) if self.body_parts else (),
        )

    def feed(self, row: int) -> dict[str, NDArray[np.float32]]:
        """The network's inputs for one image, batch 1."""
        found = {INPUT_NAME: np.ascontiguousarray(self.tensors[row][None])}
        if self.metadata is not None:
            found[METADATA_NAME] = np.ascontiguousarray(self.metadata[row][None])
        return found

    def feeds(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        """One feed for the network's inputs an image, batch 1."""
        yield from map(self.feed, range(len(self)))

    def facts(self) -> dict[str, object]:
        """For the record of a step."""
        return {
            "calibration_images": len(self),
            "calibration_digest": self.digest,
            "calibration_ids": list(self.case_ids),
            "calibration_parts": dict(sorted(Counter(self.body_parts).items())),
        }


class OrtCalibrationReader:
    """The images in the form ONNX Runtime's calibrators ask for, a stride at a time.

    ONNX Runtime keeps every activation of a stride in memory before it looks at them. It recognises a reader
    by its methods (CalibrationDataReader.__subclasshook__), so that this module need not import it.
    """

    def __init__(self, data: CalibrationData) -> None:
        self._data = data
        self._next, self._end = 0, len(data)

    def __len__(self) -> int:
        return len(self._data)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Read [start_index, end_index) next."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> Mapping[str, NDArray[np.float32]] | None:
        """The next feed, None at the end."""
        if self._next >= self._end:
            return None
        self._next += 1
        return self._data.feed(self._next - 1)


def _check_shapes(tensors: NDArray[np.float32], case_ids: tuple[str, ...]) -> None:
    shape = tensors.shape
    if tensors.ndim != 4 or shape[1] != 1 or shape[2] != shape[3] or tensors.dtype != np.float32:
        raise StepError(f"calibration tensors must be (N, 1, S, S) float32, got {shape} {tensors.dtype}")
    if len(case_ids) != len(tensors) or len(set(case_ids)) != len(case_ids):
        raise StepError(f"{len(tensors)} calibration images need as many different ids, got {len(case_ids)}")
    if len(tensors) < MIN_IMAGES:
        raise StepError(
            f"quantization needs at least {MIN_IMAGES} calibration images, got {len(tensors)}",
            "use more patients, or give the calibration split a larger share",
        )


def _check_values(tensors: NDArray[np.float32], case_ids: tuple[str, ...]) -> None:
    problems: dict[str, list[str]] = {"non-finite": [], "constant": [], "mere noise": []}
    for tensor, name in zip(tensors, case_ids, strict=True):
        problem = _problem(tensor[0].astype(np.float64))
        if problem:
            problems[problem].append(name)
    found = [f"{len(names)} {what} ({_some(names)})" for what, names in problems.items() if names]
    if found:
        raise StepError(
            f"calibration images are unusable: {', '.join(found)}", "look at these images and leave them out"
        )


def _problem(image: NDArray[np.float64]) -> str:
    if not np.isfinite(image).all():
        return "non-finite"
    if image.std() < _MIN_STD:
        return "constant"
    left, right = image[:, :-1] - image.mean(), image[:, 1:] - image.mean()
    correlation = (left * right).mean() / image.var()
    return "mere noise" if abs(correlation) < _MIN_NEIGHBOUR_CORRELATION else ""


def _check_variety(tensors: NDArray[np.float32]) -> None:
    distinct = count_distinct(tensors)
    if distinct < MIN_IMAGES:
        raise StepError(
            f"only {distinct} of {len(tensors)} calibration images differ from one another, "
            f"at least {MIN_IMAGES} must",
            "calibrate on images of different patients",
        )


def count_distinct(tensors: NDArray[np.float32]) -> int:
    """How many of the (N, 1, S, S) images differ visibly from all before them; stops at MIN_IMAGES."""
    kept: list[NDArray[np.float64]] = []
    limit = _SAME_WITHIN * float(np.mean([tensor.std() for tensor in tensors]))
    for tensor in tensors:
        small = _thumbnail(tensor[0])
        if all(np.sqrt(np.mean((small - other) ** 2)) > limit for other in kept):
            kept.append(small)
        if len(kept) == MIN_IMAGES:
            break
    return len(kept)


def _thumbnail(image: NDArray[np.float32]) -> NDArray[np.float64]:
    block = max(1, len(image) // _THUMBNAIL_PX)
    side = len(image) // block
    cut = image[: side * block, : side * block].astype(np.float64)
    mean: NDArray[np.float64] = cut.reshape(side, block, side, block).mean(axis=(1, 3))
    return mean


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
