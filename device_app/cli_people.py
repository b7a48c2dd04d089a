"""`ulna people` and `ulna check-log`, for whoever sits at a box. A forgotten PIN is mended here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.errors import InputError, StoreError
from runtime.extras import explain

if TYPE_CHECKING:
    from device_app.access.people import People
    from device_app.store.database import Database

app = typer.Typer(help="People of a box and their PINs.", no_args_is_help=True)
_ACTOR = "box"
Data = Annotated[Path, typer.Option("--data", help="The kiosk's data folder.", show_default=False)]
Name = Annotated[str, typer.Argument(help="As the sign-in page shows it.")]
Pin = Annotated[
    str,
    typer.Option("--pin", prompt="PIN (6 to 12 digits)", hide_input=True, confirmation_prompt=True,
                 help="Asked for when left out, so that no history of commands holds it."),
]  # fmt: skip


@app.command("list")
def list_people(data: Data) -> None:
    """Everybody, what they may do, and who must wait."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "role", "may sign in")
    with _people(data) as people:
        for one in people.all():
            wait = f"in {-(-int(one.wait.total_seconds()) // 60)} min" if one.wait else "yes"
            table.add_row(escape(one.name), str(one.role), wait if one.active else "no")
    Console().print(table)


@app.command()
def add(
    name: Name,
    data: Data,
    pin: Pin,
    role: Annotated[str, typer.Option(help="user, reader or administrator.")] = "user",
) -> None:
    """Add somebody."""
    from device_app.access.roles import PEOPLE_ROLES

    found = next((known for known in PEOPLE_ROLES if known == role), None)
    if found is None:
        raise InputError(f"nobody can be {role!r}", f"choose one of {', '.join(PEOPLE_ROLES)}")
    with _people(data) as people:
        people.add(name, found, pin, _ACTOR)
    typer.echo(f"{name} may sign in as {role}")


@app.command("pin")
def new_pin(name: Name, data: Data, pin: Pin) -> None:
    """Give somebody a new PIN; ends their sessions and their waiting."""
    with _people(data) as people:
        chosen = [one for one in people.active() if one.name == name]
        if not chosen:
            raise InputError(f"nobody here is called {name!r}", "see `ulna people list`")
        people.set_pin(chosen[0].public_id, pin, _ACTOR)
    typer.echo(f"{name} has a new PIN")


def check_log(
    data: Data,
    anchor: Annotated[
        list[str] | None, typer.Option(help="An anchor that was written down before; may be repeated.")
    ] = None,
) -> None:
    """Check a box's log: every entry there, unchanged, in order, and holding the anchors and the end that the
    box has noted. 1 where not.
    """
    from device_app.audit import Anchor
    from device_app.store.log import AuditLog
    from device_app.store.log_end import look_through

    anchors = tuple(map(Anchor.of_text, anchor or ()))
    with opened_database(data) as database:
        end = AuditLog(database).anchor()  # before the look, which then has seen it
        found = look_through(database, anchors)
    for fault in found:
        typer.echo(fault)
    if found:
        raise StoreError(f"the log of {data} was changed", "keep the folder as it is and ask who had it")
    typer.echo(f"{end.number} entries, whole; anchor {end.text()}")


@contextmanager
def _people(data: Path) -> Iterator[People]:
    from device_app.access.people import People

    with opened_database(data) as database:
        yield People(database)


def belongs_to_another(folder: Path) -> StoreError:
    """That this is another user's folder."""
    owner, user = folder.stat().st_uid, os.geteuid()
    return StoreError(
        f"{folder} belongs to user {owner}, this is user {user}",
        f"run it as the kiosk's user: sudo -u '#{owner}' ulna …",
    )


def _require_writable(data: Path) -> None:
    """SQLite writes beside its file to read it too, and says only that it cannot open it where it may not."""
    if not data.is_dir() or os.access(data, os.W_OK | os.X_OK, effective_ids=True):
        return
    if not os.statvfs(data).f_flag & os.ST_RDONLY:
        if data.stat().st_uid != os.geteuid():
            raise belongs_to_another(data)
        raise StoreError(f"{data} cannot be written to by its own user", f"run `chmod u+rwx {data}`")
    raise StoreError(
        f"{data} cannot be opened: its disk is read-only",
        "copy the folder and look at `dmesg`: a disk that fails is made so; repeat once it can be written to",
    )


@contextmanager
def opened_database(data: Path) -> Iterator[Database]:
    """Of a data folder. Raises StoreError where there is none of this version, or none that can be opened."""
    try:
        from device_app.store import DATABASE_NAME
        from device_app.store.database import Database
        from device_app.store.migrate import is_current
    except ModuleNotFoundError as error:
        raise explain(error) or error from error
    _require_writable(data)
    path = data / DATABASE_NAME
    if not path.is_file():
        raise StoreError(f"{data} holds no kiosk's database", "name the folder that `ulna serve --data` has")
    if not is_current(path):
        raise StoreError(f"the database in {data} is of another version", "start the kiosk once, then repeat")
    database = Database(path)
    try:
        yield database
    finally:
        database.close()
