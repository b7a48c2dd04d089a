"""Facts of patients as networks learn them: what a recipe asks for, and the words of the fit patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case
from compress.datasets.cells import UNKNOWN_PART
from compress.datasets.problems import refuse
from compress.limits import one_of
from runtime.metadata import FIELDS, JOINT, MOST_WORDS, MetadataSpec, PatientFacts, years_text
from runtime.words import as_words, view_word

LEAST_PATIENTS = 5
"""A word that fewer fit patients have is left out: it would teach who they are."""


@dataclass(frozen=True)
class MetadataOptions:
    """Facts of a patient as a second input of the network.

    fields: some of age, sex, body_part, view; none leaves the network with the picture alone. In training
    each field of each image is withheld with the chance `dropout`, and everything with the chance `withhold`,
    so that the network also works where some or all of it is missing.
    """

    fields: tuple[str, ...] = ()
    dropout: float = 0.2
    withhold: float = 0.3

    def __post_init__(self) -> None:
        for name in self.fields:
            one_of("fields", name, FIELDS)
        if len(set(self.fields)) != len(self.fields):
            raise ValueError(f"fields must be different ones, got {list(self.fields)}")
        for name, share in (("dropout", self.dropout), ("withhold", self.withhold)):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {share:g}")


@dataclass(frozen=True)
class Fusion:
    """What is learned of the fit patients' facts, and how much of it is withheld from time to time."""

    spec: MetadataSpec
    dropout: float
    withhold: float


def facts_of_case(case: Case) -> PatientFacts:
    """What a data set says of the patient and the picture."""
    return PatientFacts(
        age="" if case.age_years is None else years_text(case.age_years),
        sex=case.sex,
        body_part="" if case.body_part == UNKNOWN_PART else case.body_part,
        view=case.view,
    )


def vectors(spec: MetadataSpec, cases: Sequence[Case]) -> NDArray[np.float32]:
    """(N, D) in the order of the cases, N >= 1."""
    return np.stack([spec.encode(facts_of_case(case)) for case in cases])


def learn_facts(options: MetadataOptions, fit: Sequence[Case]) -> Fusion | None:
    """The fields that the recipe asks for, with the words of the fit patients; None where it asks for none.

    Raises StepError that lists every field that could tell the network nothing.
    """
    if not options.fields:
        return None
    fields = tuple(name for name in FIELDS if name in options.fields)
    parts = _words(fit, [case.body_part for case in fit], str) if "body_part" in fields else ()
    views = _words(fit, [case.view for case in fit], view_word) if "view" in fields else ()
    problems = [*_vague("body_part", parts, fields), *_vague("view", views, fields), *_untold(fields, fit)]
    refuse("[metadata] fields", problems, "leave these fields out, or bring data that tells them")
    spec = MetadataSpec(fields, parts, views)
    return Fusion(spec, options.dropout, options.withhold)


def _words(fit: Sequence[Case], cells: Sequence[str], own: Callable[[str], str]) -> tuple[str, ...]:
    """Those that enough patients have, in alphabetical order."""
    patients: dict[str, set[str]] = {}
    for case, cell in zip(fit, cells, strict=True):
        for part in cell.split(JOINT):
            word = as_words(part)
            if word is not None and word != UNKNOWN_PART:
                patients.setdefault(own(word), set()).add(case.patient_id)
    return tuple(sorted(word for word, ids in patients.items() if len(ids) >= LEAST_PATIENTS))


def _vague(name: str, words: tuple[str, ...], fields: tuple[str, ...]) -> list[str]:
    if name not in fields or 2 <= len(words) <= MOST_WORDS:
        return []
    least = f"of which at least {LEAST_PATIENTS} fit patients have each"
    return [f"{name} has {len(words)} words {least}, 2 to {MOST_WORDS} can be learned"]


def _untold(fields: tuple[str, ...], fit: Sequence[Case]) -> list[str]:
    found = []
    if "age" in fields and len({case.age_years for case in fit if case.age_years is not None}) < 2:
        found.append("age: the fit patients do not say it, or are all of one age")
    if "sex" in fields and not {"female", "male"} <= {case.sex for case in fit}:
        found.append("sex: the fit patients are not said to be of both")
    return found
