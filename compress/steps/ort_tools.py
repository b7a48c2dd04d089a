"""ONNX Runtime's static quantizer, called the way both of our Q/DQ recipes need it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from compress.steps.calibration import CalibrationData, OrtCalibrationReader
from compress.steps.graph import (
    drop_unused_domains,
    float_sums,
    head_nodes,
    load_graph,
    metadata_nodes,
    name_nodes,
)
from compress.steps.quantize_features import formula_nodes, has_formulas, ranges_of_counts
from compress.steps.rounding import QMAX, QMAX_REDUCED, round_weights
from runtime.errors import StepError

PERCENTILE = 99.99
_STRIDE = 16
"""Images whose activations are in memory at once while histograms are made."""


@dataclass(frozen=True)
class QdqPlan:
    """How the Q/DQ pairs are placed: see onnxruntime.quantization.quantize_static."""

    operators: tuple[str, ...]
    signed_activations: bool
    reduce_range: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def insert_qdq(
    source: Path, target: Path, calibration: CalibrationData, method: str, plan: QdqPlan
) -> onnx.ModelProto:
    """Read `source`, write the Q/DQ graph to `target` and return it.

    Head, what facts of patients touch, float_sums and formula_nodes stay in float. Per-channel signed
    weights; activations as the plan says. Raises StepError.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    calibrate_method = _method(method)
    activations = QuantType.QInt8 if plan.signed_activations else QuantType.QUInt8
    model = prepare(source)
    others = (*metadata_nodes(model), *float_sums(model), *formula_nodes(model))
    kept = list(dict.fromkeys((*head_nodes(model), *others)))
    ranges = {} if plan.signed_activations else _ranges(model)
    if not has_formulas(model):  # whose kernels of ones are on any grid, and the others stay in float
        model = round_weights(model, calibration, QMAX_REDUCED if plan.reduce_range else QMAX)
    try:
        quantize_static(
            model,
            str(target),
            OrtCalibrationReader(_whole_strides(calibration)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(plan.operators),
            per_channel=True,
            reduce_range=plan.reduce_range,
            activation_type=activations,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            calibrate_method=calibrate_method,
            extra_options={
                "CalibStridedMinMax": _STRIDE,
                "CalibPercentile": PERCENTILE,
                **plan.extra,
                **ranges,
            },
        )
    except (ValueError, RuntimeError, KeyError) as error:
        raise StepError(f"onnxruntime cannot quantize {source.name}: {error}") from error
    quantized = load_graph(target)
    drop_unused_domains(quantized)
    target.write_bytes(quantized.SerializeToString(deterministic=True))
    return quantized


def prepare(source: Path) -> onnx.ModelProto:
    """The graph with shapes inferred, constants folded and every node named."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = load_graph(source)
    name_nodes(model)
    with tempfile.TemporaryDirectory() as folder:
        named, path = Path(folder) / "named.onnx", Path(folder) / "prepared.onnx"
        # From a file: of a model in memory the constants are taken out, and a graph whose shapes are among
        # them, as in one that was prepared before, cannot be read without.
        named.write_bytes(model.SerializeToString())
        # Symbolic shape inference is for transformers and wants sympy; only our batch is free.
        quant_pre_process(str(named), str(path), skip_symbolic_shape=True)
        prepared = load_graph(path)
    name_nodes(prepared)
    return prepared


def _whole_strides(calibration: CalibrationData) -> CalibrationData:
    return calibration.spread(len(calibration) // _STRIDE * _STRIDE)


def _ranges(model: onnx.ModelProto) -> dict[str, Any]:
    """The quantizer's option for ranges that are known without looking at images."""
    known = ranges_of_counts(model)
    return {"TensorQuantOverrides": known} if known else {}


def _method(name: str) -> Any:
    from onnxruntime.quantization import CalibrationMethod

    return getattr(CalibrationMethod, {"minmax": "MinMax"}.get(name, name.capitalize()))
