"""Cases and datasets as every other room sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runtime.radiograph import Radiograph

FractionBox = tuple[float, float, float, float]
"""(x0, y0, x1, y1) as fractions of the image's width and height."""


@dataclass(frozen=True)
class Case:
    """One labelled image of one patient.

    patient_id: the unit that splits and intervals respect (a patient, or a group of near-duplicates).
    label: 1 fractured, 0 not. boxes: fractures as fractions of the image.
    tags: further columns that reports may break figures down by ("fracture_type", "hardware"); those with a
    meaning of their own are "split" (the publisher's division) and "laterality" ("left", "right").
    study_id: the examination that the image belongs to, "" where nobody says; its images share an answer.
    sex: "male", "female", "other", "" where nobody says; age_years likewise None.
    """

    case_id: str
    patient_id: str
    path: Path
    label: int
    body_part: str
    view: str = ""
    boxes: tuple[FractionBox, ...] = ()
    tags: dict[str, str] = field(default_factory=dict, hash=False)
    study_id: str = ""
    age_years: float | None = None
    sex: str = ""


class Dataset(Protocol):
    """Labelled cases and a way to their pixels."""

    name: str
    digest: str
    """SHA-256 over ids, labels, groups, boxes and image digests: other data, other digest."""
    image_digests: Mapping[str, str]
    """SHA-256 of each image's file, by case id."""
    patient_groups: Mapping[str, str]
    """The patient id that cases bear, by the one that their source gave, where a group took its place."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases, in a stable order."""
        ...

    def load(self, case: Case) -> Radiograph:
        """Read one image with runtime's readers. Raises InputError."""
        ...
