"""Division of the patients: into four disjoint sets, along a publisher's division, or into folds.

All images of one patient go to one set, whatever their number. Patients are dealt out largest first, each to
the set where the counts of images, patients, fractures, body parts and whatever else is named then lie
nearest to the wanted shares (chi-square), and single patients are moved afterwards as long as that brings the
counts nearer still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case
from compress.options.data import SplitFractions
from runtime.errors import StepError

NAMES = ("fit", "calibration", "gate", "test")
OFFICIAL_TEST = ("test", "valid", "val")
"""Words of the tag "split" for what a publisher keeps apart for measuring, the first that occurs is used."""
_EMPTY_SET_COST = 1e9  # outweighs any imbalance: a set without fractured or healthy patients measures nothing
_MAX_PASSES = 20
_VIEW = "view"


@dataclass(frozen=True)
class Splits:
    """Four disjoint sets of cases. See `SplitFractions` for what each is for."""

    fit: tuple[Case, ...]
    calibration: tuple[Case, ...]
    gate: tuple[Case, ...]
    test: tuple[Case, ...]

    def items(self) -> Iterator[tuple[str, tuple[Case, ...]]]:
        """(name, cases) of each set, in order."""
        for name in NAMES:
            yield name, getattr(self, name)


@dataclass(frozen=True)
class Fold:
    """One round of a cross-validation: `held_out` is measured by what was made with `fit`."""

    fit: tuple[Case, ...]
    held_out: tuple[Case, ...]


def split_by_patient(
    cases: Sequence[Case], fractions: SplitFractions, seed: int, stratify: Sequence[str] = ()
) -> Splits:
    """Divide the patients; the same cases, fractions and seed give the same sets in any order of the cases.

    stratify: "view" or names of tags whose values are spread evenly, each with its labels.
    Raises StepError when a set would hold no fractured or no healthy case, an id occurs twice, or nothing is
    known by a name of `stratify`.
    """
    parts = _divide(cases, [getattr(fractions, name) for name in NAMES], seed, stratify)
    splits = Splits(*parts)
    check_disjoint(splits)
    _check_labels(splits)
    return splits


def divide_by_patient(
    cases: Sequence[Case], shares: Sequence[float], seed: int, stratify: Sequence[str] = ()
) -> list[tuple[Case, ...]]:
    """One part a share (they sum to 1), every patient in one; spread as `split_by_patient` does.

    No part is promised both labels. Raises StepError for no cases.
    """
    return _divide(cases, shares, seed, stratify)


def split_officially(
    cases: Sequence[Case], fractions: SplitFractions, seed: int, stratify: Sequence[str] = ()
) -> Splits:
    """The publisher's test (or else validation) images are the test set; the others are divided by patient.

    The tag "split" names the division; the other sets keep their shares relative to each other, and over
    those three `stratify` is spread as `split_by_patient` does.
    Raises StepError where the dataset has no such division, a patient stands on both sides of it, a set lacks
    a label, or nothing is known by a name of `stratify`.
    """
    official = official_sets(cases)
    name = next((word for word in OFFICIAL_TEST if word in official), None)
    if name is None or len(official) < 2:
        said = ", ".join(official) or "none"
        raise StepError(
            f"the dataset has no official division to follow: its sets are {said}",
            f"a column `split` that says {' or '.join(OFFICIAL_TEST)} of some images is needed; or divide by "
            "patient: [data] official = false",
        )
    rest = [case for case in cases if case.tags.get("split") != name]
    shares = [getattr(fractions, each) for each in NAMES[:-1]]
    fit, calibration, gate = _divide(rest, [share / sum(shares) for share in shares], seed, stratify)
    splits = Splits(fit, calibration, gate, official[name])
    check_disjoint(splits)
    _check_labels(splits)
    return splits


def official_sets(cases: Sequence[Case]) -> dict[str, tuple[Case, ...]]:
    """Cases by their tag "split", in the order of first appearance; cases without it are in none."""
    names = dict.fromkeys(case.tags.get("split", "") for case in cases)
    return {name: tuple(case for case in cases if case.tags.get("split") == name) for name in names if name}


def folds(cases: Sequence[Case], k: int, seed: int, stratify: Sequence[str] = ()) -> tuple[Fold, ...]:
    """k rounds; every patient is held out in exactly one. Stratified as `split_by_patient` is.

    Raises StepError for fewer than two folds, or where a fold would hold no fractured or no healthy case.
    """
    if k < 2:
        raise StepError(f"cross-validation needs at least 2 folds, got {k}")
    parts = _divide(cases, [1 / k] * k, seed, stratify)
    for number, part in enumerate(parts, start=1):
        _check_both_labels(f"fold {number} of {k}", part, "bring more patients, or ask for fewer folds")
    return tuple(
        Fold(tuple(case for other in parts if other is not part for case in other), part) for part in parts
    )


def check_disjoint(splits: Splits) -> None:
    """Raise StepError when a patient is in two sets or an image occurs twice."""
    patient_home: dict[str, str] = {}
    seen: set[str] = set()
    for name, cases in splits.items():
        for case in cases:
            if patient_home.setdefault(case.patient_id, name) != name:
                raise StepError(
                    f"patient {case.patient_id} is in the sets {patient_home[case.patient_id]} and {name}",
                    "split again by patient",
                )
            if case.case_id in seen:
                raise StepError(f"image {case.case_id} occurs twice", "give every image an id of its own")
            seen.add(case.case_id)


def _check_labels(splits: Splits) -> None:
    for name, cases in splits.items():
        _check_both_labels(f"the set {name}", cases, "bring more patients, or give that set a larger share")


def _check_both_labels(name: str, cases: Sequence[Case], hint: str) -> None:
    for label, word in ((1, "fractured"), (0, "healthy")):
        if not any(case.label == label for case in cases):
            raise StepError(f"{name} holds no {word} case", hint)


def _divide(
    cases: Sequence[Case], shares: Sequence[float], seed: int, stratify: Sequence[str] = ()
) -> list[tuple[Case, ...]]:
    """One part a share, in the order of the shares; each patient in one. Raises StepError for no cases."""
    if not cases:
        raise StepError("there are no cases to split", "check the dataset")
    patients, counts = _count(cases, stratify)
    homes = _assign(counts, np.array(shares), np.random.default_rng(seed))
    home = dict(zip(patients, homes.tolist(), strict=True))
    return [tuple(c for c in cases if home[c.patient_id] == number) for number in range(len(shares))]


def _count(cases: Sequence[Case], stratify: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Patients by id, and (patients, strata) how much each weighs in each stratum.

    Columns 0 and 1 are fractured and healthy images, 2 and 3 patients with and without a fracture, the rest
    images by label and body part, and by label and each value of what `stratify` names.
    """
    _refuse_unknown(cases, stratify)
    patients = sorted({case.patient_id for case in cases})
    row = {patient: number for number, patient in enumerate(patients)}
    strata = [_strata(case, stratify) for case in cases]
    known = sorted({stratum for each in strata for stratum in each})
    column = {stratum: number + 4 for number, stratum in enumerate(known)}
    counts = np.zeros((len(patients), 4 + len(known)))
    for case, each in zip(cases, strata, strict=True):
        counts[row[case.patient_id], 0 if case.label else 1] += 1
        for stratum in each:
            counts[row[case.patient_id], column[stratum]] += 1
    counts[:, 2] = counts[:, 0] > 0
    counts[:, 3] = counts[:, 0] == 0
    return patients, counts


def _strata(case: Case, stratify: Sequence[str]) -> list[tuple[str, str, int]]:
    """(name, value, label) of everything by which this image is counted."""
    further = [(name, case.view if name == _VIEW else case.tags[name], case.label) for name in stratify]
    return [("", case.body_part, case.label), *further]


def is_known_of_all(cases: Sequence[Case], name: str) -> bool:
    """Whether cases can be stratified by it."""
    return name == _VIEW or all(name in case.tags for case in cases)


def _refuse_unknown(cases: Sequence[Case], stratify: Sequence[str]) -> None:
    missing = [name for name in stratify if not is_known_of_all(cases, name)]
    if not missing:
        return
    lacking = [case for case in cases if not all(name in case.tags for name in missing)]
    known = dict.fromkeys(tag for case in cases for tag in case.tags if is_known_of_all(cases, tag))
    raise StepError(
        f"{len(lacking)} of {len(cases)} cases have no {', '.join(missing)} to stratify by, "
        f"for example {lacking[0].case_id}",
        f"known of all: {', '.join((_VIEW, *known))}",
    )


def _assign(
    counts: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Set number of each patient."""
    wanted = shares[:, None] * counts.sum(axis=0)
    shuffled = rng.permutation(len(counts))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    homes = np.zeros(len(counts), np.intp)
    have = np.zeros_like(wanted)
    for patient in order:
        homes[patient] = int(np.argmin(_cost(have + counts[patient], wanted) - _cost(have, wanted)))
        have[homes[patient]] += counts[patient]
    for _ in range(_MAX_PASSES):
        if not _improve(order, counts, homes, have, wanted):
            break
    return homes


def _improve(
    order: NDArray[np.intp],
    counts: NDArray[np.float64],
    homes: NDArray[np.intp],
    have: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> bool:
    """Move single patients where that lowers the cost; `homes` and `have` change in place."""
    moved = False
    for patient in order:
        source = homes[patient]
        gain = _cost(have, wanted)[source] - _cost(have - counts[patient], wanted)[source]
        loss = _cost(have + counts[patient], wanted) - _cost(have, wanted)
        loss[source] = gain
        target = int(np.argmin(loss))
        if loss[target] < gain - 1e-9:
            have[source] -= counts[patient]
            have[target] += counts[patient]
            homes[patient] = target
            moved = True
    return moved


def _cost(have: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """(sets,) chi-square distance of the counts from what is wanted, plus the price of a missing label."""
    chi_square = np.square(have - wanted) / np.maximum(wanted, 1e-9)
    missing = (have[:, :2] <= 0).sum(axis=1)
    return np.asarray(chi_square.sum(axis=1) + _EMPTY_SET_COST * missing)
