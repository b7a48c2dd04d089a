"""The verb `synth`: a folder of computed radiographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from compress.datasets.synthetic import generate
from compress.limits import LARGEST_SEED
from compress.options.data import LARGEST_PLATE_PX, SMALLEST_PLATE_PX, SyntheticOptions
from compress.progress import ProgressReporter


def synth(
    folder: Annotated[Path, typer.Argument(help="Where the radiographs go; made if need be.")],
    patients: Annotated[int, typer.Option(min=1, help="How many patients, two images each.")] = 900,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same images.")
    ] = 7,
    long_side_px: Annotated[
        int, typer.Option(min=SMALLEST_PLATE_PX, max=LARGEST_PLATE_PX, help="Long side of the images.")
    ] = 384,
) -> None:
    """Compute synthetic radiographs with known fractures: images, masks and labels.csv."""
    progress = ProgressReporter(Console(stderr=True))
    with progress.task("patients") as advance:
        dataset = generate(SyntheticOptions(patients, seed, long_side_px), folder, advance)
    fractured = sum(case.label for case in dataset.cases)
    typer.echo(f"{folder}: {len(dataset.cases)} images of {patients} patients, {fractured} fractured")
