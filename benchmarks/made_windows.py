"""Whether made training windows help: the same network, patients and seeds, with them and without.

`python -m benchmarks.made_windows --recipe R --data DIR --work FOLDER --out benchmarks/results/NAME.json`

What `ulna patches compare` does in the same folder, which goes on where that stopped, as a result to keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.results import Result, Row, save
from compress.patches.compare import Comparison, compare_patches
from compress.patches.judge import Difference
from compress.patches.workshop import PatchRequest
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe


def measure_windows(recipe: Recipe, request: PatchRequest, seeds: int, reporter: ProgressReporter) -> Result:
    """A row for each figure and seed, and one for each figure's difference over all seeds.

    Raises what compare_patches raises.
    """
    found = compare_patches(recipe, request, seeds, reporter)
    rows = [row for figure in found.differences for row in _rows(found, figure)]
    settings = {"recipe": recipe.name, "seeds": seeds, "patches": asdict(recipe.patches)}
    name = "synthetic" if request.data is None else request.data.resolve().name
    return Result("made windows", tuple(rows), settings, data={"name": name})


def _rows(found: Comparison, figure: Difference) -> Iterator[Row]:
    for seed, without, made in zip(found.seeds, figure.without, figure.made, strict=True):
        yield {"figure": figure.metric, "seed": seed, "without": without, "with": made}
    yield {
        "figure": f"{figure.metric}, with minus without",
        "images": figure.images,
        "difference": figure.difference,
        "95%": [figure.low, figure.high],
        "verdict": figure.verdict,
    }


def main(
    recipe: Annotated[str, typer.Option(help="A recipe with a [patches] share.")],
    work: Annotated[Path, typer.Option(help="Folder for tensors and networks.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    data: Annotated[Path | None, typer.Option(help="Data set; without it, synthetic radiographs.")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Pairs of networks to train.")] = 2,
) -> None:
    """Train with and without made windows, compare both on the same patients and write it down."""
    reporter = ProgressReporter(Console())
    save(measure_windows(load_recipe(recipe), PatchRequest(work, data), seeds, reporter), out)


if __name__ == "__main__":
    typer.run(main)
