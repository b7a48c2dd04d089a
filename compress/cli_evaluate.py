"""The verb `evaluate`: what a bundle makes of labelled radiographs, with intervals, on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compress.evaluate import EvaluateOptions, EvaluationResult
    from runtime.bundle import Bundle


def evaluate(  # noqa: PLR0913, PLR0917  (one parameter an option)
    bundle: Annotated[Path, typer.Option("--bundle", help="folder of the bundle")],
    data: Annotated[Path, typer.Option("--data", help="folder with labels.csv and the images it names")],
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
) -> None:
    """Read every image the way a clinic would, from its file, and measure the answers.

    Patients that the model was trained, calibrated or gated on are left out. Refused images are counted
    apart. Intervals respect patients (column group or patient_id). Exit code 1 when no image gets an answer.
    """
    from rich.console import Console

    from compress.evaluate import EvaluateOptions
    from compress.evaluation_tables import evaluation_tables
    from runtime.backends.base import BackendOptions
    from runtime.bundle import open_bundle
    from runtime.errors import StepError
    from runtime.trust import TrustStore

    opened = open_bundle(bundle, TrustStore.from_paths(*trust) if trust else None)
    options = EvaluateOptions(engine, BackendOptions(threads=threads), include_seen=include_seen)
    result = _measure(opened, data, options)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        Console().print(*evaluation_tables(result), sep="\n")
    if not result.report.images:
        raise StepError(
            f"none of {len(result.refused)} images got an answer",
            "see the reasons; `ulna doctor` tests the engine",
        )


def _measure(bundle: Bundle, data: Path, options: EvaluateOptions) -> EvaluationResult:
    from rich.console import Console

    from compress.datasets.registry import open_dataset
    from compress.evaluate import evaluate_bundle
    from compress.progress import ProgressReporter, spoken_warnings

    reporter = ProgressReporter(Console(stderr=True))
    with spoken_warnings(reporter.say):
        dataset = open_dataset(data)
    with reporter.task("radiographs") as advance:
        return evaluate_bundle(bundle, dataset, options, advance)
