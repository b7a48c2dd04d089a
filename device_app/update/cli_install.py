"""The verbs that set up and update a box: install, slots, rollback."""

# Imports inside the verbs keep `ulna --help` quick.
from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from device_app.update.options import InstallOptions
    from device_app.update.status import SlotStatus

_DEFAULT_TIMEOUT_S = 180.0

Root = Annotated[Path, typer.Option("--root", help="The box's folder.", show_default=False)]
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=1, max=86_400, help="Seconds that each engine has for the self-test."),
]


def install(  # noqa: PLR0913, PLR0917  (one parameter an option)
    bundle: Annotated[Path, typer.Option("--bundle", help="The bundle to install.", show_default=False)],
    root: Root,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust",
            help="Public key, or a folder of them, for the first installation; by default this machine's. "
            "The box keeps them and takes later bundles signed by one of them only. May be repeated.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Install even if this bundle is live.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and self-test, change nothing.")] = False,
    user: Annotated[str, typer.Option("--user", help="System user that runs the kiosk.")] = "ulna",
    timeout_s: Timeout = _DEFAULT_TIMEOUT_S,
) -> None:
    """Set up or update a box: copy a bundle into the free slot, test it there, switch to it.

    If anything fails, the box goes on with what it had. The systemd unit that runs the kiosk from the live
    slot is printed on standard output; everything else goes to standard error.
    """
    from device_app.update import installer
    from device_app.update.unit import render_unit
    from runtime.errors import BackendError

    render_unit(root.absolute(), "", user)  # what it refuses is refused before anything changes
    options = _options(timeout_s, tuple(trust or ()), force)
    if dry_run:
        result = installer.check(bundle, root, options)
        if not result.passed:
            raise BackendError(f"{bundle} fails its self-test on this box: {result.reason}")
        options.say(f"It would be installed, with {result.engine}: {result.reason}")
        return
    done = installer.install(bundle, root, options)
    was = "is now" if done.changed else "was already"
    options.say(f"{done.bundle} {was} live in slot {done.slot} of {root}")
    if done.reason:
        options.say(f"Engine chosen here: {done.reason}")
    if done.former and done.changed:
        options.say("Restart the kiosk: systemctl restart ulna-kiosk")
    typer.echo(render_unit(root.absolute(), done.engine, user), nl=False)


def slots(
    root: Root,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a box's two slots: which is live, what lies there, and its last self-test."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from device_app.update.status import status

    both = status(root)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(slot) for slot in both], indent=2))
        return
    table = Table("slot", "bundle", "digest", "signed by", "self-test")
    for column in table.columns:
        column.overflow = "fold"
    for slot in both:
        name = f"{slot.slot} (live)" if slot.live else slot.slot
        what = escape(slot.bundle or slot.problem)
        table.add_row(name, what, slot.digest[:12], slot.signed_by, _self_test(slot))
    Console().print(table)


def rollback(root: Root, timeout_s: Timeout = _DEFAULT_TIMEOUT_S) -> None:
    """Make the other slot live again, after its bundle has verified and passed its self-test here."""
    from device_app.update import installer

    options = _options(timeout_s)
    done = installer.rollback(root, options)
    options.say(f"{done.bundle} is live again in slot {done.slot} of {root}, in place of {done.former}")
    options.say("Restart the kiosk: systemctl restart ulna-kiosk")


def _self_test(slot: SlotStatus) -> str:
    if slot.record is None:
        return "" if slot.problem else "not yet"
    outcome = "passed" if slot.record.passed else "FAILED"
    return f"{outcome} {slot.record.checked_utc} {slot.record.engine}".rstrip()


def _options(timeout_s: float, trust: tuple[Path, ...] = (), force: bool = False) -> InstallOptions:
    """Progress goes to standard error: standard output carries only what another program may read."""
    from rich.console import Console

    from device_app.update.options import InstallOptions

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    return InstallOptions(trust, force, timeout_s, say=lambda line: console.print(line, markup=False))
