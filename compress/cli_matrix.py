"""The verb `matrix`: every network and classical baseline on every engine, in both precisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.launch import require_one_process

_LOG_WIDTH = 160


def matrix(
    recipe: Annotated[
        str, typer.Option("--recipe", help="a shipped matrix (demo, fracatlas), or the path of a .toml file")
    ] = "demo",
    data: Annotated[
        Path | None, typer.Option("--data", help="a data set's folder; without it, synthetic data")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="folder [default: runs/matrix-RECIPE]")] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", help="one network of the zoo; repeatable [default: all]")
    ] = None,
    classical: Annotated[
        bool, typer.Option("--classical/--no-classical", help="with the classical baselines")
    ] = True,
) -> None:
    """Train each model, export it, quantize and compile it for each engine, and measure all of it.

    Writes matrix.json, matrix.md and matrix.png. What an engine does not take says so in the engine's own
    words. Run again, it goes on where it was; what is done is not done again. The table holds the models
    that are asked for, no others of an earlier run.
    """
    require_one_process("a matrix")
    from rich.console import Console

    from compress.matrix.recipe import load_matrix_recipe
    from compress.matrix.run import MARKDOWN, PICTURE, MatrixRequest, run_matrix
    from compress.matrix.tables import terminal_tables
    from compress.progress import ProgressReporter

    plan = load_matrix_recipe(recipe)
    names = plan.choose(tuple(network or ()), classical)
    folder = out if out is not None else Path("runs") / f"matrix-{plan.name}"
    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    record = run_matrix(plan, MatrixRequest(folder, data, names), ProgressReporter(console))
    for part in terminal_tables(record):
        console.print(part, highlight=False)
    console.print(f"{folder / MARKDOWN}, {PICTURE}", highlight=False, soft_wrap=True)
