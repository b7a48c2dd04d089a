"""`ulna storage`, for whoever sits at a box: how long the disk lasts, what would go, what is encrypted, and
the way back of pictures that were set aside.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_app.cli_people import belongs_to_another, opened_database
from runtime.extras import explain

if TYPE_CHECKING:
    from device_app.config import KioskConfig
    from device_app.store import FolderLock, Store
    from device_app.store.aside import Aside, TakenIn

_ASK = "Take {} pictures in without a record? Those that somebody removed on purpose come back too."


def storage(
    data: Annotated[Path, typer.Option("--data", help="The kiosk's data folder.", show_default=False)],
    take_in: Annotated[
        bool, typer.Option("--take-in", help="Take the pictures in again that lie aside without a record.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before they are taken in.")] = False,
) -> None:
    """Say how long the disk lasts, which pictures' time is over, and whether the disk is encrypted.

    Pictures lie aside without a record after an older database was put back, or after somebody removed their
    records: which of the two cannot be told. With --take-in each becomes a new examination, without a patient
    unless its file names one, and is read when the kiosk runs. Those come back too that somebody removed on
    purpose. What is not taken in is removed when its time is over. Stop the kiosk first; while it runs, an
    administrator does the same on the page "This box". May be broken off and begun again.
    """
    try:
        from device_app.config import KioskConfig
    except ModuleNotFoundError as error:
        raise explain(error) or error from error
    with opened_database(data):  # says what is wrong with it
        config = KioskConfig(data, data)
    if take_in:
        _take_in(config, yes)
    else:
        _say(config)


def _say(config: KioskConfig) -> None:
    from device_app.encryption import encryption_of
    from device_app.outlook import outlook
    from device_app.settings import Settings
    from device_app.store import open_store
    from device_app.store.aside import lying_aside

    store = open_store(config)
    try:
        keep_days = Settings(store.database).now().keep_days
        found = outlook(store, config.reserve_bytes, keep_days)
        typer.echo(f"free: {store.records.free_bytes() / 1e9:.1f} GB")
        aside = lying_aside(store.files)
    finally:
        store.close()
    lasts = "not known" if found.days_left is None else f"{found.days_left:.0f} days"
    typer.echo(f"full in: {lasts}")
    typer.echo(f"kept: {f'{keep_days} days' if keep_days else 'for ever'}")
    typer.echo(f"would be removed now: {len(found.due.image_ids)} pictures")
    if found.due.waiting:
        typer.echo(f"have had their time too, and wait ({found.due.why}): {found.due.waiting} pictures")
    if aside.pictures:
        folder = config.data_dir / "set-aside" / "pictures"
        typer.echo(f"set aside, without a record: {aside.pictures} pictures, in {folder}")
        typer.echo(f"  {_until(aside, keep_days)}; --take-in takes them in again")
    disk = encryption_of(config.data_dir)
    typer.echo(f"data folder encrypted: {_said(disk.data)}")
    typer.echo(f"swap encrypted: {_said(disk.swap)}")


def _until(aside: Aside, keep_days: int) -> str:
    until = aside.until_utc(keep_days)
    if keep_days == 0:
        return "kept for ever"
    if until is None:
        return f"removed after {keep_days} days, which begin once the clock has proven itself"
    return f"removed from {until:%Y-%m-%d} on"


def _take_in(config: KioskConfig, yes: bool) -> None:
    from device_app.store import open_store

    _require_own(config.data_dir)
    with _held(config.data_dir):
        store = open_store(config)
        try:
            done = _asked(store, config.max_waiting, yes)
        finally:
            store.close()
    _tell(done)
    if done.damaged or done.left:
        raise typer.Exit(1)


def _require_own(folder: Path) -> None:
    """The kiosk's user could not read what another one stores for it."""
    if folder.stat().st_uid != os.geteuid():
        raise belongs_to_another(folder)


def _held(folder: Path) -> FolderLock:
    """A kiosk that starts meanwhile would sweep away what is not yet in the database."""
    from device_app.store import FolderHeldError, FolderLock

    try:
        return FolderLock(folder)
    except FolderHeldError as error:
        hint = "stop it, or let an administrator take them in on the page “This box”"
        raise FolderHeldError(str(error), hint) from error


def _asked(store: Store, max_waiting: int, yes: bool) -> TakenIn:
    from device_app.store.aside import Bounds, TakenIn, lying_aside, take_in
    from device_app.store.log import BOX

    aside = lying_aside(store.files)
    if not aside.pictures:
        return TakenIn()
    if not yes:
        typer.confirm(_ASK.format(aside.pictures), abort=True)
    return take_in(store, BOX, Bounds.of(max_waiting))


def _tell(done: TakenIn) -> None:
    if not done.taken + done.known + done.damaged + done.left:
        typer.echo("no pictures lie aside")
        return
    typer.echo(f"{done.taken} pictures taken in; they are read when the kiosk runs")
    if done.known:
        typer.echo(f"{done.known} pictures were here already, or their time was over")
    if done.damaged:
        typer.echo(f"{done.damaged} pictures are damaged and stay aside")
    if done.left:
        why = {
            "disk": "the disk is full: free space, then repeat",
            "queue": "many wait to be read: let the kiosk read them, then repeat",
        }
        typer.echo(f"{done.left} pictures stay aside, {why[done.why]}")


def _said(encrypted: bool | None) -> str:
    return {True: "yes", False: "no", None: "cannot be told"}[encrypted]
