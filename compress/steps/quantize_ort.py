"""INT8 for ONNX Runtime's CPU kernels: unsigned activations, signed per-channel weights, Q/DQ.

U8S8 is what its x86 kernels compute; signed activations cost a conversion of every tensor. On x86 with AVX2
but without VNNI the U8S8 kernel adds two products in 16 bits, which saturates for large weights; seven-bit
weights (`reduce_range`) cannot. The box is not known here, so the processor that builds and gates decides, by
a measurement (saturation.py), and the record says on which others the model may saturate; the self-test on
the box catches it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from compress.artifact import StepOutput
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.chatter import collected
from compress.steps.fidelity import compare_backends
from compress.steps.graph import float_sums, head_nodes, load_graph, metadata_nodes, name_nodes, summarize
from compress.steps.ort_tools import QdqPlan, insert_qdq
from compress.steps.quantize_features import float_formulas
from compress.steps.saturation import saturates
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend

MODEL_FILE = "model.onnx"
OPERATORS = ("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "Concat", "Resize")
_VNNI_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


@dataclass(frozen=True)
class RangeDecision:
    """Whether weights get seven bits instead of eight, and why."""

    reduce_range: bool
    reason: str

    @property
    def may_saturate_on(self) -> str:
        """Boxes on which the answers may differ from those gated here, "" for none."""
        return "" if self.reduce_range else "x86 with AVX2 but no VNNI"


def decide_range(cpu_flags: tuple[str, ...], wanted: bool | None = None) -> RangeDecision:
    """`wanted` where it is given, else by the processor: seven bits where eight may saturate."""
    if wanted is not None:
        return RangeDecision(wanted, "asked for")
    flags = frozenset(cpu_flags)
    if "avx2" in flags and not flags & _VNNI_FLAGS:
        return RangeDecision(True, "this processor has AVX2 without VNNI, whose kernels saturate at 8 bits")
    kind = ", ".join(sorted(flags & _VNNI_FLAGS)) or "no AVX2"
    return RangeDecision(False, f"this processor does not saturate ({kind})")


def measured_range(engine: str, wanted: bool | None = None) -> RangeDecision:
    """`wanted` where it is given, else seven bits where this engine saturates on this processor.

    Raises BackendMissingError where the engine is not installed.
    """
    if wanted is not None:
        return RangeDecision(wanted, "asked for")
    if saturates(engine):
        return RangeDecision(True, "measured: a convolution of the largest values saturates at 8 bits here")
    return RangeDecision(False, "measured: a convolution of the largest values comes out whole here")


def quantize_ort(
    source: Path,
    folder: Path,
    calibration: CalibrationData,
    options: TargetOptions,
    reduce_range: bool | None = None,
) -> StepOutput:
    """Write `model.onnx` with Q/DQ into `folder`. Raises StepError, ExportMismatchError."""
    chosen = calibration.spread(options.calibration_cases)
    decision = measured_range("onnxruntime", reduce_range)
    plan = QdqPlan(OPERATORS, signed_activations=False, reduce_range=decision.reduce_range)
    path = folder / MODEL_FILE
    with collected() as messages:
        model = insert_qdq(source, path, chosen, options.method, plan)
    fidelity = compare_backends(_open(source), _open(path), chosen.tensors, chosen.metadata)
    facts: dict[str, Any] = {
        "method": options.method,
        "scheme": "U8 activations, S8 weights per channel, Q/DQ",
        "reduce_range": decision.reduce_range,
        "reduce_range_reason": decision.reason,
        "may_saturate_on": decision.may_saturate_on,
        "float_nodes": _float_nodes(source),
        "versions": {"onnxruntime": onnxruntime.__version__},
        "size_bytes": path.stat().st_size,
        **chosen.facts(),
        **summarize(model).to_json(),
        "fidelity": fidelity.to_json(),
        "messages": messages,
    }
    return StepOutput(MODEL_FILE, "onnx", facts=facts)


def float_head(source: Path) -> tuple[str, ...]:
    """Names of the nodes of a float graph that no recipe quantizes."""
    model = load_graph(source)
    name_nodes(model)
    return tuple(dict.fromkeys((*head_nodes(model), *metadata_nodes(model))))


def _float_nodes(source: Path) -> list[str]:
    model = load_graph(source)
    name_nodes(model)
    others = (*float_sums(model), *float_formulas(source, OPERATORS))
    return list(dict.fromkeys((*float_head(source), *others)))


def _open(path: Path) -> OrtBackend:
    return OrtBackend(ModelFiles(path.read_bytes()))
