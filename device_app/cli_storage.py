"""`ulna storage`, for whoever sits at a box: how long the disk lasts, what would go, what is encrypted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from device_app.cli_people import opened_database
from runtime.extras import explain


def storage(
    data: Annotated[Path, typer.Option("--data", help="The kiosk's data folder.", show_default=False)],
) -> None:
    """Say how long the disk lasts, which pictures' time is over, and whether the disk is encrypted."""
    try:
        from device_app.config import KioskConfig
        from device_app.encryption import encryption_of
        from device_app.outlook import outlook
        from device_app.settings import Settings
        from device_app.store import open_store
    except ModuleNotFoundError as error:
        raise explain(error) or error from error
    with opened_database(data):  # says what is wrong with it
        config = KioskConfig(data, data)
    store = open_store(config)
    try:
        keep_days = Settings(store.database).now().keep_days
        found = outlook(store, config.reserve_bytes, keep_days)
        typer.echo(f"free: {store.records.free_bytes() / 1e9:.1f} GB")
        aside = len(store.files.aside())
    finally:
        store.close()
    lasts = "not known" if found.days_left is None else f"{found.days_left:.0f} days"
    typer.echo(f"full in: {lasts}")
    typer.echo(f"kept: {f'{keep_days} days' if keep_days else 'for ever'}")
    typer.echo(f"would be removed now: {len(found.due.image_ids)} pictures")
    if found.due.waiting:
        typer.echo(f"have had their time too, and wait ({found.due.why}): {found.due.waiting} pictures")
    if aside:
        typer.echo(f"set aside, without a record: {aside} pictures, in {data / 'set-aside' / 'pictures'}")
    disk = encryption_of(data)
    typer.echo(f"data folder encrypted: {_said(disk.data)}")
    typer.echo(f"swap encrypted: {_said(disk.swap)}")


def _said(encrypted: bool | None) -> str:
    return {True: "yes", False: "no", None: "cannot be told"}[encrypted]
