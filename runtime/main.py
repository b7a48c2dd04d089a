"""The `ulna` command: every package brings its verbs, which are loaded when they are asked for."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from runtime.errors import UlnaError
from runtime.extras import explain

ENTRY_POINT_GROUP = "ulna.verbs"
_BOX_PACKAGES = ("runtime", "device_app")
"""Looked through first: no fault of the toolchain's may keep a box from its own verbs."""
_INTERRUPTED = 130


class VerbGroup(TyperGroup):
    """A group whose commands are those of all packages, side by side.

    A package is imported when a verb is looked for that no package before it has. One whose libraries are
    not installed is left out and named; any other failure of an import is a bug and is raised.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._loaded: set[str] = set()
        self._unavailable: dict[str, UlnaError] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all verbs that can be loaded here."""
        for package in self._packages():
            self._load(package)
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb, None where nobody brings it. Raises UlnaError where a package lacks its libraries."""
        for package in self._packages():
            if cmd_name in self.commands:
                break
            self._load(package)
        if cmd_name not in self.commands and self._unavailable:
            raise UlnaError(
                f"no verb {cmd_name!r} here; not all packages could be loaded: {self._missing()}",
                "; ".join(dict.fromkeys(error.hint for error in self._unavailable.values())),
            )
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The usual help, with the packages that are not available at its end."""
        self.list_commands(ctx)
        if self._unavailable:
            hints = "; ".join(dict.fromkeys(error.hint for error in self._unavailable.values()))
            # Escaped: rich would take the brackets of "ulna[compress]" for markup and drop them.
            self.epilog = escape(f"Not available here: {self._missing()}. To have them: {hints}.")
        super().format_help(ctx, formatter)

    def _missing(self) -> str:
        return "; ".join(f"{package} ({error})" for package, error in self._unavailable.items())

    def _packages(self) -> list[metadata.EntryPoint]:
        found = metadata.entry_points(group=ENTRY_POINT_GROUP)
        return sorted(found, key=lambda point: (*(point.name != name for name in _BOX_PACKAGES), point.name))

    def _load(self, package: metadata.EntryPoint) -> None:
        if package.name in self._loaded:
            return
        self._loaded.add(package.name)
        try:
            verbs = typer.main.get_group(package.load()).commands
        except ModuleNotFoundError as error:
            missing = explain(error)
            if missing is None:
                raise
            self._unavailable[package.name] = missing
            return
        clash = sorted(set(verbs) & set(self.commands))
        if clash:
            raise RuntimeError(f"{package.name} brings verb {clash[0]!r}, which another package has already")
        self.commands.update(verbs)


app = typer.Typer(cls=VerbGroup, no_args_is_help=True, add_completion=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ulna {metadata.version('ulna')}")
        raise typer.Exit


@app.callback()
def ulna(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Make a trained fracture detector small, prove that it still finds fractures, run it in a clinic."""


def main() -> None:
    """Run the command line. Exits 0 done, 1 known error, 2 wrong usage, 3 a gate failed, 130 interrupted."""
    try:
        typer.main.get_command(app)(prog_name="ulna")
    except UlnaError as error:
        _fail(error)
    except ModuleNotFoundError as error:
        missing = explain(error)
        if missing is None:
            raise
        _fail(missing)
    except OSError as error:
        if error.filename is None:  # no file of the user's: a bug, or an engine's own trouble
            raise
        why = f"cannot use {error.filename}: {error.strerror}"
        _fail(UlnaError(why, "check the path, its owner and the disk"))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _fail(error: UlnaError) -> None:
    """One line what is wrong, one what to do."""
    typer.echo(f"error: {_one_line(str(error))}", err=True)
    if error.hint:
        typer.echo(f"hint: {_one_line(error.hint)}", err=True)
    sys.exit(error.exit_code)


def _one_line(text: str) -> str:
    """A name on a stranger's stick may hold what a terminal obeys: shown as question marks."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


if __name__ == "__main__":
    main()
