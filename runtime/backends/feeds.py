"""The checks that every engine makes on what it is fed, so that all refuse the same things alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import INPUT_NAME, METADATA_NAME, TensorInfo
from runtime.errors import BackendError, InferenceError

_MAX_REASON_LENGTH = 300


def check(
    name: str, inputs: tuple[TensorInfo, ...], feeds: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    """Return C-contiguous arrays, the caller's own where they are so already.

    Raises InferenceError for a name, dtype or shape that the model does not take.
    """
    wanted = [info.name for info in inputs]
    if sorted(feeds) != sorted(wanted):
        raise InferenceError(f"{name}: inputs must be {', '.join(wanted)}, got {', '.join(feeds) or 'none'}")
    return {info.name: _checked(name, info, feeds[info.name]) for info in inputs}


def image_alone(
    inputs: tuple[TensorInfo, ...], images: NDArray[np.float32]
) -> dict[str, NDArray[np.generic]]:
    """Feeds of (N, 1, S, S) images; a model that takes facts of patients is told that none are known."""
    found: dict[str, NDArray[np.generic]] = {INPUT_NAME: images}
    for info in inputs:
        if info.name == METADATA_NAME:
            found[METADATA_NAME] = np.zeros((len(images), info.shape[1] or 1), np.float32)
    return found


def reason(error: BaseException) -> str:
    """What an engine's library said, on one line of bearable length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MAX_REASON_LENGTH else text[: _MAX_REASON_LENGTH - 1] + "…"


def cannot_load(name: str, error: BaseException) -> BackendError:
    """The error for bytes that the engine does not accept as a model."""
    return BackendError(
        f"{name} cannot load the model: {reason(error)}", "was it compiled for this version of the engine?"
    )


def _checked(name: str, info: TensorInfo, array: NDArray[np.generic]) -> NDArray[np.generic]:
    if not isinstance(array, np.ndarray):
        raise InferenceError(f"{name}: input {info.name} must be an array, got {type(array).__name__}")
    if array.dtype != np.dtype(info.dtype):
        raise InferenceError(f"{name}: input {info.name} must be {info.dtype}, got {array.dtype}")
    if len(array.shape) != len(info.shape) or not all(map(_fits, array.shape, info.shape)):
        wanted = " x ".join("any" if size is None else str(size) for size in info.shape)
        got = " x ".join(map(str, array.shape))
        raise InferenceError(f"{name}: input {info.name} must have shape {wanted}, got {got or 'a scalar'}")
    return np.ascontiguousarray(array)


def _fits(size: int, wanted: int | None) -> bool:
    return size > 0 and wanted in (None, size)
