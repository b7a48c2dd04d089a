"""What identifies a dataset: SHA-256 of its files and of everything said about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from compress.datasets.base import Case
from compress.datasets.problems import Problem
from runtime.errors import StepError

THREADS = 2


def digest_images(cases: tuple[Case, ...]) -> dict[str, str]:
    """SHA-256 of each image's file by case id. Raises StepError for a file that cannot be read."""
    with ThreadPoolExecutor(THREADS) as pool:
        digests = pool.map(digest_file, (case.path for case in cases))
        try:
            return dict(zip((case.case_id for case in cases), digests, strict=True))
        except OSError as error:
            raise StepError(f"cannot read {error.filename}: {error.strerror}", "check the folder") from error


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_cases(cases: Iterable[Case], digests: Mapping[str, str]) -> str:
    """SHA-256 over ids, labels, groups, boxes, image digests, and study, age and sex where said."""
    facts = [_facts(case, digests[case.case_id]) for case in sorted(cases, key=lambda c: c.case_id)]
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()


def shared_images(cases: Iterable[Case], digests: Mapping[str, str]) -> list[Problem]:
    """One image under two patients (it would leak from one set into another) or with two labels.

    With two labels both images are at fault, since nobody knows which label is right.
    """
    first: dict[str, Case] = {}
    problems = []
    blamed: set[str] = set()
    for case in cases:
        other = first.setdefault(digests[case.case_id], case)
        if case.case_id == other.case_id or case.path == other.path:
            continue  # itself, or named twice, which is said elsewhere
        where = " under two patients" if other.patient_id != case.patient_id else ""
        if other.label != case.label:
            for one, two in ((case, other), (other, case)):
                if one.case_id not in blamed:
                    text = f"{one.case_id!r} and {two.case_id!r} are the same image with two labels{where}"
                    problems.append(Problem(text, one.case_id))
            blamed |= {case.case_id, other.case_id}
        elif where:
            text = f"{case.case_id!r} and {other.case_id!r} are the same image{where}"
            problems.append(Problem(text, case.case_id))
    return problems


def _facts(case: Case, digest: str) -> list[Any]:
    facts: list[Any] = [
        case.case_id,
        case.patient_id,
        case.label,
        case.body_part,
        case.view,
        case.boxes,
        digest,
    ]
    # Appended only where said, so that the digest of a dataset without them is what it always was.
    if case.study_id or case.age_years is not None or case.sex:
        facts.append([case.study_id, case.age_years, case.sex])
    return facts
