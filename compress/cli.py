"""The engineer's verbs. Nothing heavy is imported before a verb runs, so `--help` works on a bare install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli_data import data as data_verbs
from compress.cli_ensemble import ensemble
from compress.cli_evaluate import evaluate
from compress.cli_faults import faults
from compress.cli_layers import layers
from compress.cli_lint import lint
from compress.cli_matrix import matrix
from compress.cli_patches import patches as patches_verbs
from compress.cli_power import power
from compress.cli_search import search
from compress.cli_synth import synth
from compress.cli_train import train
from compress.launch import require_one_process

_LOG_WIDTH = 120

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(ensemble)
app.command()(evaluate)
app.command()(faults)
app.command()(lint)
app.command()(layers)
app.command()(matrix)
app.command()(power)
app.command()(search)
app.command()(synth)
app.command()(train)
app.add_typer(data_verbs, name="data")
app.add_typer(patches_verbs, name="patches")


@app.command()
def run(
    recipe: Annotated[
        str, typer.Option(help="a shipped recipe's name, or the path of a .toml file")
    ] = "demo",
    data: Annotated[
        Path | None, typer.Option(help="folder with labels.csv; without it, synthetic data")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the run [default: runs/RECIPE]")] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="a network.pt whose weights to begin with, as `ulna train`")
    ] = None,
    teachers: Annotated[
        list[Path] | None,
        typer.Option("--teacher", help="a network.pt to follow, as `ulna train`; several: their mean"),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="private key that signs [default: this machine's own]")
    ] = None,
) -> None:
    """Train, prune, fine-tune, quantize and compile; gate every step; report; sign what passed.

    A training of `ulna train` in the same folder is gone on from. One with --from or --teacher needs the same
    files here; they must have learned from none but fit patients of this division of this data.
    """
    require_one_process("a run")
    from rich.console import Console

    from compress.begin_with import BeginWith
    from compress.from_files import FromFiles
    from compress.pipeline import RunOptions, run_pipeline
    from compress.progress import ProgressReporter
    from compress.recipe import load_recipe
    from compress.signing import signing_key

    plan = load_recipe(recipe)
    folder = out if out is not None else Path("runs") / plan.name
    console = Console()
    if not console.is_terminal:
        console = Console(
            width=_LOG_WIDTH
        )  # the table of steps would be cut into pieces at a log's 80 columns
    options, begin = RunOptions(folder, data, signing_key(key)), BeginWith(start, tuple(teachers or ()))
    run_pipeline(plan, options, ProgressReporter(console), FromFiles(begin))


@app.command()
def recipes() -> None:
    """List the recipes that come with Ulna."""
    from compress.recipe import shipped_recipes

    for name in shipped_recipes():
        typer.echo(name)
