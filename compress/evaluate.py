"""Models and bundles -> Predictions and figures, always through runtime.Detector. Never needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compress import breakdown, studies
from compress.answers import (
    Answer,
    RefusedCase,
    ask_all,
    collect,
    count_verdicts,
    pessimistic,
    read,
    refused,
    show,
)
from compress.breakdown import Breakdown, tag_values
from compress.datasets.base import Case, Dataset
from compress.datasets.progress import Progress, silent
from compress.examinations import examination_verdicts
from compress.intervals import Interval
from compress.localisation import peak_hits
from compress.metadata import facts_of_case
from compress.metrics import MetricsReport, measure, measure_by, parts_to_json
from compress.predictions import Predictions
from compress.seen import FILE, NOTHING_SEEN, SeenImages, leave_out_seen, seen_from_json
from runtime.backends.base import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.detector import Detector, DetectorSpec, from_bundle
from runtime.errors import InferenceError, StepError
from runtime.findings import OperatingPoints, Refusal, RefusalCode, Verdict
from runtime.metadata import NOTHING_SAID, PatientFacts
from runtime.postprocess import locate, probability
from runtime.preprocess import Placement

OWN_POINTS = "the engine's own, re-fitted"
SEEN_LEFT_OUT, SEEN_INCLUDED, SEEN_UNKNOWN = "left out", "included", "unknown"


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
    too; the figures then flatter it. breakdown: tags whose values are shown apart or left out.
    """

    engine: str | None = None
    backend: BackendOptions = field(default_factory=BackendOptions)
    confidence: float = 0.95
    include_seen: bool = False
    breakdown: Breakdown = field(default_factory=Breakdown)


_DEFAULT = EvaluateOptions()


@dataclass(frozen=True)
class EvaluationResult:
    """What one engine of a bundle makes of a dataset.

    report: over the answered images. refused: the others. verdicts: for "fractured" and "healthy", how many
    images get which of the four answers. pessimistic_sensitivity: by operating point, over all fractured
    images, refused ones counted as missed. seen: what became of images of patients that the model was made
    with (left out | included | unknown, where the bundle does not say which they are). left_out: how many, by
    the set that held them. bundle, data: what was measured, by name and digest. by_tag: by the tag's name and
    value. without: by "tag=value", over the other images. by_study: over whole examinations, by the rule that
    combines their images. by_examination: for fractured and healthy examinations of several views, how many
    get which answer by the bundle's own rule. predictions: of the answered images.
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
    by_tag: dict[str, dict[str, MetricsReport]] = field(default_factory=dict)
    without: dict[str, MetricsReport] = field(default_factory=dict)
    by_study: dict[str, MetricsReport] = field(default_factory=dict)
    by_examination: dict[str, dict[str, int]] = field(default_factory=dict)
    predictions: Predictions | None = field(default=None, repr=False)

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
            "by_tag": {tag: parts_to_json(parts) for tag, parts in self.by_tag.items()},
            "without": parts_to_json(self.without),
            "by_study": parts_to_json(self.by_study),
            "by_examination": self.by_examination,
        }


def predict(
    backend: Backend,
    spec: DetectorSpec,
    tensors: TensorSource,
    cases: Sequence[Case],
    progress: Progress = silent,
    facts: Callable[[Case], PatientFacts] = facts_of_case,
) -> Predictions:
    """Score prepared tensors case by case (batch 1, as the kiosk does).

    facts: what a network that takes facts of the patient is told; `nothing_known` withholds them.
    A case for which the engine gives no sound answer goes into `refused`, which no gate lets pass.
    Raises InferenceError when no case gets an answer, StepError without cases.
    """
    asked = _Asked(Detector(backend, spec), tensors, facts)
    return _collect_sound(ask_all(cases, asked.score, progress))


def predict_shown(
    backend: Backend,
    spec: DetectorSpec,
    tensors: TensorSource,
    cases: Sequence[Case],
    progress: Progress = silent,
    facts: Callable[[Case], PatientFacts] = facts_of_case,
) -> Predictions:
    """The same with the boxes that a clinic is shown at the spec's operating points, and the examinations.

    The pictures themselves are not looked at: none is refused as unusable or unfamiliar. Raises as `predict`.
    """
    asked = _Asked(Detector(backend, spec), tensors, facts)
    return _collect_sound(ask_all(cases, asked.show, progress))


def _collect_sound(answers: Sequence[Answer]) -> Predictions:
    first = answers[0].refusal
    if first is not None and all(item.refusal for item in answers):
        raise InferenceError(f"no case got an answer; the first: {first.message}", first.advice)
    return collect(answers)


@dataclass(frozen=True)
class _Asked:
    """One network and what it is asked about."""

    detector: Detector
    tensors: TensorSource
    facts: Callable[[Case], PatientFacts]

    def score(self, case: Case) -> Answer:
        """Nothing is located where there is no true box to hold it against."""
        return self._answer(case, shows=False)

    def show(self, case: Case) -> Answer:
        """With what is shown, on healthy images too."""
        return self._answer(case, shows=True)

    def _answer(self, case: Case, shows: bool) -> Answer:
        try:
            score = self.detector.score(self.tensors.tensor(case), self.facts(case))
        except InferenceError as error:
            refusal = Refusal(RefusalCode.ENGINE, str(error), error.hint)
            return Answer(case, Verdict.UNREADABLE, refusal=refusal)
        verdict = self.detector.spec.operating_points.decide(probability(score.logit))
        if not shows and not case.boxes:
            return Answer(case, verdict, score.logit)
        placement = self.tensors.placement(case)
        boxes, evidence = locate(score.map, placement)
        located = peak_hits(evidence, case.boxes)
        if not shows:
            return Answer(case, verdict, score.logit, located)
        size_px = placement.source_width_px, placement.source_height_px
        shown = show(() if verdict is Verdict.NONE else boxes, case, size_px)
        return Answer(case, verdict, score.logit, located, shown=shown)


def nothing_known(case: Case) -> PatientFacts:
    """Of no patient."""
    return NOTHING_SAID


def evaluate_bundle(
    bundle: Bundle,
    dataset: Dataset,
    options: EvaluateOptions = _DEFAULT,
    progress: Progress = silent,
) -> EvaluationResult:
    """Run the whole path of a clinic, from each image's file to its findings, and measure the answers.

    A model that takes facts of the patient is told what the data set says of each.

    Patients that the model was made with are left out. Raises BackendError when no engine passes its
    self-test, StepError for a dataset without cases, or without any that the model has not seen.
    """
    unseen = leave_out_seen(dataset.cases, dataset.image_digests, _seen(bundle, options))
    if dataset.cases and not unseen.cases:
        raise StepError(
            f"all {len(dataset.cases)} images are of patients that {bundle.manifest.name} was made with",
            "bring others, or measure on these all the same with --include-seen",
        )
    breakdown.check(unseen.cases, options.breakdown)
    with from_bundle(bundle, options.engine, options.backend) as detector:
        answers = ask_all(unseen.cases, lambda case: read(detector, case), progress)
    spec = detector.spec
    points = spec.operating_points  # an engine may have its own
    predictions = collect(answers)
    answered = [item.case for item in answers if item.refusal is None]
    return EvaluationResult(
        report=measure(predictions, points, options.confidence),
        refused=tuple(refused(item, item.refusal) for item in answers if item.refusal),
        verdicts=count_verdicts(answers),
        pessimistic_sensitivity=pessimistic(answers, points, options.confidence),
        operating_points=points,
        seen=_what_became_of_seen(bundle, options),
        left_out=unseen.left_out,
        bundle=_describe_bundle(bundle, spec),
        data={"name": dataset.name, "digest": dataset.digest, "images": len(answers)},
        by_tag=_by_tag(predictions, answered, points, options),
        without=_without(predictions, answered, points, options),
        by_study=_by_study(predictions, spec, options.confidence),
        by_examination=examination_verdicts(answers, spec.examination, points),
        predictions=predictions,
    )


def _by_tag(
    predictions: Predictions, cases: Sequence[Case], points: OperatingPoints, options: EvaluateOptions
) -> dict[str, dict[str, MetricsReport]]:
    return {
        tag: measure_by(predictions, tag_values(cases, tag), points, options.confidence)
        for tag in options.breakdown.by
    }


def _without(
    predictions: Predictions, cases: Sequence[Case], points: OperatingPoints, options: EvaluateOptions
) -> dict[str, MetricsReport]:
    found = {}
    for tag, value in options.breakdown.without:
        others = predictions.subset(tag_values(cases, tag) != value)
        found[f"{tag}={value}"] = measure(others, points, options.confidence)
    return found


def _by_study(predictions: Predictions, spec: DetectorSpec, confidence: float) -> dict[str, MetricsReport]:
    if not studies.has_studies(predictions):
        return {}
    images, own = spec.operating_points, spec.examination
    found = {rule: measure(studies.combine(predictions, rule), images, confidence) for rule in studies.RULES}
    if own.operating_points is not None:
        whole = studies.combine(studies.of_several_views(predictions), own.rule)
        found[f"{own.rule}, at its own thresholds"] = measure(whole, own.operating_points, confidence)
    return found


def _what_became_of_seen(bundle: Bundle, options: EvaluateOptions) -> str:
    if FILE not in bundle.manifest.files:
        return SEEN_UNKNOWN
    return SEEN_INCLUDED if options.include_seen else SEEN_LEFT_OUT


def _seen(bundle: Bundle, options: EvaluateOptions) -> SeenImages:
    if _what_became_of_seen(bundle, options) != SEEN_LEFT_OUT:
        return NOTHING_SEEN
    return seen_from_json(bundle.read(FILE))


def _describe_bundle(bundle: Bundle, spec: DetectorSpec) -> dict[str, str]:
    manifest, used = bundle.manifest, spec.provenance
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": bundle.digest,
        "signed_by": bundle.signed_by,
        "engine": f"{used.engine}-{used.precision}",
        "device": used.device,
        **({} if spec.operating_points == manifest.operating_points else {"thresholds": OWN_POINTS}),
    }
