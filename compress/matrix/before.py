"""What a model says before any engine has it: its answers are a step, its thresholds are locked by them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from compress.artifact import Artifact, StepOutput
from compress.checkpoint import open_checkpoint
from compress.evaluate import predict
from compress.judgement import Court
from compress.ledger import Ledger, Node
from compress.operating_points import choose_operating_points
from compress.predictions import Predictions
from compress.step import StepPlan
from compress.workbench import Workbench
from runtime.backends.base import INPUT_NAME, Backend
from runtime.detector import DetectorSpec
from runtime.findings import OperatingPoints, Provenance
from runtime.latency import measure

ANSWERS = Node("answers", "train", "answers before", "answers")
_SETS = ("calibration", "gate")
_NO_POINTS = OperatingPoints(0.5, 0.5)


def ask(bench: Workbench, ledger: Ledger, trained: Artifact) -> Artifact:
    """Answers on the calibration and gate patients. facts: latency_ms at batch 1."""
    params = {
        "preprocess": asdict(bench.recipe.preprocess),
        **{name: [case.case_id for case in getattr(bench.splits, name)] for name in _SETS},
    }
    plan = StepPlan(ANSWERS.name, params, (trained.sha256, bench.dataset.digest), 0, ("torch", "onnxruntime"))

    def body(folder: Path) -> StepOutput:
        backend = open_checkpoint(trained.path)
        try:
            for name in _SETS:
                _predict(bench, backend, name).save(folder / _file(name))
            facts = {"latency_ms": _latency(bench, backend)}
        finally:
            backend.close()
        return StepOutput(_file("gate"), "predictions", (_file("calibration"),), facts)

    return ledger.make(ANSWERS, plan, body).artifact


def open_court(bench: Workbench, answers: Artifact) -> Court:
    """Thresholds from the calibration patients, the reference on the gate patients.

    Raises StepError where the calibration patients allow no thresholds.
    """
    calibration, gate = (Predictions.load(answers.folder / _file(name)) for name in _SETS)
    points = choose_operating_points(calibration, bench.recipe.operating_points)
    gates, digest = bench.recipe.gate, bench.dataset.digest
    spec = _spec(bench, points)
    return Court(bench.tensors, bench.splits.gate, spec, gate, digest, gates.confidence, drift=gates.drift)


def _predict(bench: Workbench, backend: Backend, name: str) -> Predictions:
    with bench.reporter.task(f"{name} patients") as advance:
        return predict(backend, _spec(bench), bench.tensors, getattr(bench.splits, name), advance)


def _latency(bench: Workbench, backend: Backend) -> dict[str, float]:
    found = measure(backend, {INPUT_NAME: bench.tensors.tensor(bench.splits.gate[0])})
    return {"p50": found.p50_ms, "p90": found.p90_ms, "p99": found.p99_ms}


def _spec(bench: Workbench, points: OperatingPoints = _NO_POINTS) -> DetectorSpec:
    release = bench.recipe.release
    provenance = Provenance("", "", release.name, release.version)
    return DetectorSpec(bench.recipe.preprocess, points, release.body_parts, provenance)


def _file(name: str) -> str:
    return f"{name}.npz"
