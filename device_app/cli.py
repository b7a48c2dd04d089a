"""Verbs of the kiosk: serve. Everything heavy is imported inside, so that `--help` needs no extra."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from device_app.cli_mend import mend
from device_app.cli_people import app as people
from device_app.cli_people import check_log
from device_app.cli_storage import storage
from device_app.config import DicomOptions, KioskConfig, MediaOptions
from device_app.senders import dicom_options
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
    media: Annotated[
        list[Path] | None,
        typer.Option(help="Folder below which USB sticks are mounted (else /media and /run/media)."),
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(help="Take in every picture that is put into this folder.")
    ] = None,
    dicom_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Receive DICOM pictures (C-STORE) on this port.")
    ] = None,
    dicom_host: Annotated[str, typer.Option(help="Address on which to receive them.")] = DicomOptions.host,
    ae_title: Annotated[str, typer.Option(help="AE title of the box.")] = DicomOptions.ae_title,
    dicom_from: Annotated[
        list[str] | None,
        typer.Option(
            help="AE title, IP address or network (10.0.0.0/8) that may send; may be repeated. Where "
            "titles and addresses are named, both must fit; without this, any may."
        ),
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
        watch=watch.absolute() if watch else None,
        media=MediaOptions(tuple(path.absolute() for path in media)) if media else MediaOptions(),
        dicom=dicom_options(dicom_port, dicom_host, ae_title, dicom_from or []),
    )
    _server(config)


for verb in (install, slots, rollback, check_log, mend, storage):
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
    run(config, lambda said: console.print(said, soft_wrap=True, markup=False, highlight=False))
