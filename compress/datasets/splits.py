"""Division of the patients into four disjoint sets.

All images of one patient go to one set, whatever their number. Patients are dealt out largest first, each to
the set where the counts of images, patients, fractures and body parts then lie nearest to the wanted shares
(chi-square), and single patients are moved afterwards as long as that brings the counts nearer still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case
from compress.recipe import SplitFractions
from runtime.errors import StepError

NAMES = ("fit", "calibration", "gate", "test")
_EMPTY_SET_COST = 1e9  # outweighs any imbalance: a set without fractured or healthy patients measures nothing
_MAX_PASSES = 20


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


def split_by_patient(cases: Sequence[Case], fractions: SplitFractions, seed: int) -> Splits:
    """Divide the patients; the same cases, fractions and seed give the same sets in any order of the cases.

    Raises StepError when a set would hold no fractured or no healthy case, or an id occurs twice.
    """
    if not cases:
        raise StepError("there are no cases to split", "check the dataset")
    patients, counts = _count(cases)
    shares = np.array([getattr(fractions, name) for name in NAMES])
    homes = _assign(counts, shares, np.random.default_rng(seed))
    home = dict(zip(patients, homes.tolist(), strict=True))
    parts = [tuple(c for c in cases if home[c.patient_id] == number) for number in range(len(NAMES))]
    splits = Splits(*parts)
    check_disjoint(splits)
    _check_labels(splits)
    return splits


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
        for label, word in ((1, "fractured"), (0, "healthy")):
            if not any(case.label == label for case in cases):
                raise StepError(
                    f"the set {name} holds no {word} case",
                    "bring more patients, or give that set a larger share",
                )


def _count(cases: Sequence[Case]) -> tuple[list[str], NDArray[np.float64]]:
    """Patients by id, and (patients, strata) how much each weighs in each stratum.

    Columns 0 and 1 are fractured and healthy images, 2 and 3 patients with and without a fracture, the rest
    images by body part and label.
    """
    patients = sorted({case.patient_id for case in cases})
    row = {patient: number for number, patient in enumerate(patients)}
    parts = sorted({(case.body_part, case.label) for case in cases})
    column = {part: number + 4 for number, part in enumerate(parts)}
    counts = np.zeros((len(patients), 4 + len(parts)))
    for case in cases:
        counts[row[case.patient_id], 0 if case.label else 1] += 1
        counts[row[case.patient_id], column[case.body_part, case.label]] += 1
    counts[:, 2] = counts[:, 0] > 0
    counts[:, 3] = counts[:, 0] == 0
    return patients, counts


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
