"""One answer a case, on the way from files or tensors to Predictions; refusals keep their reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from compress.datasets.base import Case
from compress.datasets.progress import Progress
from compress.intervals import Interval, proportion
from compress.localisation import boxes_hit, mean_iou, peak_hits
from compress.metadata import facts_of_case
from compress.metrics import thresholds
from compress.predictions import NOT_ASKED, Predictions
from runtime.detector import Detector
from runtime.errors import StepError
from runtime.examination import logit_of
from runtime.findings import Box, OperatingPoints, Refusal, RefusalCode, Verdict
from runtime.metadata import NOTHING_SAID, PatientFacts


@dataclass(frozen=True)
class RefusedCase:
    """An image without an answer, and what its user is told."""

    case_id: str
    body_part: str
    label: int
    code: str
    message: str


@dataclass(frozen=True)
class Shown:
    """The boxes that a clinic sees, against the true ones.

    boxed, iou: see Predictions. boxes: how many are shown.
    """

    boxed: int
    iou: float
    boxes: int


@dataclass(frozen=True)
class Answer:
    """One case's outcome; the logit is NaN when there is a refusal.

    located: see Predictions. shown: None where only a score was asked for.
    """

    case: Case
    verdict: Verdict
    logit: float = math.nan
    located: int = NOT_ASKED
    refusal: Refusal | None = None
    shown: Shown | None = None


def ask_all(cases: Sequence[Case], answer: Callable[[Case], Answer], progress: Progress) -> list[Answer]:
    """Case by case. Raises StepError without cases."""
    if not cases:
        raise StepError("there is no case to evaluate", "check the dataset or the split's share")
    progress(0, len(cases))
    answers = []
    for done, case in enumerate(cases, 1):
        answers.append(answer(case))
        progress(done, len(cases))
    return answers


def read(detector: Detector, case: Case) -> Answer:
    """The whole path of a clinic, from the image's file."""
    try:
        data = case.path.read_bytes()
    except OSError as error:
        refusal = Refusal(RefusalCode.DAMAGED, f"the file cannot be read: {error.strerror}", "check the file")
        return Answer(case, Verdict.UNREADABLE, refusal=refusal)
    findings = detector.detect_bytes(data, case.path.name, facts_for(detector, case))
    if findings.probability is None:
        return Answer(case, findings.verdict, refusal=findings.refusal)
    assert findings.evidence is not None  # an answer comes with its evidence
    located = peak_hits(findings.evidence, case.boxes)
    shown = show(findings.boxes, case, (findings.width_px, findings.height_px))
    return Answer(case, findings.verdict, logit_of(findings.probability), located, shown=shown)


def show(boxes: Sequence[Box], case: Case, size_px: tuple[int, int]) -> Shown:
    """The boxes on an image of (width, height), held against the case's true ones."""
    return Shown(boxes_hit(boxes, case.boxes, *size_px), mean_iou(boxes, case.boxes, *size_px), len(boxes))


def facts_for(detector: Detector, case: Case) -> PatientFacts:
    """What the data set says of the case, for a model that takes any of it."""
    return NOTHING_SAID if detector.spec.metadata is None else facts_of_case(case)


def collect(answers: Sequence[Answer]) -> Predictions:
    """The answered cases in their order; the others by id."""
    answered = [item for item in answers if item.refusal is None]
    cases = [item.case for item in answered]
    shown = [item.shown for item in answered if item.shown is not None]
    seen = len(shown) == len(answered)
    return Predictions(
        case_ids=np.array([case.case_id for case in cases], np.str_),
        patient_ids=np.array([case.patient_id for case in cases], np.str_),
        body_parts=np.array([case.body_part for case in cases], np.str_),
        labels=np.array([case.label for case in cases], np.int64),
        logits=np.array([item.logit for item in answered], np.float64),
        located=np.array([item.located for item in answered], np.int64),
        refused=tuple(item.case.case_id for item in answers if item.refusal is not None),
        boxed=np.array([item.boxed for item in shown], np.int64) if seen else None,
        ious=np.array([item.iou for item in shown], np.float64) if seen else None,
        boxes_shown=np.array([item.boxes for item in shown], np.int64) if seen else None,
        views=np.array([case.view for case in cases], np.str_),
        study_ids=np.array([case.study_id for case in cases], np.str_) if seen else None,
    )


def refused(item: Answer, refusal: Refusal) -> RefusedCase:
    """As reports list it."""
    case = item.case
    return RefusedCase(case.case_id, case.body_part, case.label, str(refusal.code), refusal.message)


def count_verdicts(answers: Sequence[Answer]) -> dict[str, dict[str, int]]:
    """For fractured and healthy images, how many get which verdict."""
    counts = Counter((item.case.label, item.verdict) for item in answers)
    return {
        name: {str(verdict): counts[label, verdict] for verdict in Verdict}
        for name, label in (("fractured", 1), ("healthy", 0))
    }


def pessimistic(answers: Sequence[Answer], points: OperatingPoints, confidence: float) -> dict[str, Interval]:
    """Sensitivity by operating point over all fractured images, those without an answer counted as missed."""
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
