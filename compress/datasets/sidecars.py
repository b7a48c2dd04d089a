"""Two small tables that the user may lay beside a published dataset, whose own files stay as they came.

excluded.csv (columns image_id and reason): images that are knowingly left out.
groups.csv (columns image_id and group): images that must never be split, where the dataset names no patients
or gives one patient two numbers. A group takes all images of its patients; other patients stay as they are.
Both are what `ulna data inspect --out` writes as a proposal, to be looked at before it is laid there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from compress.datasets.csv_files import read_records
from compress.datasets.image_files import SUFFIXES
from compress.datasets.problems import Problem

EXCLUDED = "excluded.csv"
GROUPS = "groups.csv"


@dataclass(frozen=True)
class Sidecars:
    """reason_of: why an image is left out, by its id. group_of: the group of an image, by its id.

    None for `group_of` where there is no such table.
    """

    reason_of: dict[str, str] = field(default_factory=dict)
    group_of: dict[str, str] | None = None
    problems: tuple[Problem, ...] = ()


def read_sidecars(root: Path) -> Sidecars:
    """Both tables of a folder, where they are there. Raises StepError for one without its columns."""
    problems: list[str] = []
    reasons = _column(root / EXCLUDED, "reason", problems) if (root / EXCLUDED).is_file() else {}
    groups = _column(root / GROUPS, "group", problems) if (root / GROUPS).is_file() else None
    return Sidecars(reasons, groups, tuple(map(Problem, problems)))


def _column(path: Path, name: str, problems: list[str]) -> dict[str, str]:
    _, records = read_records(path, ("image_id", name), problems)
    values: dict[str, str] = {}
    for line, record in records:
        if not record["image_id"] or not record[name]:
            problems.append(f"{path.name} line {line}: image_id and {name} must not be empty")
        else:
            values[_without_suffix(record["image_id"])] = record[name]
    return values


def key_of(case_id: str) -> str:
    """How the tables know a case: by its id, with or without the suffix of an image file."""
    return _without_suffix(case_id)


def _without_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return name[: -len(suffix)] if suffix.lower() in (*SUFFIXES, ".dcm") else name
