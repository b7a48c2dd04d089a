"""From a path to the dataset that it holds."""

from __future__ import annotations

from pathlib import Path

from compress.datasets.base import Dataset
from compress.datasets.table import TABLE, TableDataset
from runtime.errors import StepError


def open_dataset(path: Path) -> Dataset:
    """Open a folder with a labels.csv, or that table itself under any name.

    Raises StepError that says what is expected there.
    """
    if path.is_file() and path.suffix.lower() == ".csv":
        return TableDataset(path.parent, path.name)
    if (path / TABLE).is_file():
        return TableDataset(path)
    what = "no such folder" if not path.exists() else f"{TABLE} is not there"
    raise StepError(
        f"{path} is no dataset: {what}",
        f"expected a folder with {TABLE} (columns image_id, file, fractured, body_part, group, view, boxes)",
    )
