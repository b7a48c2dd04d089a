"""The engine computes other numbers than the graph says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from compress.artifact import StepOutput
from compress.faults import graphs
from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.swap import edited_graph, swapped, swapped_quantizer
from compress.options.target import TargetOptions
from compress.recipe import Recipe
from compress.steps.calibration import CalibrationData
from compress.steps.quantize import quantize_ort, quantize_tensorrt
from compress.steps.quantize_ort import RangeDecision
from runtime import machine
from runtime.backends.base import INPUT_NAME, LOGIT_NAME

_DARK_SHARE = 0.25
"""Of the gate pictures: for the darkest of them the engine answers no number."""


def _for_onnxruntime(
    source: Path, folder: Path, images: CalibrationData, options: TargetOptions
) -> StepOutput:
    """Unsigned activations, as ONNX Runtime likes them."""
    return quantize_ort(source, folder, images, replace(options, engine="onnxruntime"))


def _unsigned_for_tensorrt(bed: Bed) -> AbstractContextManager[None]:
    return swapped_quantizer("tensorrt", _for_onnxruntime)


def _for_tensorrt(source: Path, folder: Path, images: CalibrationData, options: TargetOptions) -> StepOutput:
    """Signed activations everywhere, as TensorRT wants them."""
    return quantize_tensorrt(source, folder, images, replace(options, engine="tensorrt"))


def _signed_for_onnxruntime(bed: Bed) -> AbstractContextManager[None]:
    return swapped_quantizer("onnxruntime", _for_tensorrt)


@contextmanager
def _full_range(bed: Bed) -> Iterator[None]:
    """Eight bits, whatever the measurement of this processor says."""

    def eight_bits(engine: str, wanted: bool | None = None) -> RangeDecision:
        return RangeDecision(False, "eight bits were asked for")

    with ExitStack() as open_now:
        for place in ("quantize", "quantize_ort", "quantize_openvino"):
            open_now.enter_context(swapped(f"compress.steps.{place}.measured_range", eight_bits))
        yield


def _no_number(graph: onnx.ModelProto, dark: float) -> None:
    """A root of a negative number for pictures of a lower mean."""
    graphs.behind(
        graph,
        LOGIT_NAME,
        (
            graphs.node("ReduceMean", (INPUT_NAME,), "nan_mean", axes=[2, 3], keepdims=0),
            graphs.node("Sub", ("nan_mean", graphs.constant(graph, "nan_dark", dark)), "nan_over"),
            graphs.node("Sqrt", ("nan_over",), "nan_root"),
            graphs.node("Mul", ("nan_root", graphs.constant(graph, "nan_zero", 0.0)), "nan_or_zero"),
            graphs.node("Add", (graphs.sound(LOGIT_NAME), "nan_or_zero"), LOGIT_NAME),
        ),
    )


def _answers_no_number(bed: Bed) -> AbstractContextManager[None]:
    bench = bed.bench()
    means = bench.tensors.stack(bench.splits.gate).mean(axis=(1, 2, 3))
    return edited_graph("onnxruntime", partial(_no_number, dark=float(np.quantile(means, _DARK_SHARE))))


def _speed_asked(recipe: Recipe) -> Recipe:
    """INT8 must be worth it."""
    return replace(recipe, targets=tuple(replace(target, must_be_faster=True) for target in recipe.targets))


def _not_x86() -> str:
    here = machine.describe().architecture
    return "" if here in ("x86_64", "amd64") else f"its arithmetic is that of x86, this processor is {here}"


FAULTS = (
    Fault(
        name="uint8-as-int8",
        title="unsigned Q/DQ given to an engine that reads signed ones",
        seen="a graph quantized for ONNX Runtime compiled by TensorRT, which imports UINT8 as INT8",
        engines={"tensorrt": ("int8",)},
        spoils=("tensorrt/int8-quantized", "tensorrt/int8"),
        caught_by=("lint: tensorrt",),
        inject=_unsigned_for_tensorrt,
    ),
    Fault(
        name="saturation",
        title="eight-bit weights on a processor whose INT8 sums saturate",
        seen="x86 with AVX2 and without VNNI adds two products in 16 bits",
        engines={"openvino": ("int8",)},
        spoils=("openvino/int8-quantized", "openvino/int8"),
        caught_by=("gate: ", "lint: "),
        inject=_full_range,
        # oneDNN reads it when it is loaded; the kernels are then those of a processor without VNNI.
        environment={"ONEDNN_MAX_CPU_ISA": "AVX2"},
        needs=_not_x86,
    ),
    Fault(
        name="no-number",
        title="NaN for some of the pictures",
        seen="overflow in half precision, a logarithm of zero",
        engines={"onnxruntime": ("fp32",)},
        spoils=("onnxruntime/fp32",),
        caught_by=("not finite",),
        inject=_answers_no_number,
    ),
    Fault(
        name="slow-int8",
        title="INT8 slower than float",
        seen="one engine's quantization recipe used for another",
        engines={"onnxruntime": ("fp32", "int8")},
        spoils=("onnxruntime/int8-quantized", "onnxruntime/int8"),
        caught_by=("not shown to be faster",),
        inject=_signed_for_onnxruntime,
        recipe=_speed_asked,
        needs=_not_x86,
    ),
)
