"""What a bundle says and does about whole examinations.

Thresholds are chosen on calibration examinations as those for single images are on images. The chance of an
examination is not that of an image: the largest of two chances, or the chance that either view shows a
fracture, lies higher, and thresholds of single images would call too many healthy patients. The mean of the
logits lies where its views lie, so it may keep those thresholds where there are too few examinations to
choose others. What is chosen holds for examinations with about as many views as those it was chosen on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from compress import studies
from compress.answers import Answer
from compress.datasets.base import Case
from compress.operating_points import choose_operating_points
from compress.options.operating_points import OperatingPointOptions
from compress.predictions import Predictions
from runtime.errors import StepError
from runtime.examination import DEFAULT_RULE, ExaminationSpec, combine
from runtime.findings import Findings, OperatingPoints, Provenance, Verdict
from runtime.postprocess import probability

_NOWHERE = Provenance("", "", "", "")


def choose_examination_spec(
    seen: Predictions, cases: Sequence[Case], options: OperatingPointOptions, say: Callable[[str], None]
) -> ExaminationSpec:
    """The recipe's rule, with thresholds of its own where the cases say which images belong together.

    seen: the predictions that the thresholds of single images were chosen on. cases: that they are of. Raises
    StepError where there are too few examinations and the rule cannot do with thresholds of single images.
    """
    rule = options.examination_rule
    named = {case.case_id: case.study_id for case in cases}
    ids = np.array([named.get(case_id, "") for case_id in seen.case_ids.tolist()], np.str_)
    several = studies.of_several_views(replace(seen, study_ids=ids))
    if rule == DEFAULT_RULE and not len(several):
        return ExaminationSpec(rule)
    try:
        return ExaminationSpec(rule, _choose(several, options))
    except StepError as error:
        if rule != DEFAULT_RULE:
            raise StepError(
                f"{rule} needs thresholds of its own: {error}",
                f"say by study_id which images belong together, or take examination_rule {DEFAULT_RULE}",
            ) from error
        say(f"examinations of several views keep the thresholds of single images: {error}")
        return ExaminationSpec(rule)


def _choose(several: Predictions, options: OperatingPointOptions) -> OperatingPoints:
    if not len(several):
        raise StepError("no calibration examination holds several images")
    return choose_operating_points(studies.combine(several, options.examination_rule), options)


def examination_verdicts(
    answers: Sequence[Answer], spec: ExaminationSpec, points: OperatingPoints
) -> dict[str, dict[str, int]]:
    """For fractured and healthy examinations of several views, how many get which verdict on a box.

    Unread views count as they do there. points: of single images. {} where no examination has several.
    """
    views: dict[str, list[Answer]] = defaultdict(list)
    for item in answers:
        if item.case.study_id:
            views[item.case.study_id].append(item)
    several = [items for items in views.values() if len(items) > 1]
    counts = Counter(
        (
            max(item.case.label for item in items),
            combine([_findings(item, points) for item in items], spec).verdict,
        )
        for items in several
    )
    kinds = (("fractured", 1), ("healthy", 0)) if several else ()
    return {name: {str(verdict): counts[label, verdict] for verdict in Verdict} for name, label in kinds}


def _findings(item: Answer, points: OperatingPoints) -> Findings:
    """As much of them as an examination's verdict depends on."""
    if item.refusal is not None:
        return Findings(Verdict.UNREADABLE, _NOWHERE, refusal=item.refusal)
    chance = probability(item.logit)
    return Findings(points.decide(chance), _NOWHERE, probability=chance, operating_points=points)
