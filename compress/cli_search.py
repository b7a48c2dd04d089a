"""The verb `search`: many recipes at once, and the one that suits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.launch import require_one_process

_LOG_WIDTH = 160


def search(
    file: Annotated[Path, typer.Argument(help="the search file (.toml): base, [space], [search], [choice]")],
    data: Annotated[
        Path | None, typer.Option("--data", help="a data set's folder; without it, synthetic data")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="folder [default: runs/search-FILE]")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="trainings at once on this machine")] = 1,
    scheduler: Annotated[
        str, typer.Option("--scheduler", help="address of a Dask scheduler, as tcp://host:8786")
    ] = "",
) -> None:
    """Try many recipes and choose by a rule: small, fast, and no worse at finding fractures.

    Figures to choose by come from the calibration patients; the gate is asked about the best trials
    afterwards and chooses nothing. Writes search.json, search.md, search.png. Run again, it goes on where it
    was. Workers of a scheduler must see the folder and the data under the same paths.
    """
    require_one_process("a search")
    from rich.console import Console

    from compress.progress import ProgressReporter
    from compress.search.picture import PICTURE
    from compress.search.plan import load_search
    from compress.search.pool import PoolOptions
    from compress.search.record import MARKDOWN
    from compress.search.run import SearchRequest, run_search
    from compress.search.tables import terminal_table
    from compress.search.workshop import RecipeWorkshop

    plan = load_search(file)
    folder = (out if out is not None else Path("runs") / f"search-{plan.name}").absolute()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    workshop = RecipeWorkshop(plan, folder, None if data is None else data.absolute())
    request = SearchRequest(folder, PoolOptions(workers, scheduler))
    record = run_search(plan, request, workshop, ProgressReporter(console))
    console.print(terminal_table(plan, record.outcomes, record.chosen, record.verdicts), highlight=False)
    console.print(record.chosen.sentence, highlight=False, markup=False)
    console.print(f"{folder / MARKDOWN}, {PICTURE}", highlight=False, soft_wrap=True)
