"""The verb `evaluate`: what a bundle makes of labelled radiographs, with intervals, on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compress.datasets.base import Dataset
    from compress.evaluate import EvaluateOptions, EvaluationResult
    from runtime.bundle import Bundle


def evaluate(  # noqa: PLR0913, PLR0917  (one parameter an option)
    data: Annotated[Path, typer.Option("--data", help="folder with labels.csv and the images it names")],
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="folder of the bundle [default: the reference model]")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", help="for example onnxruntime-int8 [default: what the self-test would use here]"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust", help="trusted public key, a .pem file or a folder of them [default: this machine's]"
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="threads an engine may use, 0 for all cores")
    ] = 0,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="measure on patients that the model was made with too")
    ] = False,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="tag (further column) whose values are shown apart; repeatable"),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            help="TAG=VALUE, for example hardware=1: the figures without these images as well; repeatable",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="folder for a page with plots and the worst errors as pictures"),
    ] = None,
) -> None:
    """Read every image the way a clinic would, from its file, and measure the answers.

    Patients that the model was trained, calibrated or gated on are left out. Refused images are counted
    apart. Intervals respect patients (column group or patient_id). Exit code 1 when no image gets an answer.
    """
    from rich.console import Console

    from compress.breakdown import Breakdown, parse_without
    from compress.evaluate import EvaluateOptions
    from compress.evaluation_tables import evaluation_tables
    from runtime.backends.base import BackendOptions
    from runtime.errors import StepError
    from runtime.reference import open_named

    opened = open_named(bundle, trust)
    options = EvaluateOptions(
        engine,
        BackendOptions(threads=threads),
        include_seen=include_seen,
        breakdown=Breakdown(tuple(by or ()), parse_without(without or ())),
    )
    page = None if report is None else _page(report)
    dataset = _open(data)
    result = _measure(opened, dataset, options)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        Console().print(*evaluation_tables(result), sep="\n")
    if page is not None:
        _write_page(page, result, opened, dataset, options)
    if not result.report.images:
        raise StepError(
            f"none of {len(result.refused)} images got an answer",
            "see the reasons; `ulna doctor` tests the engine",
        )


def _open(data: Path) -> Dataset:
    from rich.console import Console

    from compress.datasets.registry import open_dataset
    from compress.progress import ProgressReporter, spoken_warnings

    with spoken_warnings(ProgressReporter(Console(stderr=True)).say):
        return open_dataset(data)


def _measure(bundle: Bundle, dataset: Dataset, options: EvaluateOptions) -> EvaluationResult:
    from rich.console import Console

    from compress.evaluate import evaluate_bundle
    from compress.progress import ProgressReporter

    with ProgressReporter(Console(stderr=True)).task("radiographs") as advance:
        return evaluate_bundle(bundle, dataset, options, advance)


def _page(folder: Path) -> Path:
    """Where the page goes. Before anything is measured: what would stop it at the end is said at once."""
    from compress.report.evaluation import PAGE, require_libraries
    from runtime.errors import StepError

    require_libraries()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StepError(
            f"cannot make the folder {folder}: {error.strerror}", "choose another for --report"
        ) from error
    return folder / PAGE


def _write_page(
    page: Path, result: EvaluationResult, bundle: Bundle, dataset: Dataset, options: EvaluateOptions
) -> None:
    from rich.console import Console

    from compress.report.evaluation import write_evaluation
    from compress.report.gallery import worst_errors

    if result.report.images:
        write_evaluation(page, result, worst_errors(result, bundle, dataset, options.backend))
        Console(stderr=True).print(f"report: {page}", highlight=False, soft_wrap=True)
