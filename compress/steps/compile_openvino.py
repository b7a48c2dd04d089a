"""OpenVINO's intermediate representation: `model.xml` and `model.bin`, the same bytes for the same model.

The weights stay in full precision: OpenVINO's habit of storing FP16 is another model than the one gated.
Layout and kernels are chosen on the box, when the IR is loaded there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import StepOutput
from compress.steps import openvino_tools
from compress.steps.chatter import collected
from compress.steps.fidelity import compare_backends
from compress.steps.probe import probe_images, require_same
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError

_FALLBACK = "the source is an IR, so samples are needed to prove that the copy answers like it"


def compile_openvino(source: Path, folder: Path, samples: NDArray[np.float32] | None = None) -> StepOutput:
    """Write `model.xml` and `model.bin` into `folder`, from an ONNX graph or from a quantized IR (.xml).

    samples: (N, 1, S, S) images for the proof, seeded probes where an ONNX graph comes without. Raises
    StepError, ExportMismatchError, BackendMissingError.
    """
    images = _images(source, samples)
    with collected() as messages:
        model = openvino_tools.read_model(source)
        openvino_tools.require_contract(model)
        operations = openvino_tools.count_operations(model)
        path = openvino_tools.save(model, folder)
    weights = path.with_suffix(".bin")
    parity = compare_backends(_open(source), openvino_tools.open_ir(path), images)
    require_same(parity, path.name)
    facts: dict[str, Any] = {
        "size_bytes": path.stat().st_size + weights.stat().st_size,
        **operations,
        "weights": "full precision",
        "versions": {"openvino": openvino_tools.version()},
        "parity": parity.to_json(),
        "messages": messages,
    }
    return StepOutput(path.name, "openvino", (weights.name,), facts)


def _images(source: Path, samples: NDArray[np.float32] | None) -> NDArray[np.float32]:
    if samples is not None:
        return samples
    if source.suffix == ".xml":
        raise StepError(_FALLBACK)
    return probe_images(source)


def _open(source: Path) -> Backend:
    if source.suffix == ".xml":
        return openvino_tools.open_ir(source)
    return OrtBackend(ModelFiles(source.read_bytes()))
