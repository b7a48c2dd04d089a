"""The verbs that set up and update a box: install, slots, rollback."""

# Imports inside the verbs keep `ulna --help` quick.
from __future__ import annotations

import dataclasses
import json
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from device_app.update.installer import Installed
    from device_app.update.options import InstallOptions
    from device_app.update.probe import ProbeResult
    from device_app.update.status import SlotStatus
    from device_app.update.unit import Site
    from runtime.trt_build.progress import Listener

_DEFAULT_TIMEOUT_S = 180.0
_DEFAULT_USER = "ulna"

Root = Annotated[Path, typer.Option("--root", help="The box's folder.", show_default=False)]
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=1, max=86_400, help="Seconds that each engine has for the self-test."),
]
User = Annotated[str, typer.Option("--user", help="System user that runs the kiosk.")]


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
    user: User = _DEFAULT_USER,
    timeout_s: Timeout = _DEFAULT_TIMEOUT_S,
    browsers: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of tablets that may open the kiosk (with -- --host ADDRESS); may be "
            "repeated. Without it only this box's own screen does."
        ),
    ] = None,
    serve: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- SERVE OPTIONS]",
            help="After --, options of `ulna serve` that this site's unit carries: --watch, --dicom-port ...",
        ),
    ] = None,
) -> None:
    """Set up or update a box: copy a bundle into the free slot, test it there, switch to it.

    If anything fails, the box goes on with what it had. Engines that a bundle leaves to the box are built, as
    the kiosk's user, where the kiosk will look for them; one that cannot be built leaves the others. The
    systemd unit that runs the kiosk from the live slot is printed on standard output; everything else goes to
    standard error.
    """
    from device_app.update import installer
    from device_app.update.unit import needs_gpu, render_unit

    site = _site(serve or [], browsers or [])
    render_unit(root.absolute(), user, gpu=False, site=site)  # refuses before anything changes
    options = _options(timeout_s, tuple(trust or ()), force)
    if dry_run:
        _tell_check(bundle, installer.check(bundle, root, options), options)
        return
    options = _building(options, user)
    done = installer.install(bundle, root, options)
    gpu = needs_gpu(done.engine, done.engines)
    _tell_done(done, root, gpu, options)
    typer.echo(render_unit(root.absolute(), user, gpu, site), nl=False)


def _site(words: list[str], browsers: list[str]) -> Site:
    """Read as `ulna serve` itself reads them."""
    from typer.core import TyperCommand, TyperGroup

    from device_app import cli
    from device_app.update.site import site_of

    verbs = typer.main.get_command(cli.app)
    assert isinstance(verbs, TyperGroup)
    serve = verbs.commands["serve"]
    assert isinstance(serve, TyperCommand)
    return site_of(serve, words, browsers)


def _tell_check(bundle: Path, result: ProbeResult, options: InstallOptions) -> None:
    """What a dry run found. It builds nothing: a build takes minutes, and its engine belongs to the box."""
    from runtime.errors import BackendError

    for key in result.failed:
        options.say(f"{key} was not tried: an installation builds and tests it on this box")
    if not result.passed and result.failed:
        raise BackendError(
            f"{bundle} has no engine that passes its self-test on this box as it is: {result.reason}",
            "install it: it goes live only if an engine that is built here passes",
        )
    if not result.passed:
        raise BackendError(f"{bundle} fails its self-test on this box: {result.reason}")
    options.say(f"It would be installed, with {result.engine}: {result.reason}")


def _tell_done(done: Installed, root: Path, gpu: bool, options: InstallOptions) -> None:
    from device_app.update.unit import INSTALLED_UNIT, hides_gpu

    was = "is now" if done.changed else "was already"
    options.say(f"{done.bundle} {was} live in slot {done.slot} of {root}")
    if done.reason:
        options.say(f"Engine chosen here: {done.reason}")
    if gpu and hides_gpu():
        options.say(
            f"{INSTALLED_UNIT} keeps the GPU from the kiosk: put the unit that follows in its place, "
            "then run systemctl daemon-reload && systemctl restart ulna-kiosk"
        )
    elif done.former and done.changed:
        options.say("Restart the kiosk: systemctl restart ulna-kiosk")


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
        table.add_row(name, what, slot.digest[:12], slot.signed_by, escape(_self_test(slot)))
    Console().print(table)


def rollback(root: Root, user: User = _DEFAULT_USER, timeout_s: Timeout = _DEFAULT_TIMEOUT_S) -> None:
    """Make the other slot live again, after its bundle has verified and passed its self-test here."""
    from device_app.update import installer

    options = _building(_options(timeout_s), user)
    done = installer.rollback(root, options)
    options.say(f"{done.bundle} is live again in slot {done.slot} of {root}, in place of {done.former}")
    options.say("Restart the kiosk: systemctl restart ulna-kiosk")


def _self_test(slot: SlotStatus) -> str:
    if slot.record is None:
        return "" if slot.problem else "not yet"
    outcome = "passed" if slot.record.passed else "FAILED"
    lines = [f"{outcome} {slot.record.checked_utc} {slot.record.engine}".rstrip()]
    return "\n".join(lines + [f"{key} {why}" for key, why in slot.record.failed.items()])


def _options(timeout_s: float, trust: tuple[Path, ...] = (), force: bool = False) -> InstallOptions:
    """Progress goes to standard error: standard output carries only what another program may read."""
    from device_app.update.options import InstallOptions

    console = _console()
    return InstallOptions(trust, force, timeout_s, say=lambda line: console.print(line, markup=False))


def _building(options: InstallOptions, user: str) -> InstallOptions:
    """With the engines that the box builds for itself."""
    from device_app.update.own_engines import Kiosk, OwnEngines
    from device_app.update.probe import probe

    own = OwnEngines(Kiosk(user), options.say, _bars)
    return dataclasses.replace(options, probe=partial(probe, own=own.examine), tidy=own.tidy)


@contextmanager
def _bars() -> Iterator[Listener]:
    from runtime.build_bars import BuildBars

    with BuildBars(_console(), "engines of this box's own") as bars:
        yield bars.show


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False)
