"""Does an image of one set stand in another too? By patient, by file, and by what it looks like.

A division that leaks flatters every figure that is measured on it. What is named here is also what
`ulna data inspect` looks for before there is a division: one image under two patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from compress.datasets.base import Case, Dataset
from compress.datasets.digests import THREADS
from compress.datasets.perceptual import Fingerprint, Similar, fingerprint
from compress.datasets.problems import refuse
from compress.datasets.progress import Progress, silent
from runtime.errors import InputError

PATIENT, FILE, LOOKS = "one patient", "one file", "near-duplicates"
_HINT = "give images that belong together one group (patient_id), then split again"


@dataclass(frozen=True)
class Leak:
    """Two images, in two sets, that should have been in one. kind: PATIENT, FILE or LOOKS.

    distance_bits: of their perceptual hashes, None for the other kinds.
    """

    kind: str
    first: Case
    second: Case
    first_set: str
    second_set: str
    distance_bits: int | None = None

    def __str__(self) -> str:
        distance = "" if self.distance_bits is None else f", {self.distance_bits} bits apart"
        return (
            f"{self.first.case_id!r} in {self.first_set} and {self.second.case_id!r} in {self.second_set}: "
            f"{self.kind}{distance}"
        )


def find_leaks(
    sets: Mapping[str, Sequence[Case]], digests: Mapping[str, str], look_alikes: Iterable[Similar] = ()
) -> tuple[Leak, ...]:
    """Leaks between the sets (`dict(splits.items())` for a Splits), by patient, by file, then by looks.

    One leak is named for each patient and each file that stands in two sets, and one for each pair of
    look-alikes. digests: SHA-256 of the files by case id. look_alikes: what `near_duplicates` found among
    the `fingerprints_of` the cases; without them looks are not compared.
    """
    placed = [(case, name) for name, cases in sets.items() for case in cases]
    leaks = list(_shared(PATIENT, ((case.patient_id, case, name) for case, name in placed)))
    leaks += _shared(FILE, ((digests[case.case_id], case, name) for case, name in placed))
    home = {case.case_id: (case, name) for case, name in placed}
    for pair in look_alikes:
        if not {pair.first, pair.second} <= home.keys() or digests[pair.first] == digests[pair.second]:
            continue
        (first, first_set), (second, second_set) = home[pair.first], home[pair.second]
        if first_set != second_set:
            leaks.append(Leak(LOOKS, first, second, first_set, second_set, pair.distance_bits))
    return tuple(leaks)


def refuse_leaks(leaks: Sequence[Leak], hint: str = _HINT) -> None:
    """Raise StepError that names the leaks and says what to do (`hint`), where there are any."""
    refuse("the sets share images", [str(leak) for leak in leaks], hint)


def fingerprints_of(
    dataset: Dataset, cases: Sequence[Case], progress: Progress = silent
) -> dict[str, Fingerprint]:
    """Fingerprints by case id, from the pixels; unreadable images and even plates have none."""
    found = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for done, (case, print_) in enumerate(
            zip(cases, pool.map(lambda each: _try(dataset, each), cases), strict=True), start=1
        ):
            if print_ is not None:
                found[case.case_id] = print_
            progress(done, len(cases))
    return found


def across_patients(cases: Iterable[Case], pairs: Iterable[Similar]) -> tuple[Similar, ...]:
    """Those pairs of look-alikes that stand under two patients."""
    patient_of = {case.case_id: case.patient_id for case in cases}
    return tuple(pair for pair in pairs if patient_of[pair.first] != patient_of[pair.second])


def merged_groups(cases: Sequence[Case], pairs: Iterable[Similar]) -> dict[str, str]:
    """A group for each case, such that patients who share look-alikes are one group: what groups.csv holds.

    A group is named after the first of its patients in alphabetical order.
    """
    parent = {case.patient_id: case.patient_id for case in cases}
    patient_of = {case.case_id: case.patient_id for case in cases}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = parent[parent[patient]]
            patient = parent[patient]
        return patient

    for pair in pairs:
        one, other = sorted((root(patient_of[pair.first]), root(patient_of[pair.second])))
        parent[other] = one
    return {case.case_id: root(case.patient_id) for case in cases}


def _shared(kind: str, placed: Iterable[tuple[str, Case, str]]) -> Iterable[Leak]:
    """The first pair of images in two sets for each key that stands in two."""
    first: dict[str, tuple[Case, str]] = {}
    said: set[tuple[str, str]] = set()
    for key, case, name in placed:
        other, other_name = first.setdefault(key, (case, name))
        if name != other_name and (key, name) not in said:
            said.add((key, name))
            yield Leak(kind, other, case, other_name, name)


def _try(dataset: Dataset, case: Case) -> Fingerprint | None:
    try:
        return fingerprint(dataset.load(case))
    except InputError:
        return None
