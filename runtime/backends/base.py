"""What every inference engine looks like to the rest of Ulna.

Kept narrow on purpose: files in, arrays in, arrays out. An engine knows nothing of bundles, radiographs,
thresholds or clinics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

INPUT_NAME = "image"
METADATA_NAME = "metadata"
LOGIT_NAME = "logit"
MAP_NAME = "map"
FEATURES_NAME = "features"


@dataclass(frozen=True)
class TensorInfo:
    """Name, shape (None for a free dimension) and numpy dtype of one input or output."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class ModelFiles:
    """A model as verified bytes: `main` is the graph or engine, `weights` its companion where one exists.

    Bytes rather than paths, so that what was checked is what is loaded.
    """

    main: bytes
    weights: bytes = b""


@dataclass(frozen=True)
class BackendOptions:
    """device: "cpu" or "gpu"; ONNX Runtime also knows "tensorrt", the GPU by way of TensorRT.

    threads: intra-op threads, 0 for all the cores this process may use.
    dla_core: number of the deep-learning accelerator for which an engine was built, None for the GPU alone.
    """

    device: str = "cpu"
    threads: int = 0
    dla_core: int | None = None


class Backend(Protocol):
    """One loaded model on one engine.

    Inputs and outputs of every Ulna model: `image` (N, 1, S, S) float32 -> `logit` (N, 1) float32 and
    `map` (N, 1, h, w) float32, whose mean or pooled value is the logit. One whose bundle holds anomaly
    statistics also gives `features` (N, F) float32. One that takes facts of the patient has a second input
    `metadata` (N, D) float32 (runtime.metadata).
    """

    name: str
    device: str

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` wants."""
        ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` gives."""
        ...

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        """Run once. Never changes its input; outputs are owned copies.

        Raises InferenceError for wrong names, shapes or dtypes, and for an engine that fails.
        """
        ...

    def close(self) -> None:
        """Free the engine; further calls raise InferenceError."""
        ...
