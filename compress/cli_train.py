"""The verb `train`: a checkpoint from radiographs, without pruning, compiling or a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compress.launch import require_one_process

if TYPE_CHECKING:
    from rich.console import Console

    from compress.metrics import MetricsReport

_LOG_WIDTH = 120


def train(  # noqa: PLR0913, PLR0917  (one parameter an option)
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="a shipped recipe's name, or a .toml file [default: demo; with --add the bundle's own]",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="a data set's folder; without it, synthetic data")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="folder [default: runs/RECIPE]")] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="a network.pt whose weights to begin with; with --add a bundle, or the run that made it",
        ),
    ] = None,
    add: Annotated[
        Path | None,
        typer.Option("--add", help="new confirmed cases, a data set's folder: improve the bundle of --from"),
    ] = None,
    teachers: Annotated[
        list[Path] | None,
        typer.Option("--teacher", help="a network.pt to follow (distill_weight); several: their mean"),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="with --add: private key that signs [default: as ulna run]")
    ] = None,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust", help="with --add: trusted public key, .pem or folder [default: this machine's]"
        ),
    ] = None,
) -> None:
    """Train as a recipe says, and nothing else; a killed training goes on where it was.

    Writes network.pt, history.json, curves.png and calibration.json. `ulna run` with the same recipe, data,
    folder, --from and --teacher goes on from the checkpoint. Several processes: torchrun --nproc-per-node 2
    -m runtime.main train …

    With --add a released bundle learns from new confirmed cases and those of --data that it was made from. It
    then goes through all of `ulna run`, and is released where it is shown to be no worse than before on the
    gate patients of before; how it differs on new ones is in the report.
    """
    plain = {"--key": key, "--trust": trust}
    improving = {"--teacher": teachers}
    _refuse_strays(add, start, plain if add is None else improving)
    if add is not None and start is not None:
        _improve(start, data, add, _Improvement(out, recipe, key, trust))
        return
    from rich.console import Console

    from compress.begin_with import BeginWith
    from compress.progress import ProgressReporter
    from compress.recipe import load_recipe
    from compress.train_alone import TrainRequest, train_alone
    from compress.training.processes import joined_processes

    plan = load_recipe(recipe or "demo")
    folder = out if out is not None else Path("runs") / plan.name
    request = TrainRequest(folder, data, BeginWith(start, tuple(teachers or ())))
    with joined_processes() as processes:
        console = Console(quiet=not processes.is_first)
        if not console.is_terminal:
            console = Console(width=_LOG_WIDTH, quiet=not processes.is_first)
        trained = train_alone(plan, request, ProgressReporter(console), processes)
        if trained is not None:
            history = trained.artifact.facts["history"]
            console.print(f"{folder}: epoch {history['kept_epoch']} of {len(history['loss'])} was kept")
            chosen = "thresholds" if plan.train.keep == "last" else "epoch and thresholds"
            _tell(console, trained.report, chosen)


@dataclass(frozen=True)
class _Improvement:
    """How an improvement is run, as the options say it."""

    out: Path | None
    recipe: str | None
    key: Path | None
    trust: list[Path] | None


def _refuse_strays(add: Path | None, start: Path | None, strays: Mapping[str, object]) -> None:
    """Options that the other kind of training has. Raises RecipeError."""
    from runtime.errors import RecipeError

    if add is not None and start is None:
        raise RecipeError("--add needs --from", "name the bundle that is to learn from the new cases")
    if add is None and start is not None and start.is_dir():
        raise RecipeError(
            f"{start} is a folder, --from expects a network.pt",
            "to go on from a bundle, name the new cases with --add",
        )
    given = [name for name, value in strays.items() if value]
    if given:
        raise RecipeError(
            f"{', '.join(given)} cannot be given {'without' if add is None else 'with'} --add",
            "leave it out",
        )


def _improve(start: Path, old: Path | None, new: Path, how: _Improvement) -> None:
    require_one_process("an improvement")
    from rich.console import Console

    from compress.improve.run import ImproveRequest, improve
    from compress.progress import ProgressReporter
    from compress.recipe import load_recipe
    from compress.signing import signing_key
    from runtime.trust import TrustStore

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    request = ImproveRequest(
        start=start,
        old=old,
        new=new,
        key=signing_key(how.key),
        folder=how.out,
        recipe=load_recipe(how.recipe) if how.recipe else None,
        trust=TrustStore.from_paths(*how.trust) if how.trust else None,
    )
    improve(request, ProgressReporter(console))


def _tell(console: Console, report: MetricsReport, chosen: str) -> None:
    """chosen: by the calibration images themselves."""
    from compress.evaluation_tables import show

    console.print(f"{report.images} calibration images, which chose {chosen}: the figures flatter it")
    console.print(f"  AUROC {show(report.auroc)}")
    for name, point in report.points.items():
        words = name.replace("_", " ")
        console.print(
            f"  {words}: sensitivity {show(point.sensitivity)}, specificity {show(point.specificity)}"
        )
