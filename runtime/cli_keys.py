"""`ulna keys`: make a signing key, trust somebody's key, list the trusted ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

keys = typer.Typer(no_args_is_help=True, help="Make, trust and list the keys that bundles are signed with.")


@keys.command()
def new(
    private: Annotated[Path, typer.Argument(help="where to write the private key, e.g. release.key")],
    public: Annotated[
        Path | None, typer.Option(help="where to write the public key [default: beside it, .pem]")
    ] = None,
) -> None:
    """Make a key pair to sign bundles with. The private key stays with its maker."""
    from runtime.errors import UlnaError
    from runtime.trust import fingerprint, generate_key, save_private_key, save_public_key

    public_path = public or private.with_suffix(".pem")
    if public_path == private:
        raise UlnaError(
            f"private and public key would both be {private}", "end the private key's name in .key"
        )
    key = generate_key()
    save_private_key(key, private)
    save_public_key(key.public_key(), public_path)
    typer.echo(f"fingerprint {fingerprint(key.public_key())}")
    typer.echo(f"private key {private}: keep it secret and keep a copy of it")
    typer.echo(f"public key  {public_path}: give it to every machine that shall run your bundles")


@keys.command()
def trust(
    file: Annotated[Path, typer.Argument(help="public key in PEM form")],
    name: Annotated[str, typer.Option(help="what to call it here")] = "",
    folder: Annotated[
        Path | None, typer.Option(help="trust folder [default: ~/.config/ulna/trusted]")
    ] = None,
) -> None:
    """Accept bundles signed with this key. Compare the fingerprint with its owner's first."""
    from runtime.trust import fingerprint, install_key, load_public_key

    public = load_public_key(file)
    path = install_key(public, name or file.stem, folder)
    typer.echo(f"trusted: {fingerprint(public)} ({path})")


@keys.command(name="list")
def list_trusted(as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False) -> None:
    """List the keys that this machine trusts."""
    from runtime.trust import TrustStore

    found = [
        {"fingerprint": key.fingerprint, "name": key.name, "path": str(key.path)}
        for key in TrustStore.default().keys
    ]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for key in found:
        typer.echo(f"{key['fingerprint']}  {key['path']}")
    if not found:
        typer.echo("this machine trusts no key; `ulna keys trust FILE.pem` adds one")
