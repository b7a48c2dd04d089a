"""Opens the court: locks the checkpoint's thresholds and writes down its answers on the gate patients."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from compress.artifact import Artifact
from compress.checkpoint import open_checkpoint
from compress.cross_validation import OutOfFold, out_of_fold
from compress.evaluate import predict
from compress.examinations import choose_examination_spec
from compress.judgement import Court
from compress.operating_points import choose_operating_points
from compress.predictions import Predictions
from compress.refit import Selection
from compress.withheld import examine_facts
from compress.workbench import Workbench
from runtime.backends.base import Backend
from runtime.detector import DetectorSpec
from runtime.examination import ExaminationSpec
from runtime.findings import OperatingPoints, Provenance

_NO_POINTS = OperatingPoints(0.5, 0.5)


@dataclass(frozen=True)
class Opened:
    """The court, and what to expect of its operating points on new patients; {} without folds.

    examination: how several views become one answer. metadata: what facts of patients do (compress.withheld).
    """

    court: Court
    expectation: dict[str, Any] = field(default_factory=dict)
    examination: ExaminationSpec = field(default_factory=ExaminationSpec)
    metadata: dict[str, Any] = field(default_factory=dict)


def open_court(bench: Workbench, trained: Artifact) -> Opened:
    """Lock the operating points on patients that the scoring network has not learned from.

    They are the calibration patients, and with [operating_points] folds the fit patients out of fold.
    """
    options = bench.recipe.operating_points
    backend = open_checkpoint(trained.path)
    try:
        seen = _calibration_scores(bench, backend)
        scores = out_of_fold(bench, spec_of(bench), seen) if options.folds else None
        chosen_on = scores.predictions if scores else seen
        points = choose_operating_points(chosen_on, options)
        examination = choose_examination_spec(chosen_on, bench.dataset.cases, options, bench.reporter.say)
        court = _court(bench, backend, points)
        court = replace(court, selection=selection_of(bench, seen, points, examination))
        metadata = examine_facts(bench, court, backend)
    finally:
        backend.close()
    return Opened(court, _expectation(bench, scores, points), examination, metadata)


def _expectation(bench: Workbench, scores: OutOfFold | None, points: OperatingPoints) -> dict[str, Any]:
    return {} if scores is None else scores.expectation(bench, points)


def _calibration_scores(bench: Workbench, backend: Backend) -> Predictions:
    with bench.reporter.task("operating points") as advance:
        return predict(backend, spec_of(bench), bench.tensors, bench.splits.calibration, advance)


def selection_of(
    bench: Workbench, seen: Predictions, points: OperatingPoints, examination: ExaminationSpec
) -> Selection | None:
    """On whom compressed nodes get thresholds of their own; None where the recipe allows them none.

    seen: the original checkpoint's answers on the calibration patients.
    """
    if not bench.recipe.operating_points.refit:
        return None
    return Selection(bench.splits.calibration, seen, points, examination)


def _court(bench: Workbench, backend: Backend, points: OperatingPoints) -> Court:
    spec = spec_of(bench, points)
    with bench.reporter.task("reference") as advance:
        reference = predict(backend, spec, bench.tensors, bench.splits.gate, advance)
    gates, digest = bench.recipe.gate, bench.dataset.digest
    return Court(
        bench.tensors, bench.splits.gate, spec, reference, digest, gates.confidence, drift=gates.drift
    )


def spec_of(bench: Workbench, points: OperatingPoints = _NO_POINTS) -> DetectorSpec:
    """How a network of this bench is asked."""
    release = bench.recipe.release
    provenance = Provenance("", "", release.name, release.version)
    return DetectorSpec(
        bench.recipe.preprocess, points, release.body_parts, provenance, metadata=bench.metadata
    )
