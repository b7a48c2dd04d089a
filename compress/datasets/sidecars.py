"""Two small tables that the user may lay beside a dataset, whose own files stay as they came.

excluded.csv (columns image_id and reason): images that are knowingly left out.
groups.csv (columns image_id and group): images that must never be split, where the dataset names no patients
or gives one patient two numbers. A group takes all images of its patients; other patients stay as they are.
Both are what `ulna data inspect --out` writes as a proposal, to be looked at before it is laid there.

A file NAME.caution.txt beside NAME.csv is written by `ulna data convert` where label 1 means something else
than a fracture: the sentence that says what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from compress.datasets.csv_files import read_records
from compress.datasets.image_files import SUFFIXES
from compress.datasets.problems import Problem
from runtime.errors import StepError

EXCLUDED = "excluded.csv"
GROUPS = "groups.csv"


class Named:
    """What a table says of images, which it may name with or without the suffix of their file.

    The whole name counts first: "a.png" says nothing of "a.tif".
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self._by_stem = {_without_suffix(name): name for name in values}

    def name_for(self, case_id: str) -> str | None:
        """How the table names the case, None where it does not."""
        if case_id in self.values:
            return case_id
        stem = _without_suffix(case_id)
        if stem == case_id:
            return self._by_stem.get(stem)
        return stem if stem in self.values else None

    def get(self, case_id: str) -> str | None:
        """What the table says of the case."""
        name = self.name_for(case_id)
        return None if name is None else self.values[name]


NOTHING_NAMED = Named({})


@dataclass(frozen=True)
class Sidecars:
    """reasons: why an image is left out. groups: the group of an image, None where there is no such table."""

    reasons: Named = NOTHING_NAMED
    groups: Named | None = None
    problems: tuple[Problem, ...] = ()


def read_sidecars(root: Path) -> Sidecars:
    """Both tables of a folder, where they are there. Raises StepError for one without its columns."""
    problems: list[str] = []
    reasons = _column(root / EXCLUDED, "reason", problems) if (root / EXCLUDED).is_file() else NOTHING_NAMED
    groups = _column(root / GROUPS, "group", problems) if (root / GROUPS).is_file() else None
    return Sidecars(reasons, groups, tuple(map(Problem, problems)))


def caution_path(table: Path) -> Path:
    """Where the caution about a table's labels lies."""
    return table.with_suffix(".caution.txt")


def read_caution(table: Path) -> str:
    """What label 1 of the table means, in one line; "" where it is simply a fracture.

    Raises StepError for a file that cannot be read: labels of unknown meaning are not used.
    """
    path = caution_path(table)
    if not path.exists():
        return ""
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StepError(f"cannot read {path}: {reason}", "expected a sentence in UTF-8") from error


def _column(path: Path, name: str, problems: list[str]) -> Named:
    _, records = read_records(path, ("image_id", name), problems)
    values: dict[str, str] = {}
    for line, record in records:
        case_id, value = record["image_id"], record[name]
        if not case_id or not value:
            problems.append(f"{path.name} line {line}: image_id and {name} must not be empty")
        elif values.setdefault(case_id, value) != value:
            text = f"{case_id!r} has the {name}s {values[case_id]!r} and {value!r}, expected one"
            problems.append(f"{path.name} line {line}: {text}")
    return Named(values)


def _without_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return name[: -len(suffix)] if suffix.lower() in (*SUFFIXES, ".dcm") else name
