"""The verb `train`: a checkpoint from radiographs, without pruning, compiling or a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from compress.metrics import MetricsReport

_LOG_WIDTH = 120


def train(
    recipe: Annotated[
        str, typer.Option("--recipe", help="a shipped recipe's name, or the path of a .toml file")
    ] = "demo",
    data: Annotated[
        Path | None, typer.Option("--data", help="a data set's folder; without it, synthetic data")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="folder [default: runs/RECIPE]")] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="a network.pt whose weights to begin with")
    ] = None,
    teachers: Annotated[
        list[Path] | None,
        typer.Option("--teacher", help="a network.pt to follow (distill_weight); several: their mean"),
    ] = None,
    outlines: Annotated[
        Path | None, typer.Option("--outlines", help="JSON with fracture outlines by case id")
    ] = None,
) -> None:
    """Train as a recipe says, and nothing else; a killed training goes on where it was.

    Writes network.pt, history.json, curves.png and calibration.json. `ulna run` with the same recipe, data
    and folder goes on from the checkpoint. Several processes: torchrun --nproc-per-node 2 -m runtime.main
    train …
    """
    from rich.console import Console

    from compress.progress import ProgressReporter
    from compress.recipe import load_recipe
    from compress.train_alone import TrainRequest, train_alone
    from compress.training.processes import joined_processes

    plan = load_recipe(recipe)
    folder = out if out is not None else Path("runs") / plan.name
    request = TrainRequest(folder, data, start, tuple(teachers or ()), outlines)
    with joined_processes() as processes:
        console = Console(quiet=not processes.is_first)
        if not console.is_terminal:
            console = Console(width=_LOG_WIDTH, quiet=not processes.is_first)
        trained = train_alone(plan, request, ProgressReporter(console), processes)
        if trained is not None:
            history = trained.artifact.facts["history"]
            console.print(f"{folder}: epoch {history['kept_epoch']} of {len(history['loss'])} was kept")
            _tell(console, trained.report)


def _tell(console: Console, report: MetricsReport) -> None:
    from compress.evaluation_tables import show

    console.print(
        f"{report.images} calibration images, which chose epoch and thresholds: the figures flatter it"
    )
    console.print(f"  AUROC {show(report.auroc)}")
    for name, point in report.points.items():
        words = name.replace("_", " ")
        console.print(
            f"  {words}: sensitivity {show(point.sensitivity)}, specificity {show(point.specificity)}"
        )
