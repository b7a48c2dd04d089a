"""What is measured on is what was learned from."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from compress.datasets.base import Case
from compress.datasets.splits import Splits
from compress.datasets.table import TABLE
from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.swap import swapped
from compress.options.data import IGNORE, SplitFractions
from compress.recipe import Recipe

_COPIES = 12


def _by_image(
    cases: Sequence[Case], fractions: SplitFractions, seed: int, stratify: Sequence[str] = ()
) -> Splits:
    """Images dealt out one by one: two views of a wrist land on both sides."""
    order = np.random.default_rng(seed).permutation(len(cases))
    shares = np.cumsum([fractions.fit, fractions.calibration, fractions.gate])
    ends = (shares * len(cases)).round().astype(int)
    return Splits(*(tuple(cases[i] for i in rows) for rows in np.split(order, ends)))


def _divided_by_image(bed: Bed) -> AbstractContextManager[None]:
    return swapped("compress.workbench.split_by_patient", _by_image)


def _twice_under_two_names(bed: Bed, folder: Path) -> Path:
    """The clean run's images, and some of the gate's once more as other patients."""
    source, target = bed.data or bed.folder / "data", folder.with_name(f"{folder.name}-data")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with (source / TABLE).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for name in (row.get(column) for row in rows for column in ("file", "mask")):
        if name:
            _bring(source / name, target / name)
    # Every second one: some of either label, most of them in another set than their twin.
    twins = [_twin(row, target) for row in rows[: 2 * _COPIES : 2]]
    with (target / TABLE).open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows + twins)
    return target


def _twin(row: dict[str, str], folder: Path) -> dict[str, str]:
    """The same bytes under another name, as another patient's."""
    path = Path(row["file"])
    again = path.with_stem(f"{path.stem}-again")
    _bring(folder / path, folder / again)
    named = {key: f"{row[key]}-again" for key in ("image_id", "group")}
    return {**row, **named, "file": str(again)}


def _bring(source: Path, target: Path) -> None:
    """The same file where it can be, else a copy: data may lie on another disk, or be somebody else's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _looks_ignored(recipe: Recipe) -> Recipe:
    """Computed radiographs look alike by construction; one file under two names is refused all the same."""
    return replace(recipe, data=replace(recipe.data, look_alikes=IGNORE))


_ONE = {"onnxruntime": ("fp32",)}

FAULTS = (
    Fault(
        name="divided-by-image",
        title="patients divided image by image: on both sides of the division",
        seen="a random split over files",
        engines=_ONE,
        spoils=(),
        caught_by=("is in the sets", ": one patient"),
        inject=_divided_by_image,
    ),
    Fault(
        name="same-film-twice",
        title="one film under two patients' names, in fit and gate",
        seen="an archive that numbers every export anew",
        engines=_ONE,
        spoils=(),
        caught_by=("same image under two patients",),
        inject=lambda _: nullcontext(),
        recipe=_looks_ignored,
        data=_twice_under_two_names,
    ),
)
