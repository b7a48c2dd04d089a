"""Models and bundles -> Predictions and figures, always through runtime.Detector. Never needs torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case, Dataset
from compress.datasets.progress import Progress, silent
from compress.intervals import Interval, proportion
from compress.localisation import boxes_hit, peak_hits
from compress.metrics import MetricsReport, measure, thresholds
from compress.predictions import NOT_ASKED, Predictions
from compress.seen import FILE, NOTHING_SEEN, SeenImages, leave_out_seen, seen_from_json
from runtime.backends.base import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.detector import Detector, DetectorSpec, from_bundle
from runtime.errors import InferenceError, StepError
from runtime.findings import Findings, OperatingPoints, Refusal, RefusalCode, Verdict
from runtime.preprocess import Placement

SEEN_LEFT_OUT, SEEN_INCLUDED, SEEN_UNKNOWN = "left out", "included", "unknown"
_SMALLEST_TAIL = 1e-15
"""A probability this close to 0 or 1 is one to within rounding; its logit would be infinite."""


class TensorSource(Protocol):
    """Where network inputs come from; compress.datasets.tensors.TensorCache is one."""

    def tensor(self, case: Case) -> NDArray[np.float32]:
        """(1, 1, S, S) float32."""
        ...

    def placement(self, case: Case) -> Placement:
        """Where the image lies in its tensor."""
        ...


@dataclass(frozen=True)
class EvaluateOptions:
    """engine: key such as "onnxruntime-int8", None for what this machine's self-test prefers.

    confidence: of the two-sided intervals. include_seen: measure on the images that the model was made with
    too; the figures then flatter it.
    """

    engine: str | None = None
    backend: BackendOptions = field(default_factory=BackendOptions)
    confidence: float = 0.95
    include_seen: bool = False


_DEFAULT = EvaluateOptions()


@dataclass(frozen=True)
class RefusedCase:
    """An image without an answer, and what its user is told."""

    case_id: str
    body_part: str
    label: int
    code: str
    message: str


@dataclass(frozen=True)
class EvaluationResult:
    """What one engine of a bundle makes of a dataset.

    report: over the answered images. refused: the others. verdicts: for "fractured" and "healthy", how many
    images get which of the four answers. pessimistic_sensitivity: by operating point, over all fractured
    images, refused ones counted as missed. seen: what became of images of patients that the model was made
    with (left out | included | unknown, where the bundle does not say which they are). left_out: how many, by
    the set that held them. bundle, data: what was measured, by name and digest.
    """

    report: MetricsReport
    refused: tuple[RefusedCase, ...]
    verdicts: dict[str, dict[str, int]]
    pessimistic_sensitivity: dict[str, Interval]
    operating_points: OperatingPoints
    seen: str
    left_out: dict[str, int] = field(default_factory=dict)
    bundle: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-safe."""
        missed = {name: item.to_json() for name, item in self.pessimistic_sensitivity.items()}
        return {
            "schema": 1,
            "bundle": self.bundle,
            "data": self.data,
            "seen": self.seen,
            "left_out": self.left_out,
            "operating_points": asdict(self.operating_points),
            "verdicts": self.verdicts,
            "refused": [asdict(case) for case in self.refused],
            "pessimistic_sensitivity": missed,
            "metrics": self.report.to_json(),
        }


@dataclass(frozen=True)
class _Answer:
    """One case's outcome; the logit is NaN when there is a refusal."""

    case: Case
    verdict: Verdict
    logit: float = math.nan
    located: int = NOT_ASKED
    refusal: Refusal | None = None


def predict(
    backend: Backend,
    spec: DetectorSpec,
    tensors: TensorSource,
    cases: Sequence[Case],
    progress: Progress = silent,
) -> Predictions:
    """Score prepared tensors case by case (batch 1, as the kiosk does).

    A case for which the engine gives no sound answer goes into `refused`, which no gate lets pass.
    Raises InferenceError when no case gets an answer, StepError without cases.
    """
    detector = Detector(backend, spec)

    def answer(case: Case) -> _Answer:
        try:
            score = detector.score(tensors.tensor(case))
        except InferenceError as error:
            refusal = Refusal(RefusalCode.ENGINE, str(error), error.hint)
            return _Answer(case, Verdict.UNREADABLE, refusal=refusal)
        located = peak_hits(score.map, case.boxes, tensors.placement(case)) if case.boxes else NOT_ASKED
        return _Answer(case, Verdict.NONE, float(score.logit), located)

    answers = _ask_all(cases, answer, progress)
    first = answers[0].refusal
    if first is not None and all(item.refusal for item in answers):
        raise InferenceError(f"no case got an answer; the first: {first.message}", first.advice)
    return _collect(answers)


def evaluate_bundle(
    bundle: Bundle,
    dataset: Dataset,
    options: EvaluateOptions = _DEFAULT,
    progress: Progress = silent,
) -> EvaluationResult:
    """Run the whole path of a clinic, from each image's file to its findings, and measure the answers.

    Patients that the model was made with are left out. Raises BackendError when no engine passes its
    self-test, StepError for a dataset without cases, or without any that the model has not seen.
    """
    unseen = leave_out_seen(dataset.cases, dataset.image_digests, _seen(bundle, options))
    if dataset.cases and not unseen.cases:
        raise StepError(
            f"all {len(dataset.cases)} images are of patients that {bundle.manifest.name} was made with",
            "bring others, or measure on these all the same with --include-seen",
        )
    with from_bundle(bundle, options.engine, options.backend) as detector:
        answers = _ask_all(unseen.cases, lambda case: _read(detector, case), progress)
    points = bundle.manifest.operating_points
    predictions = _collect(answers)
    return EvaluationResult(
        report=measure(predictions, points, options.confidence),
        refused=tuple(_refused(item, item.refusal) for item in answers if item.refusal),
        verdicts=_count_verdicts(answers),
        pessimistic_sensitivity=_pessimistic(answers, points, options.confidence),
        operating_points=points,
        seen=_what_became_of_seen(bundle, options),
        left_out=unseen.left_out,
        bundle=_describe_bundle(bundle, detector.spec),
        data={"name": dataset.name, "digest": dataset.digest, "images": len(answers)},
    )


def _what_became_of_seen(bundle: Bundle, options: EvaluateOptions) -> str:
    if FILE not in bundle.manifest.files:
        return SEEN_UNKNOWN
    return SEEN_INCLUDED if options.include_seen else SEEN_LEFT_OUT


def _seen(bundle: Bundle, options: EvaluateOptions) -> SeenImages:
    if _what_became_of_seen(bundle, options) != SEEN_LEFT_OUT:
        return NOTHING_SEEN
    return seen_from_json(bundle.read(FILE))


def _ask_all(cases: Sequence[Case], answer: Callable[[Case], _Answer], progress: Progress) -> list[_Answer]:
    if not cases:
        raise StepError("there is no case to evaluate", "check the dataset or the split's share")
    progress(0, len(cases))
    answers = []
    for done, case in enumerate(cases, 1):
        answers.append(answer(case))
        progress(done, len(cases))
    return answers


def _read(detector: Detector, case: Case) -> _Answer:
    try:
        data = case.path.read_bytes()
    except OSError as error:
        refusal = Refusal(RefusalCode.DAMAGED, f"the file cannot be read: {error.strerror}", "check the file")
        return _Answer(case, Verdict.UNREADABLE, refusal=refusal)
    findings = detector.detect_bytes(data, case.path.name)
    if findings.probability is None:
        return _Answer(case, findings.verdict, refusal=findings.refusal)
    return _Answer(case, findings.verdict, _logit(findings.probability), _located(findings, case))


def _located(findings: Findings, case: Case) -> int:
    return boxes_hit(findings.boxes, case.boxes, findings.width_px, findings.height_px)


def _logit(probability: float) -> float:
    inside = min(max(probability, _SMALLEST_TAIL), 1 - _SMALLEST_TAIL)
    return math.log(inside / (1 - inside))


def _collect(answers: Sequence[_Answer]) -> Predictions:
    answered = [item for item in answers if item.refusal is None]
    return Predictions(
        case_ids=np.array([item.case.case_id for item in answered], np.str_),
        patient_ids=np.array([item.case.patient_id for item in answered], np.str_),
        body_parts=np.array([item.case.body_part for item in answered], np.str_),
        labels=np.array([item.case.label for item in answered], np.int64),
        logits=np.array([item.logit for item in answered], np.float64),
        located=np.array([item.located for item in answered], np.int64),
        refused=tuple(item.case.case_id for item in answers if item.refusal is not None),
    )


def _refused(item: _Answer, refusal: Refusal) -> RefusedCase:
    case = item.case
    return RefusedCase(case.case_id, case.body_part, case.label, str(refusal.code), refusal.message)


def _count_verdicts(answers: Sequence[_Answer]) -> dict[str, dict[str, int]]:
    counts = Counter((item.case.label, item.verdict) for item in answers)
    return {
        name: {str(verdict): counts[label, verdict] for verdict in Verdict}
        for name, label in (("fractured", 1), ("healthy", 0))
    }


def _pessimistic(
    answers: Sequence[_Answer], points: OperatingPoints, confidence: float
) -> dict[str, Interval]:
    ill = [item for item in answers if item.case.label == 1]
    if not ill:
        return {name: Interval.missing("no fractured image") for name in thresholds(points)}
    patients = np.array([item.case.patient_id for item in ill], np.str_)
    found = {
        "high_sensitivity": (Verdict.FRACTURE, Verdict.DOUBT),
        "high_specificity": (Verdict.FRACTURE,),
    }
    return {
        name: proportion(np.array([item.verdict in called for item in ill]), patients, confidence)
        for name, called in found.items()
    }


def _describe_bundle(bundle: Bundle, spec: DetectorSpec) -> dict[str, str]:
    manifest, used = bundle.manifest, spec.provenance
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": bundle.digest,
        "signed_by": bundle.signed_by,
        "engine": f"{used.engine}-{used.precision}",
        "device": used.device,
    }
