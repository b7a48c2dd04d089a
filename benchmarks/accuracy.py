"""How well each engine of a bundle finds the fractures of a dataset, from the files to the findings.

`python -m benchmarks.accuracy --bundle B --data DIR --out benchmarks/results/NAME.json`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.results import Result, Row, bundle_facts, save
from compress.datasets.base import Dataset
from compress.datasets.registry import open_dataset
from compress.evaluate import EvaluateOptions, EvaluationResult, evaluate_bundle
from compress.intervals import Interval
from compress.metrics import PEAK_TITLE, PLACE_TITLES
from runtime.bundle import Bundle, open_bundle
from runtime.errors import BackendError


def measure_accuracy(bundle: Bundle, dataset: Dataset) -> Result:
    """One row an engine of the bundle, with 95% intervals; one that cannot run here says why."""
    rows = tuple(_row(bundle, dataset, entry.key) for entry in bundle.manifest.engines if entry.runs)
    data = {"name": dataset.name, "digest": dataset.digest}
    return Result("accuracy", rows, {"images": len(dataset.cases)}, bundle_facts(bundle), data)


def _row(bundle: Bundle, dataset: Dataset, key: str) -> Row:
    try:
        return {"engine": key, **_figures(evaluate_bundle(bundle, dataset, EvaluateOptions(engine=key)))}
    except BackendError as error:
        return {"engine": key, "not measured": str(error)}


def _figures(result: EvaluationResult) -> Row:
    report = result.report
    figures = {"auroc": report.auroc, "brier": report.brier, PEAK_TITLE: report.localisation}
    figures |= {title: getattr(report.places, name) for name, title in PLACE_TITLES.items()}
    for name, point in report.points.items():
        figures[f"sensitivity ({name})"] = point.sensitivity
        figures[f"specificity ({name})"] = point.specificity
    cells: Row = {}
    for name, interval in figures.items():
        cells |= {name: _value(interval), f"{name} 95%": _range(interval)}
    return cells | {"without an answer": len(result.refused)}


def _value(interval: Interval) -> float | str:
    return interval.reason if interval.value is None else interval.value


def _range(interval: Interval) -> list[float] | str:
    return [interval.low, interval.high] if interval.low is not None and interval.high is not None else ""


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle.")],
    data: Annotated[Path, typer.Option(help="Folder with labels.csv.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
) -> None:
    """Measure the accuracy of every engine and write it down."""
    save(measure_accuracy(open_bundle(bundle), open_dataset(data)), out)


if __name__ == "__main__":
    typer.run(main)
