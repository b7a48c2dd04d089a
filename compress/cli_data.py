"""The verbs `data inspect` and `data convert`: what a folder of radiographs holds, and one table of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from compress.datasets.inspection import ImageFacts, Inspection
    from compress.datasets.reading import Reading

data = typer.Typer(no_args_is_help=True, help="Look at a folder of radiographs, and make one table of it.")

_LOG_WIDTH = 120
_LAYOUTS = (
    "if not what is recognised: dicom_dir, table, fracatlas, grazpedwri, mura, nih_cxr14, rsna_boneage or "
    "folder, with a rule after a colon where it takes one (nih_cxr14:Effusion, folder:_)"
)
_PathArgument = Annotated[Path, typer.Argument(help="folder of the dataset, or a table of its own")]
_LayoutOption = Annotated[str | None, typer.Option("--layout", help=_LAYOUTS)]


@data.command("inspect")
def inspect_data(
    path: _PathArgument,
    layout: _LayoutOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="new folder for contact_sheet.png, inspection.json and proposed tables"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Count and measure what is there; list near-duplicates, unreadable files and every problem.

    Every image is read. Faulty data are shown, not refused. With --out: a contact sheet, near_duplicates.csv,
    and two proposals to look at and lay beside the data: excluded.csv (images that cause a problem) and
    groups.csv (patients merged who share near-duplicates).
    """
    from rich.console import Console

    from compress.datasets.inspection import read_images, summarise
    from compress.datasets.inspection_tables import inspection_tables
    from compress.datasets.registry import read_dataset
    from compress.progress import ProgressReporter

    reporter = ProgressReporter(Console(stderr=True))
    _refuse_used(out)
    reading = read_dataset(path, layout)
    with reporter.task("radiographs") as advance:
        images = read_images(reading, advance)
    found = summarise(reading, images)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        _print(inspection_tables(found))
    if out is not None:
        _write(out, reading, images, found)
        reporter.say(f"written to {out}")


@data.command("convert")
def convert_data(
    path: _PathArgument,
    table: Annotated[
        Path | None,
        typer.Argument(help="the table to write, above all images [default: labels.csv in the folder]"),
    ] = None,
    layout: _LayoutOption = None,
) -> None:
    """Write a dataset of any layout as one labels.csv, which every other verb opens. Images stay in place.

    Where label 1 means something else than a fracture, labels.caution.txt beside it says what.
    """
    from rich.console import Console

    from compress.datasets.export import write_labels
    from compress.datasets.registry import read_dataset
    from compress.datasets.sidecars import caution_path
    from compress.datasets.table import TABLE
    from compress.progress import ProgressReporter, spoken_warnings

    reporter = ProgressReporter(Console(stderr=True))
    with spoken_warnings(reporter.say):
        reading = read_dataset(path, layout)
        reading.check()
    target = table if table is not None else (path.parent if path.is_file() else path) / TABLE
    write_labels(reading, target)
    typer.echo(
        f"{target}: {len(reading.cases)} images, {sum(case.label for case in reading.cases)} labelled 1"
    )
    if reading.caution:
        typer.echo(f"{caution_path(target)}: {reading.caution}")


def _print(parts: Iterable[RenderableType]) -> None:
    """Tables fitted to the terminal, sentences unbroken: they hold ids that people copy."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    for part in parts:
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))


def _refuse_used(out: Path | None) -> None:
    from runtime.errors import StepError

    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StepError(f"{out} is there already and not empty", "name a new folder")


def _write(out: Path, reading: Reading, images: list[ImageFacts], found: Inspection) -> None:
    from compress.datasets.contact_sheet import draw_sheet
    from compress.datasets.export import groups_csv, pairs_csv, problems_csv, write_new
    from compress.datasets.leaks import merged_groups
    from compress.datasets.problems import Problem
    from compress.datasets.reading import FileDataset
    from compress.datasets.sidecars import EXCLUDED, GROUPS

    out.mkdir(parents=True, exist_ok=True)
    readable = [image.case for image in images if not image.fault]
    if readable:
        (out / "contact_sheet.png").write_bytes(draw_sheet(FileDataset(reading), readable))
    write_new(out / "inspection.json", json.dumps(found.to_json(), indent=2, allow_nan=False))
    write_new(out / "near_duplicates.csv", pairs_csv(found.near_duplicates, reading.cases))
    undecoded = [Problem(image.fault, image.case.case_id) for image in images if image.fault]
    write_new(out / EXCLUDED, problems_csv([*reading.problems, *undecoded]))
    write_new(out / GROUPS, groups_csv(merged_groups(reading.cases, found.near_duplicates)))
