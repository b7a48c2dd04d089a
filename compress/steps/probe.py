"""Images to try a graph on where no real ones are at hand, and the limit that only formatting may cost."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from compress.steps.fidelity import Fidelity
from compress.steps.graph import load_graph
from runtime.backends.base import INPUT_NAME, METADATA_NAME
from runtime.errors import ExportMismatchError, StepError

MIN_SNR_DB = 30.0
"""Another order of float sums moves a value of an INT8 graph by a step here and there; more is a fault."""
_IMAGES = 4


def probe_images(path: Path) -> NDArray[np.float32]:
    """(4, 1, S, S) seeded smooth images of zero mean and unit contrast, S as the graph's input says."""
    size = input_size(path)
    rng = np.random.default_rng(size)
    scales = np.geomspace(size / 32, size / 4, _IMAGES)
    images = [cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), float(scale)) for scale in scales]
    return np.stack([(image - image.mean()) / image.std() for image in images])[:, None].astype(np.float32)


def input_size(path: Path) -> int:
    """S of the input `image` (N, 1, S, S). Raises StepError for another input."""
    graph = load_graph(path).graph
    shapes = {item.name: [d.dim_value for d in item.type.tensor_type.shape.dim] for item in graph.input}
    shape = shapes.get(INPUT_NAME, [])
    if len(shape) != 4 or shape[1] != 1 or shape[2] != shape[3] or shape[2] <= 0:
        raise StepError(f"{path.name} must take {INPUT_NAME!r} (N, 1, S, S) with S fixed, it takes {shapes}")
    return int(shape[2])


def metadata_width(model: onnx.ModelProto) -> int:
    """D of the input `metadata` (N, D), 0 for a graph without."""
    shapes = {item.name: item.type.tensor_type.shape.dim for item in model.graph.input}
    return int(shapes[METADATA_NAME][1].dim_value) if METADATA_NAME in shapes else 0


def require_same(parity: Fidelity, name: str) -> None:
    """Raises ExportMismatchError where a compiled form answers otherwise than what it was made from."""
    if min(parity.logit_snr_db, parity.map_snr_db) < MIN_SNR_DB:
        raise ExportMismatchError(
            f"{name} answers otherwise than its source: logit {parity.logit_snr_db:g} dB, "
            f"map {parity.map_snr_db:g} dB, at least {MIN_SNR_DB:g} dB expected",
            "do not ship it; another version of the compiler may do better",
        )
