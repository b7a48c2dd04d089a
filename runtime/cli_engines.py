"""`ulna engines`: build, list and remove the TensorRT engines that this machine makes for itself."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.device_engine import DeviceEngine, DeviceOptions
    from runtime.engine_store import EngineStore, Held
    from runtime.manifest import EngineEntry

engines = typer.Typer(
    no_args_is_help=True,
    help="Build, list and remove the TensorRT engines that this machine makes for itself.",
)

_MIB = 1 << 20
_DEFAULT_LIMIT_MIB = 1024
_DEFAULT_TIMEOUT_S = 3600.0

StoreOption = Annotated[
    Path,
    typer.Option("--store", help="folder of the engines that this machine has built", show_default=False),
]
TrustOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust", help="trusted public key, a .pem file or a folder of them [default: this machine's]"
    ),
]
LimitOption = Annotated[
    int, typer.Option("--limit-mib", min=0, help="room for all engines together; the longest unused go first")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


@engines.command()
def build(  # noqa: PLR0913, PLR0917  (one parameter an option)
    bundle: Annotated[Path, typer.Option("--bundle", help="folder of the bundle", show_default=False)],
    store: StoreOption,
    dla_core: Annotated[
        int | None,
        typer.Option(min=0, help="deep-learning accelerator that takes the layers it can [default: none]"),
    ] = None,
    workspace_mib: Annotated[
        int, typer.Option(min=0, help="GPU memory that a layer may use, 0 for the library's own limit")
    ] = 0,
    limit_mib: LimitOption = _DEFAULT_LIMIT_MIB,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, help="seconds for one build")
    ] = _DEFAULT_TIMEOUT_S,
    trust: TrustOption = None,
) -> None:
    """Build the engines that a bundle leaves to the device, unless they are there already.

    Exit code 1 when one cannot be built; the others are built all the same.
    """
    from runtime.device_engine import DeviceOptions, deferred
    from runtime.engine_store import EngineStore
    from runtime.errors import BackendError, UlnaError

    opened = _open(bundle, trust)
    options = DeviceOptions(workspace_mib * _MIB, dla_core, timeout_s)
    entries, failed = deferred(opened), []
    if not entries:
        typer.echo(f"{opened.manifest.name} leaves no engine to the device: there is nothing to build")
        return
    held = EngineStore(store, limit_mib * _MIB)
    for entry in entries:
        try:
            made = _build_one(opened, entry, held, options)
            typer.echo(f"{entry.key}: {_told(made)}")
        except UlnaError as error:
            typer.echo(f"{entry.key}: {error}", err=True)
            failed.append(error)
    if failed:
        raise BackendError(
            f"{len(failed)} of {len(entries)} engines were not built: {failed[0]}", failed[0].hint
        )


@engines.command(name="list")
def list_engines(store: StoreOption, as_json: JsonOption = False) -> None:
    """List the engines in a store, last used first; what is refused says why."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    found = _store(store).held()
    if as_json:
        typer.echo(json.dumps([_json(item) for item in found], indent=2))
        return
    table = Table("what", "for", "model", "size", "built", "problem")
    for column in table.columns:
        column.overflow = "fold"
    for item in found:
        table.add_row(*map(escape, _row(item)))
    Console().print(table)


@engines.command()
def prune(
    store: StoreOption,
    limit_mib: LimitOption = _DEFAULT_LIMIT_MIB,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="keep the engines of this bundle's models")
    ] = None,
    trust: TrustOption = None,
) -> None:
    """Remove what is refused, then the longest unused engines; never one that a process has loaded."""
    from runtime.device_engine import deferred

    opened = None if bundle is None else _open(bundle, trust)
    files = () if opened is None else tuple(opened.manifest.files[entry.main] for entry in deferred(opened))
    models = {file.sha256 for file in files}
    held = _store(store)
    held.limit_bytes = limit_mib * _MIB
    with held.locked():
        keep = {
            item.path.name for item in held.held() if item.record and item.record.key.model_sha256 in models
        }
        removed = held.prune(frozenset(keep))
    for item in removed:
        typer.echo(f"removed {item.path.name[:12]} ({_megabytes(item.size_bytes)}) {item.problem}".rstrip())
    typer.echo(f"{len(removed)} removed, {_megabytes(sum(item.size_bytes for item in held.held()))} left")


def _build_one(
    bundle: Bundle, entry: EngineEntry, store: EngineStore, options: DeviceOptions
) -> DeviceEngine:
    from rich.console import Console

    from runtime.build_bars import BuildBars
    from runtime.device_engine import device_engine

    with BuildBars(Console(stderr=True), entry.key) as bars:
        return device_engine(bundle, entry, store, options, bars.show)


def _told(made: DeviceEngine) -> str:
    record, size = made.record, _megabytes(made.record.size_bytes)
    core = record.key.spec.dla_core
    where = "" if core is None else f", {record.dla_layers} of {record.layers} layers on DLA core {core}"
    if not made.built:
        return f"built before, {record.built_utc}, {size}{where}"
    return f"built in {record.seconds:.1f} s, {size}{where}"


def _json(item: Held) -> dict[str, object]:
    record = None if item.record is None else dataclasses.asdict(item.record)
    return {
        "folder": item.path.name,
        "size_bytes": item.size_bytes,
        "used": item.used,
        "problem": item.problem,
        "record": record,
    }


def _row(item: Held) -> tuple[str, ...]:
    record, size = item.record, _megabytes(item.size_bytes)
    if record is None:
        what = "refused" if item.problem else "timings of kernels"
        return what, "", "", size, "", item.problem
    place, spec = record.key.place, record.key.spec
    core = "" if spec.dla_core is None else f", DLA core {spec.dla_core}"
    what = f"{place.library} {place.version} {spec.precision}"
    built = f"{record.built_utc} in {record.seconds:.1f} s"
    return what, f"{place.gpu.name}{core}", record.key.model_sha256[:12], size, built, ""


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _store(root: Path) -> EngineStore:
    """One that is there: to look into a store makes none."""
    from runtime import box_key
    from runtime.engine_store import EngineStore
    from runtime.errors import BackendError

    if not box_key.is_there(root):
        raise BackendError(f"no engine store at {root}", "make one with `ulna engines build`")
    return EngineStore(root)


def _open(bundle: Path, trust: list[Path] | None) -> Bundle:
    from runtime.reference import open_named

    return open_named(bundle, trust)
