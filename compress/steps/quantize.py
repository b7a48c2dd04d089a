"""One recipe a target: what one engine runs fast, the next runs slowly or misreads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compress.artifact import StepOutput
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.quantize_openvino import quantize_openvino
from compress.steps.quantize_ort import measured_range, quantize_ort
from compress.steps.quantize_tensorrt import quantize_tensorrt
from compress.steps.saturation import ENGINES
from compress.steps.smooth import FACT, smoothed_file
from runtime.errors import RecipeError

__all__ = ["QUANTIZERS", "quantize", "quantize_openvino", "quantize_ort", "quantize_tensorrt"]

QUANTIZERS = {
    "onnxruntime": quantize_ort,
    "openvino": quantize_openvino,
    "tensorrt": quantize_tensorrt,
}


def reduces_range(engine: str) -> bool:
    """Whether weights get seven bits for this engine on this processor; TensorRT's never do."""
    return engine in ENGINES and measured_range(engine).reduce_range


def quantize(source: Path, folder: Path, calibration: CalibrationData, options: TargetOptions) -> StepOutput:
    """Quantize the ONNX graph `source` for `options.engine`, smoothed before where the options ask for it.

    Raises RecipeError for an unknown engine.
    """
    quantizer = QUANTIZERS.get(options.engine)
    if quantizer is None:
        raise RecipeError(f"no target {options.engine!r}", f"targets: {', '.join(QUANTIZERS)}")
    if not options.smooth:
        return quantizer(source, folder, calibration, options)
    chosen = calibration.spread(options.calibration_cases)
    with smoothed_file(source, chosen, options.smooth) as (smoothed, facts):
        output = quantizer(smoothed, folder, calibration, options)
    return replace(output, facts={**output.facts, FACT: facts})
