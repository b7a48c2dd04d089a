"""FP16 for TensorRT by a strongly typed graph: the types of the graph decide, and can be run and judged here.

Weights and activations are halves; the doors and the head, whose pooling adds up exponentials, stay in single
precision, as in the INT8 recipes. A builder's FP16 flag would let every layer choose for itself, which nobody
has judged, and newer versions no longer take it.
"""

from __future__ import annotations

import contextlib
import copy
import io
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from compress.artifact import StepOutput
from compress.steps.calibration import CalibrationData
from compress.steps.chatter import collected
from compress.steps.fidelity import compare_backends
from compress.steps.graph import drop_unused_domains, head_nodes, metadata_nodes, summarize
from compress.steps.ort_tools import prepare
from compress.steps.stand_in import StandInBackend
from runtime.errors import StepError

MODEL_FILE = "model.onnx"
_LARGEST = float(np.finfo(np.float16).max)


def halve(source: Path, folder: Path, images: CalibrationData) -> StepOutput:
    """Write `model.onnx` with FP16 types into `folder`. images: for the comparison in the facts.

    Raises StepError for weights that no half can hold, ExportMismatchError where an answer is no number.
    """
    with collected() as messages:
        model = to_half(prepare(source))
    path = folder / MODEL_FILE
    path.write_bytes(model.SerializeToString(deterministic=True))
    wanted, got = (StandInBackend(each.read_bytes()) for each in (source, path))
    facts = {
        "scheme": "FP16 weights and activations, FP32 doors and head",
        "size_bytes": path.stat().st_size,
        **summarize(model).to_json(),
        "fidelity": compare_backends(wanted, got, images.tensors, images.metadata).to_json(),
        "messages": messages,
    }
    return StepOutput(MODEL_FILE, "onnx", facts=facts)


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with halves inside, sorted and checked. Raises StepError for weights beyond their range."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    _require_range(model)
    kept = dict.fromkeys((*head_nodes(model), *metadata_nodes(model)))
    with contextlib.redirect_stdout(io.StringIO()):
        half = convert_float_to_float16(
            copy.deepcopy(model),
            keep_io_types=True,
            op_block_list=DEFAULT_OP_BLOCK_LIST,
            node_block_list=list(kept),
        )
    OnnxModel.graph_topological_sort(half.graph)
    drop_unused_domains(half)
    del half.graph.value_info[:]  # of single precision still
    onnx.checker.check_model(half, full_check=True)
    return half


def _require_range(model: onnx.ModelProto) -> None:
    beyond = [
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
        and tensor.dims
        and np.abs(numpy_helper.to_array(tensor)).max(initial=0.0) > _LARGEST
    ]
    if beyond:
        raise StepError(
            f"weights beyond {_LARGEST:g} cannot be halves: {', '.join(beyond)}",
            'take precisions = ["fp32"] or ["int8"] for this target',
        )
