"""The box's verbs: detect, verify, doctor, bench, engines, keys. Each imports what is heavy when it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli_detect import detect
from runtime.cli_engines import engines
from runtime.cli_keys import keys

if TYPE_CHECKING:
    from runtime.bundle import Bundle

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(detect)
app.add_typer(engines, name="engines")
app.add_typer(keys, name="keys")

BundleOption = Annotated[
    Path | None, typer.Option("--bundle", help="folder of the bundle [default: the reference model]")
]
TrustOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust", help="trusted public key, a .pem file or a folder of them [default: this machine's]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="threads an engine may use, 0 for all cores")]


@app.command()
def verify(bundle: BundleOption = None, trust: TrustOption = None, as_json: JsonOption = False) -> None:
    """Check a bundle's signature and every file, and say what it is and how its gates went."""
    from rich.console import Console

    from runtime.errors import BundleError
    from runtime.tables import verify_json, verify_table

    try:
        opened = _open(bundle, trust)
    except BundleError as error:
        if not as_json:
            raise
        typer.echo(json.dumps({"ok": False, "error": str(error), "hint": error.hint}, indent=2))
        raise typer.Exit(error.exit_code) from error
    if as_json:
        typer.echo(json.dumps(verify_json(opened), indent=2))
    else:
        Console().print(verify_table(opened))


@app.command()
def doctor(
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="also run this bundle's golden cases")
    ] = None,
    trust: TrustOption = None,
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Show this machine, the engines on it, which of them pass the golden cases and which would be used.

    Exit code 1 when a bundle is given and no engine passes.
    """
    from rich.console import Console

    from runtime.doctor import examine_machine
    from runtime.tables import doctor_tables

    opened = None if bundle is None else _open(bundle, trust)
    console = Console(stderr=True)
    with console.status("looking for engines") as status:
        report = examine_machine(
            opened, threads, lambda key: status.update(f"running the golden cases on {key}")
        )
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        Console().print(*doctor_tables(report), sep="\n")
    if report.failure is not None:
        raise report.failure


@app.command()
def bench(
    bundle: BundleOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="also write the report to this file")
    ] = None,
    runs: Annotated[int, typer.Option(min=10, help="inferences per engine that are counted")] = 200,
    threads: ThreadsOption = 0,
    trust: TrustOption = None,
) -> None:
    """Measure latency, memory and size of every engine and precision of a bundle on this machine.

    Exit code 1 when no engine could be measured.
    """
    from rich.console import Console

    from runtime.bench import BenchOptions
    from runtime.bench import bench as measure
    from runtime.errors import BackendError
    from runtime.tables import bench_tables

    opened = _open(bundle, trust)
    with Console(stderr=True).status("measuring") as status:
        report = measure(
            opened, BenchOptions(runs=runs, threads=threads), lambda key: status.update(f"measuring {key}")
        )
    if json_file is not None:
        _write(json_file, json.dumps(report.to_json(), indent=2) + "\n")
    Console().print(*bench_tables(report), sep="\n")
    if not any(result.latency for result in report.results):
        raise BackendError("no engine was measured: none passes the golden cases", "run `ulna doctor`")


def _open(bundle: Path | None, trust: list[Path] | None) -> Bundle:
    from runtime.reference import open_named

    return open_named(bundle, trust)


def _write(path: Path, text: str) -> None:
    from runtime.errors import UlnaError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UlnaError(f"cannot write {path}: {error.strerror}", "choose another path") from error
