"""Who counts as one patient where a source leaves that open: the study, and only then the single image.

Images of one study are of one person, whatever else is unknown; so a study is never divided between training
and proof.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compress.datasets.base import Case
from compress.datasets.problems import Problem


@dataclass(frozen=True)
class StandIns:
    """cases: every one with a patient_id. by_study: ids of those whose study stands for the patient.

    problems: images whose study cannot stand for a patient.
    """

    cases: tuple[Case, ...]
    by_study: frozenset[str]
    problems: tuple[Problem, ...]


def stand_in(drafts: Sequence[Case]) -> StandIns:
    """Give each case without a patient (patient_id "") the one that its study names elsewhere.

    Where the study names none the study itself is the patient, where there is no study the image is.
    """
    named = _patients_by_study(drafts)
    cases, by_study, problems = [], set(), []
    for draft in drafts:
        patients = sorted(named.get(draft.study_id, ()))
        unit = draft.patient_id or (patients[0] if patients else draft.study_id) or draft.case_id
        if not draft.patient_id and len(patients) > 1:
            text = (
                f"{draft.case_id!r} names no patient, and its study {draft.study_id!r} is of several: "
                f"{', '.join(map(repr, patients))}"
            )
            problems.append(Problem(text, draft.case_id))
        if not draft.patient_id and draft.study_id and not patients:
            by_study.add(draft.case_id)
        cases.append(dataclasses.replace(draft, patient_id=unit))
    return StandIns(tuple(cases), frozenset(by_study), tuple(problems))


def said_of_unnamed(has_patients: bool, by_study: int, images: int) -> str:
    """Why images of one person can end up in two sets, "" where every image has its patient.

    by_study: how many of the images stand under their study.
    """
    if has_patients and not by_study:
        return ""
    if has_patients:
        who = f"names no patient of {by_study} images: their study counts as a patient"
    elif not by_study:
        who = "names no patients: every image counts as a patient"
    else:
        alone = images - by_study
        rest = f", and without a study every image counts as a patient ({alone} do)" if alone else ""
        who = f"names no patients: every study counts as a patient{rest}"
    return (
        f"{who}, so images of one person can end up in both training and test sets; "
        "a table groups.csv (image_id, group) would say"
    )


def _patients_by_study(cases: Iterable[Case]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for case in cases:
        if case.study_id and case.patient_id:
            found.setdefault(case.study_id, set()).add(case.patient_id)
    return found
