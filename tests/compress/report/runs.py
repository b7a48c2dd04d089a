"""A whole run as a record: simulated predictions through the real metrics and gates."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from compress.artifact import STATUS_DEFERRED
from compress.gate import Rules, floors, gate
from compress.metrics import Predictions, choose_operating_points, measure
from compress.options.gate import NO_DRIFT_LIMITS, DriftLimits, Floors, Margins
from compress.options.operating_points import OperatingPointOptions
from compress.recipe import Recipe
from compress.record import NodeRecord, RunRecord
from runtime.findings import OperatingPoints
from tests.compress.cohort import CohortOptions, cohort, perturbed, with_logits

_PARTS = ("hand", "forearm", "ankle")


@dataclass(frozen=True)
class Plan:
    """One node to simulate: how noisy its logits are, how large it is and how fast."""

    name: str
    parent: str
    title: str
    kind: str
    noise: float
    size_bytes: int
    p50_ms: float
    status: str = "ok"
    shift: float = 0.0


_ORT, _OV, _TRT = "onnxruntime/int8", "openvino/int8", "tensorrt/int8"
_PLANS = (
    Plan("train", "", "train", "train", 0.0, 3_412_330, 9.4),
    Plan("prune", "train", "prune", "prune", 1.1, 1_204_222, 5.8),
    Plan("finetune", "prune", "fine-tune", "finetune", 0.16, 1_204_222, 5.8),
    Plan("export", "finetune", "export to ONNX", "export", 0.16, 1_190_000, 2.9),
    Plan("onnxruntime/fp32/compile", "export", "ONNX Runtime fp32", "compile", 0.16, 1_192_100, 2.6),
    Plan(f"{_ORT}/quantize", "export", "quantize for ONNX Runtime", "quantize", 0.22, 341_000, 1.9),
    Plan(f"{_ORT}/compile", f"{_ORT}/quantize", "ONNX Runtime int8", "compile", 0.22, 343_000, 1.6),
    Plan(f"{_OV}/quantize", "export", "quantize for OpenVINO", "quantize", 0.3, 352_000, 2.4, shift=-0.9),
    Plan(f"{_OV}/compile", f"{_OV}/quantize", "OpenVINO int8", "compile", 0.0, 0, 0.0, "not run"),
    Plan(f"{_TRT}/quantize", "export", "quantize for TensorRT", "quantize", 0.24, 361_000, 3.3),
    Plan(
        f"{_TRT}/compile", f"{_TRT}/quantize", "TensorRT int8", "compile", 0.24, 366_000, 0, STATUS_DEFERRED
    ),
)
_TAILS = {"p50": 1.0, "p90": 1.2, "p99": 1.6}


def finished_run(seed: int = 1, patients: int = 320) -> RunRecord:
    """Eleven nodes: one branch fails its gate, one is deferred, one ships."""
    rng = np.random.default_rng(seed)
    options = CohortOptions(patients=patients, separation=3.2, body_parts=_PARTS)
    points = choose_operating_points(cohort(rng, options), OperatingPointOptions(0.95, 0.9))
    drawn = cohort(rng, options)
    views = np.where(np.arange(len(drawn)) % 2 == 0, "frontal", "lateral")
    reference = replace(drawn, views=views, located=np.where(drawn.labels == 1, 1, -1))
    nodes = tuple(_node(rng, plan, reference, points) for plan in _PLANS)
    return RunRecord(
        recipe={**asdict(Recipe("demo")), "name": "demo"},
        data=_data(),
        machine=_machine(),
        started_utc="2026-01-01T10:00:00+00:00",
        seconds=431.7,
        operating_points=vars(points).copy(),
        nodes=nodes,
        history={"train": _history(rng, 12), "finetune": _history(rng, 6)},
        test={"engine": "onnxruntime-int8", **measure(cohort(rng, options), points).to_json()},
        release=_release(),
    )


def stopped_run() -> RunRecord:
    """The first step could not be made: no metric, no verdict, no operating point."""
    nodes = (
        NodeRecord(
            "train", "", "train", "train", "failed", facts={"error": "no fractured image to learn from"}
        ),
        NodeRecord("prune", "train", "prune", "prune", "not run"),
    )
    return RunRecord({"name": "demo"}, {"name": "empty"}, {}, "2026-01-01T10:00:00+00:00", nodes=nodes)


def renamed(record: RunRecord, text: str) -> RunRecord:
    """The same run with a text in every place that a user can name."""
    first = replace(record.nodes[0], title=text, facts={text: text}, numerics_from=text)
    flips = [{**flip, "case_id": text, "patient_id": text, "body_part": text} for flip in _flips(record)]
    last = replace(record.nodes[-1], verdict={**record.nodes[-1].verdict, "flips": flips})
    return replace(
        record,
        recipe={"name": text},
        data={"name": text, "digest": text, "splits": {text: _data()["splits"]["fit"]}},
        machine={"cpu": text, "versions": {text: text}},
        nodes=(first, *record.nodes[1:-1], last),
        history={text: record.history["train"]},
        release={text: text},
    )


def _flips(record: RunRecord) -> list[dict[str, Any]]:
    return next(list(node.verdict["flips"]) for node in record.nodes if node.verdict.get("flips"))


def _node(
    rng: np.random.Generator, plan: Plan, reference: Predictions, points: OperatingPoints
) -> NodeRecord:
    empty = NodeRecord(plan.name, plan.parent, plan.title, plan.kind, plan.status)
    if plan.status == "not run":
        return empty
    seen = perturbed(rng, with_logits(reference, reference.logits + plan.shift), plan.noise)
    report = measure(seen, points)
    margins = Margins(0.15, 0.9, 0.9) if plan.kind == "prune" else Margins(0.03, 0.05, 0.05)
    rules = Rules(NO_DRIFT_LIMITS if plan.kind == "prune" else DriftLimits())
    verdict = (
        gate(reference, seen, points, margins, rules=rules) if plan.parent else floors(report, Floors(0.8))
    )
    table = report.to_json()
    deferred = plan.status == STATUS_DEFERRED
    engine, precision = (*plan.name.split("/"), "")[:2] if "/" in plan.name else ("", "")
    return replace(
        empty,
        status=plan.status if verdict.passed else "stopped",
        engine=engine,
        precision=precision,
        size_bytes=plan.size_bytes,
        sha256=hashlib.sha256(plan.name.encode()).hexdigest(),
        seconds=3.2 * len(plan.name),
        peak_memory_bytes=812_000_000,
        reused=plan.kind == "export",
        facts=_facts(plan),
        roc=table.pop("roc"),
        metrics=table,
        verdict=verdict.to_json(),
        latency_ms={} if deferred else {name: plan.p50_ms * by for name, by in _TAILS.items()},
        numerics_from="the Q/DQ graph on ONNX Runtime" if plan.name.startswith("tensorrt") else "",
    )


def _facts(plan: Plan) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "train": {"macs": 214_000_000, "parameters": 851_000},
        "prune": {"macs_before": 214_000_000, "macs": 88_100_000, "parameters": 298_000},
        "finetune": {"macs": 88_100_000, "parameters": 298_000},
        "export": {"opset": 17, "nodes": 43, "parity": {"1": 1.9e-6, "4": 2.1e-6}},
    }
    return dict(facts.get(plan.kind, {}))


def _history(rng: np.random.Generator, epochs: int) -> dict[str, Any]:
    falling = 0.7 * np.exp(-np.arange(epochs) / 5) + 0.1
    return {
        "loss": (falling + rng.uniform(0, 0.02, epochs)).tolist(),
        "calibration_loss": (falling + 0.06 + rng.uniform(0, 0.05, epochs)).tolist(),
        "calibration_auroc": (0.96 - 0.35 * np.exp(-np.arange(epochs) / 3)).tolist(),
        "kept_epoch": epochs - 1,
    }


def _data() -> dict[str, Any]:
    parts = {"ankle": 100, "forearm": 101, "hand": 99}
    own = {"patients": 150, "images": 300, "fractured": 146, "body_parts": parts}
    return {
        "name": "synthetic",
        "digest": "5f" * 32,
        "splits": dict.fromkeys(("fit", "calibration", "gate", "test"), own),
    }


def _machine() -> dict[str, Any]:
    return {"cpu": "Example CPU", "usable_cores": 2, "versions": {"ulna": "0.1.0", "onnxruntime": "1.32.0"}}


def _release() -> dict[str, Any]:
    return {
        "path": "bundle",
        "digest": "ab" * 32,
        "signed_by": "0123456789abcdef",
        "engine": "onnxruntime-int8",
        "reason": "onnxruntime-int8: p50 1.6 ms, next onnxruntime-fp32 2.6 ms",
    }
