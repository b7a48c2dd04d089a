"""The verb `synth`: a folder of computed radiographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synth(
    folder: Annotated[Path, typer.Argument(help="Where the radiographs go; made if need be.")],
    patients: Annotated[int, typer.Option(min=1, help="How many patients, two images each.")] = 900,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same images.")] = 7,
    long_side_px: Annotated[int, typer.Option(min=64, max=4096, help="Long side of the images.")] = 384,
) -> None:
    """Compute synthetic radiographs with known fractures: images, masks and labels.csv."""
    from rich.console import Console
    from rich.progress import Progress

    from compress.datasets.synthetic import generate
    from compress.recipe import SyntheticOptions

    console = Console(stderr=True)
    with Progress(console=console) as bar:
        task = bar.add_task("patients", total=patients)
        dataset = generate(
            SyntheticOptions(patients, seed, long_side_px),
            folder,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    fractured = sum(case.label for case in dataset.cases)
    typer.echo(f"{folder}: {len(dataset.cases)} images of {patients} patients, {fractured} fractured")
