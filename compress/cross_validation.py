"""Scores by networks that have not learned from the patients they score: the fit patients in folds.

For each fold a network is trained as the shipped one is, on the other folds. Its scores on the patients left
out show what a new patient would get, and there are several times as many of them as calibration patients:
operating points read off them hold (docs/adr/0009). Every fold, and its scores, are steps of their own; an
interrupted run goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress import anomaly
from compress.artifact import StepOutput
from compress.breakdown import measure_without
from compress.checkpoint import TRAINERS, open_checkpoint, train_checkpoint
from compress.datasets.base import Case
from compress.datasets.splits import Fold, folds
from compress.evaluate import predict
from compress.expectation import cross_validated_performance, expected_performance
from compress.metrics import measure, parts_to_json
from compress.operating_points import require_enough
from compress.predictions import Predictions
from compress.step import StepPlan, run_step
from compress.training.loop import TrainRun
from compress.workbench import Workbench
from runtime.detector import DetectorSpec
from runtime.findings import OperatingPoints

_SCORES = "scores.npz"


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """predictions: of patients whom the scoring network has not learned from. folds: (N,) which it was."""

    predictions: Predictions
    folds: NDArray[np.int64]

    def expectation(self, bench: Workbench, points: OperatingPoints) -> dict[str, Any]:
        """What to expect of the locked points, and of the way in which they were chosen (JSON-safe)."""
        options, confidence = bench.recipe.operating_points, bench.recipe.gate.confidence
        locked = expected_performance(self.predictions, points, self.folds, confidence)
        chosen = cross_validated_performance(self.predictions, options, self.folds, confidence)
        without = measure_without(
            self.predictions,
            bench.dataset.cases,
            bench.recipe.data.also_without,
            lambda kept: measure(kept, points, confidence),
        )
        return {
            "patients": self.predictions.patients,
            "images": len(self.predictions),
            "fractured": int(self.predictions.labels.sum()),
            "at_locked_points": {name: item.to_json() for name, item in locked.items()},
            "at_points_of_other_folds": {name: item.to_json() for name, item in chosen.items()},
            "measured": parts_to_json({"all": measure(self.predictions, points, confidence)})["all"],
            "without": parts_to_json(without),
        }


def require_enough_patients(bench: Workbench) -> None:
    """Before anything is trained: raises StepError where too few patients will choose the operating points.

    With folds, points are also chosen without each part in turn, to tell what they do on the part left out.
    """
    options, how, splits = bench.recipe.operating_points, bench.recipe.data, bench.splits
    if not options.folds:
        return require_enough(_labels(splits.calibration), options)
    rounds = folds(splits.fit, options.folds, how.split_seed, how.stratify)
    for fold in rounds:
        require_enough(_labels((*fold.fit, *splits.calibration)), options)
    require_enough(_labels(splits.fit), options)


def require_enough_images(bench: Workbench) -> None:
    """Before anything is trained too: raises StepError where anomaly statistics are wanted of too few."""
    if bench.recipe.has_statistics:
        anomaly.require_enough_images(len(bench.splits.fit), len(bench.splits.calibration))


def _labels(cases: Sequence[Case]) -> NDArray[np.int64]:
    return np.array([case.label for case in cases], np.int64)


def out_of_fold(bench: Workbench, spec: DetectorSpec, own: Predictions) -> OutOfFold:
    """The fit patients, scored fold by fold, and the calibration patients as the shipped network scored them.

    own: the latter. They are the last fold: should the shipped network's logits have another scale than the
    folds' networks, it shows there. Raises StepError where a fold cannot be trained.
    """
    count, how = bench.recipe.operating_points.folds, bench.recipe.data
    rounds = folds(bench.splits.fit, count, how.split_seed, how.stratify)
    parts = [_score(bench, spec, number, fold) for number, fold in enumerate(rounds, start=1)]
    parts.append(own)
    numbers = [np.full(len(part), number) for number, part in enumerate(parts, start=1)]
    return OutOfFold(Predictions.concatenate(parts), np.concatenate(numbers).astype(np.int64))


def _score(bench: Workbench, spec: DetectorSpec, number: int, fold: Fold) -> Predictions:
    bench.reporter.say(f"[bold]fold {number} of {bench.recipe.operating_points.folds}[/bold]")
    trained = run_step(
        _plan(bench, number, fold), bench.steps / f"fold-{number}", _body(bench, fold)
    ).artifact
    name = f"fold-{number}-scores"
    params = {
        "preprocess": asdict(bench.recipe.preprocess),
        "metadata": asdict(bench.recipe.metadata),
        "held_out": [case.case_id for case in fold.held_out],
    }
    plan = StepPlan(name, params, (trained.sha256, bench.dataset.digest), 0, ("torch", "onnxruntime"))

    def body(folder: Path) -> StepOutput:
        backend = open_checkpoint(trained.path)
        try:
            with bench.reporter.task(f"scores of fold {number}") as advance:
                predict(backend, spec, bench.tensors, fold.held_out, advance).save(folder / _SCORES)
        finally:
            backend.close()
        return StepOutput(_SCORES, "predictions")

    return Predictions.load(run_step(plan, bench.steps / name, body).artifact.path)


def _plan(bench: Workbench, number: int, fold: Fold) -> StepPlan:
    recipe = bench.recipe
    params = {
        "model": asdict(recipe.model),
        "train": asdict(recipe.train),
        "preprocess": asdict(recipe.preprocess),
        "calibrate": recipe.operating_points.calibrate,
        **({"classical": asdict(recipe.classical)} if recipe.is_classical else {}),
        **({"patches": asdict(recipe.patches)} if recipe.patches.share else {}),
        **bench.learning_params(),
        "fit": [case.case_id for case in fold.fit],
        "calibration": [case.case_id for case in bench.splits.calibration],
    }
    return StepPlan(f"fold-{number}", params, (bench.dataset.digest,), recipe.seed, noted=TRAINERS)


def _body(bench: Workbench, fold: Fold) -> Callable[[Path], StepOutput]:
    recipe = bench.recipe

    def train(folder: Path) -> StepOutput:
        data = bench.train_data(fold.fit)
        with bench.reporter.task("training") as advance:
            run = TrainRun(folder, recipe.seed, None, advance)
            return train_checkpoint(recipe, data, run)

    return train
