"""INT8 for TensorRT: explicit Q/DQ, signed, zero points 0, per-channel weights; biases stay float.

Pairs stand at the inputs of convolutions only. The identity of a residual block shares the pair of the
convolution beside it, while the other summand comes straight from its convolution: so TensorRT fuses
convolution, addition and activation into one INT8 kernel ("Working with Quantized Types" in its developer
guide). A pair behind that convolution would force a separate pass over the sum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from compress.artifact import StepOutput
from compress.lint.tensorrt_types import require_tensorrt_graph
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.chatter import collected
from compress.steps.fidelity import compare_backends
from compress.steps.graph import summarize
from compress.steps.ort_tools import QdqPlan, insert_qdq
from compress.steps.quantize_features import float_formulas
from compress.steps.quantize_ort import float_head
from compress.steps.stand_in import StandInBackend

MODEL_FILE = "model.onnx"
OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_EXTRA = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "CalibTensorRangeSymmetric": True,
    # Float weights behind Q and DQ are read by every TensorRT since 8; INT8 constants are not.
    "AddQDQPairToWeight": True,
    "QuantizeBias": False,
    "OpTypesToExcludeOutputQuantization": list(OPERATORS),
}


def quantize_tensorrt(
    source: Path, folder: Path, calibration: CalibrationData, options: TargetOptions
) -> StepOutput:
    """Write `model.onnx` with Q/DQ into `folder`. Raises StepError, ExportMismatchError."""
    chosen = calibration.spread(options.calibration_cases)
    path = folder / MODEL_FILE
    with collected() as messages:
        model = insert_qdq(source, path, chosen, options.method, QdqPlan(OPERATORS, True, extra=_EXTRA))
    require_tensorrt_graph(model)
    reference, candidate = (StandInBackend(item.read_bytes()) for item in (source, path))
    facts: dict[str, Any] = {
        "method": options.method,
        "scheme": "S8 activations and weights, zero points 0, weights per channel, explicit Q/DQ",
        "float_nodes": list(dict.fromkeys((*float_head(source), *float_formulas(source, OPERATORS)))),
        "versions": {"onnxruntime": onnxruntime.__version__},
        "size_bytes": path.stat().st_size,
        **chosen.facts(),
        **summarize(model).to_json(),
        "fidelity": compare_backends(reference, candidate, chosen.tensors, chosen.metadata).to_json(),
        "messages": messages,
    }
    return StepOutput(MODEL_FILE, "onnx", facts=facts)
