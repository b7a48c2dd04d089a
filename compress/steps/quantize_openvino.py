"""INT8 for OpenVINO, by NNCF's post-training quantization with bias correction.

Its own placement of FakeQuantize follows what OpenVINO's CPU plugin can run in INT8. NNCF avoids saturation
on processors without VNNI by its overflow fix (half the weights' range), which is applied to the first layer
only by default; the self-test on the box sees the rest.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

from compress.artifact import StepOutput
from compress.recipe import TargetOptions
from compress.steps import openvino_tools
from compress.steps.calibration import CalibrationData
from compress.steps.chatter import collected
from compress.steps.fidelity import compare_backends
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import BackendMissingError, RecipeError, StepError

METHODS = ("minmax", "percentile")
_PERCENTILE_TAIL = 1e-4


def quantize_openvino(
    source: Path, folder: Path, calibration: CalibrationData, options: TargetOptions
) -> StepOutput:
    """Write `model.xml` and `model.bin` with FakeQuantize into `folder`.

    Raises StepError, RecipeError, ExportMismatchError, BackendMissingError.
    """
    chosen = calibration.spread(options.calibration_cases)
    model = openvino_tools.read_model(source)
    openvino_tools.require_contract(model)
    head = openvino_tools.head_operations(model)
    with collected() as messages:
        quantized = _quantize(model, chosen, head, options.method)
    path = openvino_tools.save(quantized, folder)
    reference = OrtBackend(ModelFiles(source.read_bytes()))
    fidelity = compare_backends(reference, openvino_tools.open_ir(path), chosen.tensors)
    weights = path.with_suffix(".bin")
    facts: dict[str, Any] = {
        "method": options.method,
        "scheme": "NNCF mixed preset for the CPU, fast bias correction",
        "float_nodes": list(head),
        "versions": {"openvino": _version(openvino_tools.load_openvino()), "nncf": _version(_load_nncf())},
        "size_bytes": path.stat().st_size + weights.stat().st_size,
        **chosen.facts(),
        **openvino_tools.count_operations(quantized),
        "fidelity": fidelity.to_json(),
        "messages": messages,
    }
    return StepOutput(path.name, "openvino", (weights.name,), facts)


def _quantize(model: Any, calibration: CalibrationData, head: tuple[str, ...], method: str) -> Any:
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
            ignored_scope=nncf.IgnoredScope(names=list(head), validate=False),
            advanced_parameters=_ranges(nncf, method),
        )
    except (RuntimeError, ValueError, nncf.errors.ValidationError) as error:
        raise StepError(f"nncf cannot quantize the model: {' '.join(str(error).split())}") from error


def _ranges(nncf: ModuleType, method: str) -> Any:
    """None for NNCF's own minimum and maximum, which are averaged over the images where that is better."""
    if method not in METHODS:
        raise RecipeError(f"no calibration method {method!r} for openvino", f"methods: {', '.join(METHODS)}")
    if method == "minmax":
        return None
    parameters = nncf.quantization.range_estimator
    statistics = [
        parameters.StatisticsCollectorParameters(
            kind, parameters.AggregatorType.MEAN, quantile_outlier_prob=_PERCENTILE_TAIL
        )
        for kind in (parameters.StatisticsType.QUANTILE, parameters.StatisticsType.QUANTILE)
    ]
    estimator = parameters.RangeEstimatorParameters(min=statistics[0], max=statistics[1])
    return nncf.AdvancedQuantizationParameters(activations_range_estimator_params=estimator)


def _load_nncf() -> ModuleType:
    """The library; importing openvino first shuts out the telemetry of both."""
    openvino_tools.load_openvino()
    try:
        import nncf
        import nncf.quantization.range_estimator
    except ImportError as error:
        raise BackendMissingError("nncf is not installed", 'run pip install "ulna[compress]"') from error
    return nncf  # type: ignore[no-any-return]


def _version(library: ModuleType) -> str:
    return str(library.__version__).split("-", 1)[0]
