"""From a stored row to the one state a screen shows. Pure, and strict in one direction only.

"No fracture found" needs everything at once: a finished job, a stored result that parses, a verdict that
follows from its own probability and operating points. Anything else ends in another state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from device_app.store.models import JobState
from device_app.store.records import ExaminationRecord, ImageRecord
from runtime import strict
from runtime.errors import BundleFormatError
from runtime.examination import ExaminationSpec, combine
from runtime.findings import Box, Findings, OperatingPoints, Provenance, Refusal, RefusalCode, Verdict
from runtime.metadata import FactsUsed, PatientFacts, years_text


class ScreenState(StrEnum):
    """The five things a screen can say about a picture."""

    FRACTURE = "fracture"
    DOUBT = "doubt"
    NONE = "none"
    UNREADABLE = "unreadable"
    WORKING = "working"


ANSWERED = (ScreenState.FRACTURE, ScreenState.DOUBT, ScreenState.NONE)
BAD_RECORD = "bad_record"
"""Reason code of a stored result that cannot be trusted."""


_BY_MEAN = ExaminationSpec()


@dataclass(frozen=True)
class Answer:
    """What a screen shows of one picture.

    reason: code of a refusal or failure (RefusalCode, FailureCode or BAD_RECORD), "" otherwise.
    message, advice: the refusal in the detector's own words. boxes: in source pixels.
    told: facts of the patient that the answer rests on; None for a model that looks at the picture alone.
    shows: body part and view as file or person say. ahead: pictures read before this one, while waiting.
    can_retry: a person may ask for another try. rule: how this answer and those of other views become one.
    views: of how many pictures it is the answer. gravest: what the view that needs attention first says by
    itself, None for a single picture.
    """

    state: ScreenState
    reason: str = ""
    message: str = ""
    advice: str = ""
    probability: float | None = None
    points: OperatingPoints | None = None
    boxes: tuple[Box, ...] = ()
    warnings: tuple[str, ...] = ()
    width_px: int = 0
    height_px: int = 0
    ahead: int = 0
    being_read: bool = False
    can_retry: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)
    timings_ms: dict[str, float] = field(default_factory=dict)
    told: FactsUsed | None = None
    shows: tuple[str, ...] = ()
    rule: ExaminationSpec = _BY_MEAN
    views: int = 1
    gravest: ScreenState | None = None

    @property
    def graver(self) -> ScreenState | None:
        """What one view by itself says where all of them together say less; None where none says more."""
        found = self.gravest
        if found not in (ScreenState.FRACTURE, ScreenState.DOUBT):
            return None
        return found if _URGENCY.index(found) < _URGENCY.index(self.state) else None


def answer(image: ImageRecord) -> Answer:
    """The state of one image."""
    if waits(image):
        return Answer(ScreenState.WORKING, ahead=image.ahead, being_read=image.state is JobState.WORKING)
    if image.state is JobState.FAILED:
        here = image.removed_utc is None
        return Answer(ScreenState.UNREADABLE, reason=image.failure, message=image.detail, can_retry=here)
    try:
        return _parse(image)
    except _SPOILT as error:
        return Answer(ScreenState.UNREADABLE, reason=BAD_RECORD, message=f"{type(error).__name__}: {error}")


_SPOILT = (AttributeError, BundleFormatError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What a text raises that is no result: 1e999 is a number to JSON, and none of pixels."""


def waits(image: ImageRecord) -> bool:
    """Whether it has neither an answer nor a failure yet."""
    return image.state in (JobState.QUEUED, JobState.WORKING)


# A view without a finding never hides one that was not read.
_URGENCY = (
    ScreenState.FRACTURE,
    ScreenState.DOUBT,
    ScreenState.UNREADABLE,
    ScreenState.WORKING,
    ScreenState.NONE,
)


def summary(examination: ExaminationRecord) -> Answer:
    """One answer for an examination (runtime.examination); that of a single view is its own.

    While views are awaited, and for views that were judged in different ways, it is that of the view that
    needs attention first.
    """
    views = [answer(image) for image in examination.images]
    first = min(views, key=lambda found: _URGENCY.index(found.state))
    if len(views) == 1:
        return first
    if any(view.state is ScreenState.WORKING for view in views) or not _judged_alike(views):
        return replace(first, views=len(views), gravest=first.state)
    return replace(_together(views, first), views=len(views), gravest=first.state)


def _judged_alike(views: Sequence[Answer]) -> bool:
    """By the same thresholds of the same bundle: other scores cannot be averaged."""
    read = [view for view in views if view.state is not ScreenState.UNREADABLE]
    return len({(view.points, view.rule, view.provenance["bundle_sha256"]) for view in read}) <= 1


def _together(views: Sequence[Answer], first: Answer) -> Answer:
    """By the rule that the bundle gives. What is said of a place or a reason is said at each view."""
    read = next((view for view in views if view.state is not ScreenState.UNREADABLE), first)
    whole = combine([_findings(view) for view in views], read.rule)
    state = ScreenState(str(whole.verdict))
    if state is ScreenState.UNREADABLE:
        unread = first if first.state is state else Answer(state)
        return Answer(state, reason=unread.reason, message=unread.message, advice=unread.advice)
    return Answer(state, probability=whole.probability, points=whole.operating_points, rule=first.rule)


def _findings(view: Answer) -> Findings:
    """What the rule needs of a view."""
    source = Provenance(*(str(view.provenance.get(name, "")) for name in _PROVENANCE))
    if view.state is ScreenState.UNREADABLE:
        why = Refusal(RefusalCode.ENGINE, view.reason, view.message)
        return Findings(Verdict.UNREADABLE, source, refusal=why)
    verdict = Verdict(str(view.state))
    return Findings(verdict, source, probability=view.probability, operating_points=view.points)


_PROVENANCE = ("image_sha256", "bundle_sha256", "bundle_name", "bundle_version")


def _parse(image: ImageRecord) -> Answer:
    if image.findings_json is None:
        raise ValueError("a finished picture without a result")
    record = strict.loads(image.findings_json.encode(), "result")
    verdict = Verdict(record["verdict"])
    other = image.removed_utc is None and record["provenance"]["image_sha256"] != image.sha256
    if str(verdict) != image.verdict or other:  # a removed one has given its digest up (store.removal)
        raise ValueError("the result is not this picture's")
    refused = verdict is Verdict.UNREADABLE
    return _with_facts(_refused(record) if refused else _answered(record, verdict), record)


def _refused(record: dict[str, Any]) -> Answer:
    refusal = record["refusal"]
    return Answer(
        ScreenState.UNREADABLE,
        reason=str(refusal["code"]),
        message=str(refusal["message"]),
        advice=str(refusal["advice"]),
    )


def _answered(record: dict[str, Any], verdict: Verdict) -> Answer:
    points = OperatingPoints(**record["operating_points"])
    probability = float(record["probability"])
    if not isinstance(record["provenance"]["bundle_sha256"], str):
        raise TypeError("an answer says by which bundle")
    if points.decide(probability) is not verdict:
        raise ValueError("the verdict does not follow from the probability")
    boxes = tuple(Box(**box) for box in record["boxes"])
    rule = _rule(record["examination"]) if "examination" in record else _BY_MEAN
    return Answer(ScreenState(str(verdict)), probability=probability, points=points, boxes=boxes, rule=rule)


def _rule(record: dict[str, Any]) -> ExaminationSpec:
    points = record["operating_points"]
    return ExaminationSpec(str(record["rule"]), None if points is None else OperatingPoints(**points))


def _with_facts(found: Answer, record: dict[str, Any]) -> Answer:
    return replace(
        found,
        width_px=int(record["width_px"]),
        height_px=int(record["height_px"]),
        warnings=tuple(map(str, record["warnings"])),
        provenance=dict(record["provenance"]),
        timings_ms={str(stage): float(ms) for stage, ms in record["timings_ms"].items()},
        told=_told(record["metadata"]) if "metadata" in record else None,
        shows=_shows(record.get("subject") or {}),
    )


def _shows(subject: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(subject[name]) for name in ("body_part", "view") if subject.get(name))


def _told(record: dict[str, Any]) -> FactsUsed:
    years = record["age_years"]
    said = {name: str(record[name]) for name in ("sex", "body_part", "view")}
    facts = PatientFacts(age="" if years is None else years_text(float(years)), **said)
    return FactsUsed(facts, tuple(map(str, record["notes"])))
