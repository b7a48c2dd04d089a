"""An ONNX graph, optimised once here instead of at every start on the box.

Level "extended", not "all": the last level lays tensors out in the channel blocks of the processor that
optimises (NCHWc), and such a file is slow or refused on another. The box's own ONNX Runtime adds that level
when it loads the file. The file holds ONNX Runtime's own operators, so the box needs this version or newer.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from compress.artifact import StepOutput
from compress.steps.chatter import collected
from compress.steps.fidelity import Fidelity, compare_backends
from compress.steps.graph import drop_unused_domains, load_graph, summarize
from compress.steps.probe import probe_images, require_same
from compress.steps.stand_in import StandInBackend
from runtime.backends import feeds as feed_checks
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError

MODEL_FILE = "model.onnx"
_ERRORS_ONLY = 3


def compile_ort(source: Path, folder: Path, samples: NDArray[np.float32] | None = None) -> StepOutput:
    """Write the optimised `model.onnx` into `folder`, proved to answer like `source`.

    samples: (N, 1, S, S) images for the proof, seeded probes where there are none. Raises StepError for a
    graph that ONNX Runtime does not accept, ExportMismatchError where the answers differ.
    """
    path = folder / MODEL_FILE
    before = load_graph(source)
    with collected() as messages:
        optimise(source, path)
    images = probe_images(source) if samples is None else samples
    plain, done = (OrtBackend(ModelFiles(item.read_bytes())) for item in (source, path))
    parity = compare_backends(plain, done, images)
    require_same(parity, path.name)
    after = summarize(load_graph(path))
    facts: dict[str, Any] = {
        "optimisation_level": "extended",
        "nodes_before": len(before.graph.node),
        "size_bytes": path.stat().st_size,
        **after.to_json(),
        "versions": {"onnxruntime": onnxruntime.__version__},
        "parity": parity.to_json(),
        "kernels": _kernel_error(source, done, images).to_json(),
        "messages": messages,
    }
    return StepOutput(MODEL_FILE, "onnx", facts=facts)


def optimise(source: Path, target: Path) -> None:
    """Let ONNX Runtime rewrite the graph and save it; its weights stay inside the file."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    settings.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        written = Path(folder) / target.name
        settings.optimized_model_filepath = str(written)
        try:
            onnxruntime.InferenceSession(source.read_bytes(), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library raises classes of its own, all straight from Exception
            raise StepError(
                f"onnxruntime cannot optimise {source.name}: {feed_checks.reason(error)}"
            ) from error
        model = load_graph(written)
    drop_unused_domains(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def _kernel_error(source: Path, done: OrtBackend, images: NDArray[np.float32]) -> Fidelity:
    """Against the graph computed node by node: what this processor's integer kernels make of it."""
    return compare_backends(StandInBackend(source.read_bytes()), done, images)
