"""From a path to the dataset that it holds."""

from __future__ import annotations

from pathlib import Path

from compress.datasets import dicom_dir, folder, fracatlas, grazpedwri, mura, nih_cxr14, rsna_boneage, table
from compress.datasets.base import Dataset
from compress.datasets.csv_files import header_of
from compress.datasets.layout import Layout, without_rule
from compress.datasets.reading import Reading
from compress.datasets.table import TABLE, TableDataset, read_table
from runtime.errors import StepError

_TABLE_COLUMNS = "image_id, file, fractured, body_part, group, view, boxes"


def _is_table(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() == ".csv"
    return (path / TABLE).is_file()


def _read_table(path: Path) -> Reading:
    return read_table(path.parent, path.name) if path.is_file() else read_table(path)


_TABLE_LAYOUT = Layout(
    name=table.NAME,
    marker=f"{TABLE}, or a .csv file itself (columns {_TABLE_COLUMNS})",
    recognises=_is_table,
    read=without_rule(_read_table),
)
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        dicom_dir.LAYOUT,  # before the table: both have a labels.csv, this one is the narrower
        _TABLE_LAYOUT,
        fracatlas.LAYOUT,
        grazpedwri.LAYOUT,
        mura.LAYOUT,
        nih_cxr14.LAYOUT,
        rsna_boneage.LAYOUT,
        folder.LAYOUT,
    )
}


def open_dataset(path: Path, layout: str | None = None) -> Dataset:
    """Open what lies there, in the layout named ("NAME" or "NAME:RULE"), else in the first that fits.

    Raises StepError that lists every problem of the data; where no layout fits, it says what was looked for.
    Warns (UserWarning) where nothing names the patients, and where the labels are no fractures.
    """
    chosen, rule = find_layout(path, layout)
    if chosen is _TABLE_LAYOUT:
        return TableDataset(path.parent, path.name) if path.is_file() else TableDataset(path)
    return chosen.read(path, rule).dataset()


def read_dataset(path: Path, layout: str | None = None) -> Reading:
    """As `open_dataset`, but faults are listed in the answer, not raised, as far as anything can be read."""
    chosen, rule = find_layout(path, layout)
    return chosen.read(path, rule)


def find_layout(path: Path, layout: str | None = None) -> tuple[Layout, str]:
    """The layout and its rule. Raises StepError for an unknown name, no such path, or nothing that fits."""
    name, _, rule = (layout or "").partition(":")
    if name and name not in LAYOUTS:
        raise StepError(f"there is no layout {name!r}", f"choose {', '.join(LAYOUTS)}")
    if name and LAYOUTS[name].recognises(path):
        return LAYOUTS[name], rule
    for candidate in LAYOUTS.values():
        if not name and candidate.recognises(path):
            return candidate, rule
    wanted = [LAYOUTS[name]] if name else list(LAYOUTS.values())
    looked_for = "; ".join(f"{each.name}: {each.marker}" for each in wanted)
    raise StepError(f"{path} is no dataset: {_why(path)}", f"looked for {looked_for}")


def _why(path: Path) -> str:
    if not path.exists():
        return "no such folder"
    if path.is_file():
        return "it is a file, and no .csv table"
    columns = header_of(path / TABLE)
    return (
        f"its {TABLE} has the columns {', '.join(columns)}" if columns else "it is laid out in no known way"
    )
