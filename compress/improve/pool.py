"""Old and new cases as one data set, every patient on the side where the released model has him.

Old patients keep the set that they had when the released model was made, as the digests of its images tell;
those that it has not seen are its test patients still. A new patient who is known, by his id or by one of his
images, stays where he was: a gate patient never teaches. New patients who share an image are one patient. An
image that is there already is left out, and the new patients that are left are divided into fit, calibration
and gate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.datasets.base import Case, Dataset
from compress.datasets.problems import refuse
from compress.datasets.splits import Splits, check_disjoint, divide_by_patient, is_known_of_all
from compress.improve.persons import tell_persons
from compress.options.data import DataOptions
from compress.seen import SETS, SeenImages
from compress.training.outlines import Outlines, outlines_of, read_outlines, require_fractured
from runtime.errors import StepError
from runtime.radiograph import Radiograph

ADDED = "added:"
"""Stands before the ids of new cases, so that both data sets may use the same ones."""
TEST = "test"
_WORDS = {1: "fractured", 0: "healthy"}


class PooledDataset:
    """Two data sets as one; see compress.datasets.base.Dataset. added: case by case, renamed as in `Pool`."""

    def __init__(self, old: Dataset, new: Dataset, added: Mapping[Case, Case]) -> None:
        self.name = f"{old.name}+{new.name}"
        self._sources = {case.case_id: (old, case) for case in old.cases}
        self._sources |= {renamed.case_id: (new, case) for renamed, case in added.items()}
        self._cases = (*old.cases, *added)
        self.image_digests: Mapping[str, str] = {
            case_id: source.image_digests[case.case_id] for case_id, (source, case) in self._sources.items()
        }
        renamed_patients = {case.patient_id: renamed.patient_id for renamed, case in added.items()}
        self.patient_groups: Mapping[str, str] = {**renamed_patients, **old.patient_groups}
        named = sorted((case.case_id, case.patient_id) for case in added)
        basis = "\n".join([old.digest, new.digest, *(" ".join(pair) for pair in named)])
        self.digest = hashlib.sha256(basis.encode()).hexdigest()

    @property
    def cases(self) -> tuple[Case, ...]:
        """The old ones first."""
        return self._cases

    def load(self, case: Case) -> Radiograph:
        """Read one image. Raises InputError."""
        source, own = self._sources[case.case_id]
        return source.load(own)


@dataclass(frozen=True)
class Pool:
    """dataset, splits: of old and new cases together. new: ids of the cases of new patients.

    facts: what was found, for the record (JSON-safe).
    """

    dataset: PooledDataset
    splits: Splits
    new: frozenset[str]
    facts: dict[str, Any]

    def old_of(self, name: str) -> tuple[Case, ...]:
        """The cases of one set whose patients the released model had, or might have had."""
        return tuple(case for case in getattr(self.splits, name) if case.case_id not in self.new)

    def new_of(self, name: str) -> tuple[Case, ...]:
        """The others."""
        return tuple(case for case in getattr(self.splits, name) if case.case_id in self.new)


def pool_cases(old: Dataset, new: Dataset, seen: SeenImages, how: DataOptions) -> Pool:
    """Join and divide. Raises StepError that lists every case that cannot be placed and every empty set."""
    found = _Places(old, new, seen)
    refuse("old and new cases do not go together", found.problems, "mend the tables, or leave these out")
    dataset = PooledDataset(old, new, found.added)
    strangers = tuple(case for case in found.added if case.patient_id not in found.homes)
    if not strangers:
        raise StepError(
            f"{new.name} holds no patient that the released model does not know",
            "add cases of new patients, whose ids are not those of others in the old data",
        )
    shares = [getattr(how.split, name) for name in SETS]
    strata = [name for name in how.stratify if is_known_of_all(strangers, name)]
    parts = divide_by_patient(strangers, [share / sum(shares) for share in shares], how.split_seed, strata)
    homes = {
        **found.homes,
        **{c.patient_id: name for name, own in zip(SETS, parts, strict=True) for c in own},
    }
    sets = {name: tuple(c for c in dataset.cases if homes[c.patient_id] == name) for name in (*SETS, TEST)}
    splits = Splits(**sets)
    check_disjoint(splits)
    facts = {**_facts(found, dataset, seen), "not_spread_by": [n for n in how.stratify if n not in strata]}
    pool = Pool(dataset, splits, frozenset(case.case_id for case in strangers), facts)
    refuse("too few cases", list(_lacking(pool)), "bring the data that the released model was made with")
    return pool


def pooled_outlines(old: tuple[Dataset, Path | None], new: tuple[Dataset, Path], name: str) -> Outlines:
    """Those of both data sets, each with its folder; the new ones need none, their fractures keep boxes then.

    Raises StepError as compress.training.outlines.outlines_of does, but for a new file that outlines none of
    the new fractures: all new cases may be healthy.
    """
    known, (added, folder) = outlines_of(old[0].cases, old[1], name), new
    if not name or not (folder / name).is_file():
        return known
    more = read_outlines(folder / name)
    require_fractured(added.cases, more, name)
    polygons = {f"{ADDED}{case_id}": rings for case_id, rings in more.polygons.items()}
    digest = hashlib.sha256(f"{known.digest}\n{more.digest}".encode()).hexdigest()
    return Outlines({**known.polygons, **polygons}, digest)


def require_judges(pool: Pool) -> None:
    """Raise StepError unless the new gate patients can be a gate: with fractured and healthy cases."""
    labels = {case.label for case in pool.new_of("gate")}
    refuse(
        "improve.judge_new asks for a gate on new patients",
        [f"no new gate case is {word}" for label, word in _WORDS.items() if label not in labels],
        "add patients of both kinds, or set improve.judge_new = false",
    )


def mixed(old: tuple[Case, ...], new: tuple[Case, ...], share: float, seed: int) -> tuple[Case, ...]:
    """Old cases and new ones, the new repeated until they are at least this share of all.

    Whole rounds first; which of them come once more is drawn by the seed.
    """
    wanted = round(share / (1 - share) * len(old))
    if not new or wanted <= len(new):
        return (*old, *new)
    rounds, rest = divmod(wanted, len(new))
    drawn = sorted(np.random.default_rng(seed).permutation(len(new))[:rest].tolist())
    return (*old, *(new * rounds), *(new[number] for number in drawn))


class _Places:
    """Where every known patient belongs, and which new cases come along under whose name.

    homes: set by patient. patients: the new ones, as they are called now. known: set by each of them who has
    one. added: {renamed case: as it was}. duplicates: images left out. recognised: new images that are among
    the old ones or were seen. problems: what contradicts.
    """

    def __init__(self, old: Dataset, new: Dataset, seen: SeenImages) -> None:
        self._seen = seen
        persons = tell_persons(old, new)
        self.problems: list[str] = []
        self.homes = self._old_homes(old)
        self.problems += persons.problems
        self._settle(new, persons.names)
        twins = {old.image_digests[case.case_id]: case for case in old.cases}
        self.recognised = sum(d in twins or seen.set_of(d) is not None for d in new.image_digests.values())
        self.duplicates = 0
        self.added: dict[Case, Case] = {}
        for case in new.cases:
            twin = twins.setdefault(new.image_digests[case.case_id], case)
            self._take(case, twin, persons.names[case.patient_id])
        self.patients = frozenset(persons.names.values())
        self.known = {patient: self.homes[patient] for patient in self.patients if patient in self.homes}

    def _take(self, case: Case, twin: Case, patient: str) -> None:
        """One new case; `twin` is the first case with the same image, be it this one."""
        if twin is case:
            self.added[replace(case, case_id=f"{ADDED}{case.case_id}", patient_id=patient)] = case
        elif twin.label != case.label:
            self.problems.append(f"{case.case_id!r} is the image of {twin.case_id!r} with another label")
        else:
            self.duplicates += 1

    def _old_homes(self, old: Dataset) -> dict[str, str]:
        """The set of each old patient; a test patient is one of whom no image was seen."""
        homes: dict[str, str] = {}
        for case in old.cases:
            name = self._seen.set_of(old.image_digests[case.case_id])
            if name is not None and homes.setdefault(case.patient_id, name) != name:
                self.problems.append(
                    f"patient {case.patient_id!r} of {old.name} was in the sets "
                    f"{homes[case.patient_id]} and {name} of the released model"
                )
        return {case.patient_id: homes.get(case.patient_id, TEST) for case in old.cases}

    def _settle(self, new: Dataset, names: Mapping[str, str]) -> None:
        """Give those a set of whom an image among the new ones was seen, but none among the old ones."""
        for case in new.cases:
            home = self._seen.set_of(new.image_digests[case.case_id])
            patient = names[case.patient_id]
            if home is None:
                continue
            if self.homes.get(patient, TEST) == TEST:
                self.homes[patient] = home
            elif self.homes[patient] != home:
                self.problems.append(
                    f"{case.case_id!r} of {new.name} was in the set {home} of the released model, "
                    f"its patient {patient!r} is in {self.homes[patient]}"
                )


def _facts(found: _Places, dataset: PooledDataset, seen: SeenImages) -> dict[str, Any]:
    known = list(found.known.values())
    gate = {digest for digest in dataset.image_digests.values() if seen.set_of(digest) == "gate"}
    return {
        "images": len(found.added),
        "patients": len(found.patients),
        "recognised_images": found.recognised,
        "duplicates": found.duplicates,
        "known_patients": {name: known.count(name) for name in (*SETS, TEST) if name in known},
        "gate_images_found": len(gate),
        "gate_images_of_parent": len(seen.sets.get("gate", ())),
    }


def _lacking(pool: Pool) -> Iterable[str]:
    for name in SETS:
        labels = {case.label for case in pool.old_of(name)}
        for label, word in _WORDS.items():
            if label not in labels:
                yield f"no {word} case of the released model's {name} patients"
        if name != "calibration" and not pool.new_of(name):
            yield f"no new case for the set {name}"
