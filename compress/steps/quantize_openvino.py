"""INT8 for OpenVINO, by NNCF's post-training quantization.

Its own placement of FakeQuantize follows what OpenVINO's CPU plugin can run in INT8. Two of its habits are
changed, because each costs several decibels on small networks: ranges span all images instead of averaging
the images' own, and weights with their biases are rounded as rounding.py says instead of by NNCF's bias
correction. On x86 with AVX2 but without VNNI these kernels saturate as ONNX Runtime's do; NNCF's remedy, half
the range of the weights, is used for all layers or none by the same decision as there (quantize_ort.py), and
then its bias correction too, since its half range is another grid.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx

from compress.artifact import StepOutput
from compress.options.target import TargetOptions
from compress.steps import openvino_tools
from compress.steps.calibration import CalibrationData
from compress.steps.chatter import collected
from compress.steps.fidelity import compare_backends
from compress.steps.ort_tools import prepare
from compress.steps.quantize_features import has_formulas
from compress.steps.quantize_ort import measured_range
from compress.steps.rounding import round_weights
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import BackendMissingError, StepError

_PERCENTILE_TAIL = 1e-4


def quantize_openvino(
    source: Path,
    folder: Path,
    calibration: CalibrationData,
    options: TargetOptions,
    reduce_range: bool | None = None,
) -> StepOutput:
    """Write `model.xml` and `model.bin` with FakeQuantize into `folder`.

    Raises StepError, ExportMismatchError, BackendMissingError.
    """
    chosen = calibration.spread(options.calibration_cases)
    decision = measured_range("openvino", reduce_range)
    with collected():
        graph = prepare(source)
        model = _rounded(graph, chosen, decision.reduce_range)
    parameters = _parameters(options.method, decision.reduce_range, has_formulas(graph))
    openvino_tools.require_contract(model)
    kept = openvino_tools.head_operations(model)
    others = (
        *openvino_tools.metadata_operations(model),
        *openvino_tools.float_operations(model),
        *openvino_tools.formula_operations(model, graph),
    )
    kept += tuple(dict.fromkeys(name for name in others if name not in kept))
    with collected() as messages:
        quantized = _quantize(model, chosen, kept, parameters)
    path = openvino_tools.save(quantized, folder)
    reference = OrtBackend(ModelFiles(source.read_bytes()))
    fidelity = compare_backends(reference, openvino_tools.open_ir(path), chosen.tensors, chosen.metadata)
    weights = path.with_suffix(".bin")
    facts: dict[str, Any] = {
        "method": options.method,
        "reduce_range": decision.reduce_range,
        "reduce_range_reason": decision.reason,
        "may_saturate_on": decision.may_saturate_on,
        "scheme": "NNCF mixed preset for the CPU, global ranges",
        "float_nodes": list(kept),
        "versions": {"openvino": _version(openvino_tools.load_openvino()), "nncf": _version(_load_nncf())},
        "size_bytes": path.stat().st_size + weights.stat().st_size,
        **chosen.facts(),
        **openvino_tools.count_operations(quantized),
        "fidelity": fidelity.to_json(),
        "messages": messages,
    }
    return StepOutput(path.name, "openvino", (weights.name,), facts)


def _rounded(model: onnx.ModelProto, calibration: CalibrationData, reduce_range: bool) -> Any:
    """NNCF's symmetric weight grid is the one of ONNX Runtime's quantizer, so the rounding serves it too.

    Its half range has a grid of its own, to which the weights go by nearest rounding. Formulas keep theirs.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rounded.onnx"
        if not reduce_range and not has_formulas(model):
            model = round_weights(model, calibration)
        path.write_bytes(model.SerializeToString())
        return openvino_tools.read_model(path)


def _quantize(model: Any, calibration: CalibrationData, kept: tuple[str, ...], parameters: Any) -> Any:
    nncf = _load_nncf()
    # Its own handler writes to the terminal; records still reach the root logger.
    logging.getLogger("nncf").handlers.clear()
    try:
        return nncf.quantize(
            model,
            nncf.Dataset(list(calibration.feeds())),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(calibration),
            fast_bias_correction=True,
            ignored_scope=nncf.IgnoredScope(names=list(kept), validate=False),
            advanced_parameters=parameters,
        )
    except (RuntimeError, ValueError, nncf.errors.ValidationError) as error:
        raise StepError(f"nncf cannot quantize the model: {' '.join(str(error).split())}") from error


def _parameters(method: str, reduce_range: bool, one_range: bool) -> Any:
    """How ranges are estimated, and how many bits weights get.

    one_range: for all channels that a depthwise convolution reads. Of planes of zeros and ones, one for each
    gray level, NNCF would otherwise make those zero for good that no calibration image shows.
    """
    nncf = _load_nncf()
    planes = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
    overflow = nncf.quantization.advanced_parameters.OverflowFix
    return nncf.AdvancedQuantizationParameters(
        overflow_fix=overflow.ENABLE if reduce_range else overflow.DISABLE,
        disable_bias_correction=not reduce_range,
        activations_range_estimator_params=_ranges(nncf, method),
        **({"activations_quantization_params": planes} if one_range else {}),
    )


def _ranges(nncf: ModuleType, method: str) -> Any:
    """Over all images the least and the greatest, or all but a ten-thousandth of an image's values."""
    parameters = nncf.quantization.range_estimator
    kinds, over_images = parameters.StatisticsType, parameters.AggregatorType
    pairs = ((kinds.MIN, over_images.MIN), (kinds.MAX, over_images.MAX))
    low, high = (
        parameters.StatisticsCollectorParameters(
            extreme if method == "minmax" else kinds.QUANTILE,
            aggregator,
            quantile_outlier_prob=_PERCENTILE_TAIL,
        )
        for extreme, aggregator in pairs
    )
    return parameters.RangeEstimatorParameters(min=low, max=high)


def _load_nncf() -> ModuleType:
    """The library; importing openvino first shuts out the telemetry of both."""
    openvino_tools.load_openvino()
    try:
        import nncf
        import nncf.quantization.advanced_parameters
        import nncf.quantization.range_estimator
    except ImportError as error:
        raise BackendMissingError("nncf is not installed", 'run pip install "ulna[compress]"') from error
    return nncf  # type: ignore[no-any-return]


def _version(library: ModuleType) -> str:
    return str(library.__version__).split("-", 1)[0]
