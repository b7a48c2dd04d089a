"""The verb `faults`: mistakes of the field, put into a clean run, and who catches each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

_LOG_WIDTH = 150


def faults(
    out: Annotated[Path, typer.Option("--out", help="folder of the clean run and of every fault")] = Path(
        "runs/faults"
    ),
    recipe: Annotated[
        str, typer.Option("--recipe", help="of the clean run; it needs every target that a fault goes into")
    ] = "faults",
    data: Annotated[
        Path | None, typer.Option("--data", help="folder with labels.csv; without it, computed radiographs")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="the name of a fault; several: each with --only")
    ] = None,
    clean: Annotated[
        int, typer.Option("--clean", min=1, help="runs without a fault, each with a seed of its own")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Put in faults that the field has suffered, one by one, and say which gate, lint or check catches each.

    Ends with 3 where one is missed or a run without a fault is stopped. Interrupted, it goes on from there.
    """
    from rich.console import Console

    from compress.faults.catalogue import chosen
    from compress.faults.suite import SuiteOptions, run_suite
    from compress.faults.tables import suite_tables
    from compress.progress import ProgressReporter
    from compress.recipe import load_recipe
    from runtime.errors import GateError

    asked = chosen(only or ())
    console = Console(stderr=True)
    result = run_suite(load_recipe(recipe), asked, SuiteOptions(out, data, clean), ProgressReporter(console))
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        shown = Console()
        for part in suite_tables(result):
            (shown if shown.is_terminal else Console(width=_LOG_WIDTH)).print(part, highlight=False)
    if result.wrong:
        names = ", ".join(outcome.name for outcome in result.wrong)
        raise GateError(f"not as it should be: {names}", {}, f"see {out}/NAME/report.html and log.txt")
