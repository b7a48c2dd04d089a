"""Who is who: new patients who are an old one or one another, by id, by group and by image file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scipy.cluster.hierarchy import DisjointSet

from compress.datasets.base import Dataset

_OLD, _NEW = "old", "new"
_Patient = tuple[str, str]


@dataclass(frozen=True)
class Persons:
    """names: what each new patient is called, an old one by the old id. problems: who is several old ones."""

    names: Mapping[str, str]
    problems: tuple[str, ...]


def tell_persons(old: Dataset, new: Dataset) -> Persons:
    """Two patients are one where they have an id in common, be it one behind a group, or an image."""
    persons: DisjointSet[_Patient] = DisjointSet(
        [*((_OLD, patient) for patient in _patients(old)), *((_NEW, patient) for patient in _patients(new))]
    )
    for one, other in (*_by_id(old, new), *_by_image(old, new)):
        persons.merge(one, other)
    names: dict[str, str] = {}
    problems = []
    for person in persons.subsets():
        known, added = (sorted(p for kind, p in person if kind == each) for each in (_OLD, _NEW))
        names |= dict.fromkeys(added, min(known or added))
        if added and len(known) > 1:
            who = ", ".join(map(repr, added))
            problems.append(f"the new patient {who} is several old ones: {', '.join(map(repr, known))}")
    return Persons(names, tuple(problems))


def _by_id(old: Dataset, new: Dataset) -> Iterator[tuple[_Patient, _Patient]]:
    """A new patient's own id and those of whom his group is made, found among the same of the old ones."""
    own = set(_patients(old))
    aliases: dict[str, list[str]] = {patient: [patient] for patient in _patients(new)}
    for patient, group in new.patient_groups.items():
        aliases.setdefault(group, []).append(patient)
    for patient in _patients(new):
        for alias in aliases[patient]:
            called = old.patient_groups.get(alias, alias)
            if called in own:
                yield (_OLD, called), (_NEW, patient)
            elif alias in own:
                yield (_OLD, alias), (_NEW, patient)


def _by_image(old: Dataset, new: Dataset) -> Iterator[tuple[_Patient, _Patient]]:
    owner = {old.image_digests[case.case_id]: (_OLD, case.patient_id) for case in old.cases}
    for case in new.cases:
        patient = (_NEW, case.patient_id)
        yield owner.setdefault(new.image_digests[case.case_id], patient), patient


def _patients(dataset: Dataset) -> dict[str, None]:
    return dict.fromkeys(case.patient_id for case in dataset.cases)
