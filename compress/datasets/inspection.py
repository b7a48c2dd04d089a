"""What a dataset holds, counted and measured: every image is read once.

Pure counting is apart from reading: `inspect` reads, `Inspection` holds plain values and becomes JSON.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.datasets.base import Case
from compress.datasets.digests import THREADS
from compress.datasets.leaks import across_patients, find_leaks
from compress.datasets.perceptual import Fingerprint, Similar, fingerprint, near_duplicates
from compress.datasets.progress import Progress, silent
from compress.datasets.reading import FileDataset, Reading
from compress.datasets.splits import official_sets
from runtime.errors import InputError

_COMMON_SIZES = 6
_QUANTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class ImageFacts:
    """What one decoded image says; fault: why it could not be read, then the other fields mean nothing."""

    case: Case
    fault: str = ""
    height_px: int = 0
    width_px: int = 0
    bit_depth: int = 0
    format: str = ""
    warnings: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = dataclasses.field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Balance:
    """One line of a table of counts: what is counted, and how much of it there is."""

    name: str
    images: int
    fractured: int
    patients: int
    boxes: int


@dataclass(frozen=True)
class Spread:
    """Quantiles of a measure, `None` in a report where nothing was measured."""

    least: float
    p5: float
    median: float
    p95: float
    most: float


@dataclass(frozen=True)
class BoxFacts:
    """images: with a box. unmarked: fractured images without one.

    longest_side_px, and share of the image's longer side: of each box.
    """

    boxes: int
    images: int
    unmarked: int
    longest_side_px: Spread | None
    share_of_long_side: Spread | None


@dataclass(frozen=True)
class Inspection:
    """Everything that `ulna data inspect` says.

    near_duplicates: pairs under two patients. unreadable: reason by case id. leaks: between the sets of the
    division that comes with the data.
    """

    name: str
    layout: str
    studies: int
    total: Balance
    by_body_part: tuple[Balance, ...]
    by_view: tuple[Balance, ...]
    by_split: tuple[Balance, ...]
    long_side_px: Spread | None
    short_side_px: Spread | None
    common_sizes: dict[str, int]
    bit_depths: dict[str, int]
    formats: dict[str, int]
    boxes: BoxFacts
    ages_years: Spread | None
    ages_known: int
    sexes: dict[str, int]
    warnings: dict[str, int]
    unreadable: dict[str, str]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    has_patients: bool
    near_duplicates: tuple[Similar, ...]
    near_duplicates_within_patients: int
    leaks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


def inspect(reading: Reading, progress: Progress = silent) -> Inspection:
    """Read every image and count. Nothing is refused: what is wrong is part of the answer."""
    return summarise(reading, read_images(reading, progress))


def read_images(reading: Reading, progress: Progress = silent) -> list[ImageFacts]:
    """Facts of every case's image, in the order of the cases."""
    dataset = FileDataset(reading)
    facts = []
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda case: _image_facts(dataset, case), reading.cases)
        for done, each in enumerate(found, start=1):
            facts.append(each)
            progress(done, len(reading.cases))
    return facts


def summarise(reading: Reading, images: Sequence[ImageFacts]) -> Inspection:
    """The counts of images that were read."""
    cases, sound = reading.cases, [image for image in images if not image.fault]
    pairs = near_duplicates({i.case.case_id: i.fingerprint for i in sound if i.fingerprint is not None})
    across = across_patients(cases, pairs)
    ages = [case.age_years for case in cases if case.age_years is not None]
    return Inspection(
        name=reading.name,
        layout=reading.layout,
        studies=len({case.study_id for case in cases if case.study_id}),
        total=_balance("all", cases),
        by_body_part=_balances(cases, lambda case: case.body_part),
        by_view=_balances(cases, lambda case: case.view or "not stated"),
        by_split=_balances(cases, lambda case: case.tags.get("split", "")),
        long_side_px=_spread([max(i.height_px, i.width_px) for i in sound]),
        short_side_px=_spread([min(i.height_px, i.width_px) for i in sound]),
        common_sizes=_counts((f"{i.width_px} x {i.height_px}" for i in sound), _COMMON_SIZES),
        bit_depths=_counts(str(i.bit_depth) for i in sound),
        formats=_counts(i.format for i in sound),
        boxes=_box_facts(cases, sound),
        ages_years=_spread(ages),
        ages_known=len(ages),
        sexes=_counts(case.sex for case in cases if case.sex),
        warnings=_counts(warning for i in sound for warning in i.warnings),
        unreadable={**reading.unreadable, **{i.case.case_id: i.fault for i in images if i.fault}},
        problems=tuple(map(str, reading.problems)),
        notes=tuple(filter(None, (*reading.notes, reading.unnamed_patients))),
        has_patients=reading.has_patients,
        near_duplicates=across,
        near_duplicates_within_patients=len(pairs) - len(across),
        leaks=tuple(map(str, find_leaks(official_sets(cases), reading.image_digests, pairs))),
    )


def _image_facts(dataset: FileDataset, case: Case) -> ImageFacts:
    try:
        radiograph = dataset.load(case)
    except InputError as error:
        return ImageFacts(case, fault=str(error))
    return ImageFacts(
        case,
        height_px=radiograph.height_px,
        width_px=radiograph.width_px,
        bit_depth=radiograph.bit_depth,
        format=radiograph.format,
        warnings=radiograph.warnings,
        fingerprint=fingerprint(radiograph),
    )


def _balances(cases: Iterable[Case], key: Callable[[Case], str]) -> tuple[Balance, ...]:
    """The most frequent first; what has an empty key is not counted."""
    members: dict[str, list[Case]] = {}
    for case in cases:
        members.setdefault(key(case), []).append(case)
    counted = [_balance(name, own) for name, own in members.items() if name]
    return tuple(sorted(counted, key=lambda balance: (-balance.images, balance.name)))


def _balance(name: str, cases: Sequence[Case]) -> Balance:
    return Balance(
        name,
        images=len(cases),
        fractured=sum(case.label for case in cases),
        patients=len({case.patient_id for case in cases}),
        boxes=sum(len(case.boxes) for case in cases),
    )


def _box_facts(cases: Iterable[Case], sound: Iterable[ImageFacts]) -> BoxFacts:
    sides_px, shares = [], []
    for image in sound:
        for x0, y0, x1, y1 in image.case.boxes:
            side_px = max((x1 - x0) * image.width_px, (y1 - y0) * image.height_px)
            sides_px.append(side_px)
            shares.append(side_px / max(image.height_px, image.width_px))
    every = list(cases)
    return BoxFacts(
        boxes=sum(len(case.boxes) for case in every),
        images=sum(bool(case.boxes) for case in every),
        unmarked=sum(case.label == 1 and not case.boxes for case in every),
        longest_side_px=_spread(sides_px),
        share_of_long_side=_spread(shares),
    )


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    return Spread(*(float(value) for value in np.percentile(values, _QUANTILES)))


def _counts(values: Iterable[str], most: int | None = None) -> dict[str, int]:
    return dict(Counter(values).most_common(most))
