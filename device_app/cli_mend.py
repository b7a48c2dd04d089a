"""`ulna mend`, for whoever sits at a box whose database is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.extras import explain


def mend(
    data: Annotated[Path, typer.Option("--data", help="The kiosk's data folder.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is done.")] = False,
) -> None:
    """Mend a damaged or lost database from what can be read, its last copy and the stored pictures.

    Deletes nothing: what is damaged is put aside in the data folder. May be broken off and begun again.
    """
    try:
        from device_app.mend import can_be_mended, condition
        from device_app.mend import mend as run
    except ModuleNotFoundError as error:
        raise explain(error) or error from error
    found = condition(data)
    typer.echo(f"database: {found.condition}{f' ({found.detail})' if found.detail else ''}")
    if can_be_mended(found) and not yes:
        typer.confirm("Put it aside and make a new one of all that can be read?", abort=True)
    done = run(data, "box", typer.echo)
    if done is None:
        typer.echo("nothing is to be mended")
        return
    got = done.recovered
    typer.echo(
        f"{got.rows} rows recovered, {got.from_copy} of them from the last copy; {got.dropped} dropped"
    )
    typer.echo(f"{got.found} pictures had lost their row; {got.queued} pictures will be read")
    if got.tables_damaged:
        typer.echo(f"not all could be read of: {', '.join(got.tables_damaged)}")
    if got.lost_end:
        number = got.lost_end.partition(":")[0]
        typer.echo(f"the end of the log is lost: there were {number} entries")
    if done.aside is not None:
        typer.echo(f"the damaged files lie in {done.aside}")
    typer.echo("start the kiosk; one in safe mode starts by itself")
