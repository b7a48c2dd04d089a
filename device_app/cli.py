"""Verbs of the kiosk: serve. Everything heavy is imported inside, so that `--help` needs no extra."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from device_app.cli_people import app as people
from device_app.cli_people import check_log
from device_app.config import KioskConfig
from device_app.update.cli_install import install, rollback, slots
from runtime.extras import explain

app = typer.Typer(help="The clinic kiosk.", no_args_is_help=True)


@app.callback()
def kiosk() -> None:
    """The clinic kiosk."""


@app.command()
def serve(  # noqa: PLR0913, PLR0917  one parameter a command-line option
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of the signed bundle [default: the reference model].")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder for pictures and results [ULNA_DATA or ~/.local/share/ulna].")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    trust: Annotated[
        list[Path] | None, typer.Option(help="Trusted public key, or a folder of them; may be repeated.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the engine; 0 takes all cores.")] = 0,
    name: Annotated[
        list[str] | None, typer.Option(help="Another name under which browsers reach the box.")
    ] = None,
) -> None:
    """Start the kiosk: a web page that reads X-ray pictures on this machine, without any network."""
    from runtime import reference

    keys = tuple(path.absolute() for path in trust or ())
    config = KioskConfig(
        bundle=(bundle or reference.folder()).absolute(),
        data_dir=(data or default_data_dir()).absolute(),
        trust=keys or (() if bundle else (reference.key(),)),
        host=host,
        port=port,
        threads=threads,
        allowed_hosts=tuple(name or ()),
    )
    _server(config)


for verb in (install, slots, rollback, check_log):
    app.command()(verb)
app.add_typer(people, name="people")


def default_data_dir() -> Path:
    """ULNA_DATA, else the user's own folder."""
    given = os.environ.get("ULNA_DATA")
    return Path(given) if given else Path.home() / ".local" / "share" / "ulna"


def _server(config: KioskConfig) -> None:
    try:
        from device_app.server import serve as run
    except ModuleNotFoundError as error:
        raise explain(error) or error from error
    from rich.console import Console

    console = Console()
    run(config, lambda address: console.print(f"The kiosk is at {address} (Ctrl-C ends it)", soft_wrap=True))
