"""Tries one node of the tree on the gate patients and writes down what came out, before anything is raised.

Predictions and latency are kept beside the artifact and used again as long as artifact, patients,
preprocessing and the code that asks are the same; the verdict is always worked out anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress import metrics
from compress.artifact import Artifact
from compress.datasets.base import Case
from compress.datasets.progress import Progress, silent
from compress.datasets.tensors import TensorCache
from compress.evaluate import predict
from compress.gate import ParityVerdict, Rules, Verdict, gate, joined, parity, refusal, write_verdict
from compress.metrics import MetricsReport
from compress.options.gate import NO_DRIFT_LIMITS, DriftLimits, Margins
from compress.own_code import own_code
from compress.predictions import Predictions
from compress.refit import OwnPoints, Refit, Selection, refit
from runtime.backends.base import Backend
from runtime.backends.feeds import image_alone
from runtime.detector import DetectorSpec
from runtime.errors import InferenceError, StepError
from runtime.findings import OperatingPoints
from runtime.latency import LatencyOptions, measure

GATE_FOLDER = "gate"
RELEASED = "the released model on its own gate patients"
RELEASED_NEW = "the released model on new patients"


@dataclass(frozen=True)
class Released:
    """A released model that this run improves, by its predictions on the gate patients.

    old: those who gated it; nothing may be worse on them. new: the others, who came with the new cases.
    judges_new: whether the margins hold for them too.
    """

    old: Predictions
    new: Predictions
    judges_new: bool = False


@dataclass(frozen=True)
class Court:
    """What every node is tried on.

    cases: the gate patients. reference: the original checkpoint's predictions on them. data_digest: of the
    dataset. confidence: of the one-sided bounds. released: what every node must be no worse than besides,
    where the run improves a released model. drift: how far the answers of a node may move. selection: the
    patients on whom a compressed node may get thresholds of its own, None where the recipe allows none.
    """

    tensors: TensorCache
    cases: tuple[Case, ...]
    spec: DetectorSpec
    reference: Predictions
    data_digest: str
    confidence: float
    released: Released | None = None
    drift: DriftLimits = DriftLimits()
    selection: Selection | None = None

    @property
    def points(self) -> OperatingPoints:
        """The locked operating points."""
        return self.spec.operating_points


@dataclass(frozen=True)
class Look:
    """A look at the gate patients after one that did not pass: its confidence, and what led to it."""

    number: int
    confidence: float
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As verdict files hold it."""
        return {"number": self.number, "confidence": self.confidence, **self.facts}


@dataclass(frozen=True)
class Trial:
    """One node to be tried: how to open it, and with which margins it must compare.

    numerics_from: what is run in the artifact's place, "" for the artifact itself.
    same_as: predictions that it must repeat within `parity_limit` (as logits), where nothing but the format
    has changed. may_drift: whether its answers may move as far as they like, as a pruned network's do before
    it is mended; how far is noted all the same. look: None for the first. refits: whether it may have
    thresholds of its own where the court allows any: it is not the original checkpoint in another format.
    """

    artifact: Artifact
    open_backend: Callable[[], Backend]
    margins: Margins
    numerics_from: str = ""
    same_as: Predictions | None = None
    parity_limit: float = 0.0
    may_drift: bool = False
    look: Look | None = None
    refits: bool = False


@dataclass(frozen=True)
class Judged:
    """What the trial showed. own: the thresholds that it was judged at, None for the locked ones."""

    predictions: Predictions
    report: MetricsReport
    verdict: Verdict
    latency_ms: dict[str, float]
    parity: ParityVerdict | None
    own: OwnPoints | None = None

    @property
    def passed(self) -> bool:
        """Whether the node may go on."""
        return self.verdict.passed and (self.parity is None or self.parity.passed)


def judge(court: Court, trial: Trial, progress: Progress = silent) -> Judged:
    """Predict, measure, compare, write `gate/verdict.json` and `gate/metrics.json` into the step's folder.

    An artifact that gives no case a sound answer fails: its verdict says so, and nothing else is measured.
    """
    try:
        predictions, latency_ms = observe(court, trial, progress)
        moved = _refit(court, trial, progress)
    except InferenceError as error:
        return _without_answers(court, trial, error)
    verdict = _verdict(court, trial, predictions, moved)
    points = court.points if moved is None else moved.points
    report = metrics.measure(predictions, points, court.confidence)
    folder = trial.artifact.folder / GATE_FOLDER
    write_verdict(verdict, folder / "verdict.json")
    _write_json(folder / "metrics.json", report.to_json())
    same = _parity(trial, predictions)
    if same is not None:
        write_verdict(same, folder / "parity.json")
    return Judged(predictions, report, verdict, latency_ms, same, None if moved is None else moved.own)


def _refit(court: Court, trial: Trial, progress: Progress) -> Refit | None:
    """Thresholds of the node's own, by its answers on the selection patients; None where none are allowed."""
    if court.selection is None or not trial.refits:
        return None
    return refit(court.selection, _observe_selection(court, court.selection, trial, progress))


def _verdict(court: Court, trial: Trial, predictions: Predictions, moved: Refit | None) -> Verdict:
    """At the confidence of the look that it is."""
    own = None if moved is None or moved.own is None else moved.own.images
    rules = Rules(NO_DRIFT_LIMITS if trial.may_drift else court.drift, candidate_points=own)
    if trial.look is not None:
        court = replace(court, confidence=trial.look.confidence)
    verdict = gate(court.reference, predictions, court.points, trial.margins, court.confidence, rules)
    verdict = beside_released(verdict, court, predictions, trial.margins, own)
    if moved is not None:
        verdict = replace(verdict, operating_points=moved.to_json())
    return verdict if trial.look is None else replace(verdict, look=trial.look.to_json())


def beside_released(
    verdict: Verdict,
    court: Court,
    predictions: Predictions,
    margins: Margins,
    own: OperatingPoints | None = None,
) -> Verdict:
    """The verdict, joined with those against the released model where there is one. own: see `Rules`."""
    released = court.released
    if released is None:
        return verdict
    compared = against_released(released.old, court, predictions, margins, own)
    verdict = joined(verdict, compared, RELEASED)
    if not released.judges_new:
        return verdict
    return joined(verdict, against_released(released.new, court, predictions, margins, own), RELEASED_NEW)


def against_released(
    released: Predictions,
    court: Court,
    predictions: Predictions,
    margins: Margins,
    own: OperatingPoints | None = None,
) -> Verdict:
    """On those of the gate patients that `released` is about, at its operating points, the locked ones.

    No drift is looked at: a model that went on learning may be calibrated otherwise, and better.
    """
    same = predictions.subset(np.isin(predictions.case_ids, released.case_ids))
    rules = Rules(candidate_points=own)
    return gate(released, same, court.points, margins, court.confidence, rules)


def _without_answers(court: Court, trial: Trial, error: InferenceError) -> Judged:
    ids = court.reference.case_ids
    none = court.reference.subset(np.zeros(len(court.reference), bool))
    predictions = replace(none, refused=tuple(ids.tolist()))
    verdict = refusal(court.reference, str(error), court.confidence)
    if trial.look is not None:
        verdict = replace(verdict, look=trial.look.to_json())
    report = metrics.measure(predictions, court.points, court.confidence)
    write_verdict(verdict, trial.artifact.folder / GATE_FOLDER / "verdict.json")
    _write_json(trial.artifact.folder / GATE_FOLDER / "metrics.json", report.to_json())
    return Judged(predictions, report, verdict, {}, None)


def observe(court: Court, trial: Trial, progress: Progress = silent) -> tuple[Predictions, dict[str, float]]:
    """Predictions on the gate patients and the model's latency; from the step's folder where known."""
    folder = trial.artifact.folder / GATE_FOLDER
    key, marker = _key(court, trial, court.cases), folder / "observed.json"
    known = _observed(folder, marker, key)
    if known is not None:
        return known
    folder.mkdir(exist_ok=True)
    # Predictions must never lie beside a marker of others, wherever the run is interrupted.
    marker.unlink(missing_ok=True)
    with closing(trial.open_backend()) as backend:
        predictions = predict(backend, court.spec, court.tensors, court.cases, progress)
        latency_ms = {} if trial.numerics_from else _latency_ms(backend, court)
    predictions.save(folder / "predictions.npz")
    _write_json(marker, {"key": key, "latency_ms": latency_ms, "numerics_from": trial.numerics_from})
    return predictions, latency_ms


def _observe_selection(court: Court, selection: Selection, trial: Trial, progress: Progress) -> Predictions:
    """The same on the selection patients, whose answers are kept beside those on the gate patients."""
    folder = trial.artifact.folder / GATE_FOLDER
    marker, path = folder / "selection.json", folder / "selection.npz"
    key = _key(court, trial, selection.cases)
    known = _selected(marker, path, key)
    if known is not None:
        return known
    folder.mkdir(exist_ok=True)
    marker.unlink(missing_ok=True)
    with closing(trial.open_backend()) as backend:
        predictions = predict(backend, court.spec, court.tensors, selection.cases, progress)
    predictions.save(path)
    _write_json(marker, {"key": key})
    return predictions


def _selected(marker: Path, path: Path, key: str) -> Predictions | None:
    """What an earlier run saw, as `_observed`."""
    try:
        return Predictions.load(path) if json.loads(marker.read_bytes())["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, StepError):
        return None


def _observed(folder: Path, marker: Path, key: str) -> tuple[Predictions, dict[str, float]] | None:
    """What an earlier run saw; None where it is of other data, not there or damaged: then it is seen anew."""
    try:
        known = json.loads(marker.read_bytes())
        if known["key"] != key:
            return None
        return Predictions.load(folder / "predictions.npz"), dict(known["latency_ms"])
    except (OSError, ValueError, KeyError, TypeError, StepError):
        return None


def _parity(trial: Trial, predictions: Predictions) -> ParityVerdict | None:
    if trial.same_as is None:
        return None
    return parity(trial.same_as.logits, predictions.logits, trial.parity_limit)


def _latency_ms(backend: Backend, court: Court) -> dict[str, float]:
    feeds = image_alone(backend.inputs, court.tensors.tensor(court.cases[0]))
    latency = measure(backend, feeds, LatencyOptions())
    return {"p50": latency.p50_ms, "p90": latency.p90_ms, "p99": latency.p99_ms}


def _key(court: Court, trial: Trial, cases: Sequence[Case]) -> str:
    basis = [
        own_code(),
        trial.artifact.sha256,
        trial.numerics_from,
        court.data_digest,
        [case.case_id for case in cases],
        asdict(court.spec.preprocess),
        *([asdict(court.spec.metadata)] if court.spec.metadata is not None else []),
    ]
    return hashlib.sha256(json.dumps(basis).encode()).hexdigest()


def _write_json(path: Path, table: object) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(table, indent=2, allow_nan=False), encoding="utf-8")
    partial.replace(path)
