"""What facts of the patient add to the picture: the same patients, with and without, and with them withheld.

`python -m benchmarks.metadata_fusion --recipe R --data DIR --work FOLDER --out benchmarks/results/NAME.json`

For each seed two networks are trained on the same fit patients in the same order: one looks at the picture
alone, the other is told the recipe's [metadata] too. Gate and test patients, whom neither has seen, are asked
of; the network with facts once with them and once with all of them withheld. A killed run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.results import Result, Row, save
from compress import auroc
from compress.checkpoint import open_checkpoint
from compress.datasets.base import Case
from compress.evaluate import nothing_known, predict
from compress.metadata import MetadataOptions, facts_of_case
from compress.metrics import measure
from compress.opening import spec_of
from compress.operating_points import choose_operating_points
from compress.predictions import Predictions
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe
from compress.step import run_step
from compress.trunk import train_body, train_plan
from compress.withheld import facts_alone
from compress.workbench import Workbench, open_workbench
from runtime.errors import RecipeError
from runtime.findings import OperatingPoints
from runtime.metadata import PatientFacts

_CONFIDENCE = 0.95
_Facts = Callable[[Case], PatientFacts]


def measure_fusion(
    recipe: Recipe, data: Path | None, work: Path, seeds: int, reporter: ProgressReporter
) -> Result:
    """Three rows of figures a seed, three of paired differences, and one for the facts without any picture.

    Raises RecipeError for a recipe without [metadata] fields, StepError as training and the data do.
    """
    if not recipe.metadata.fields:
        raise RecipeError("the recipe has no facts to measure", 'set [metadata] fields, for example ["age"]')
    bench = open_workbench(recipe, work, data, reporter)
    rows: list[Row] = []
    for seed in range(recipe.seed, recipe.seed + seeds):
        rows += _rows(bench, seed)
    spec = bench.metadata
    assert spec is not None
    alone = facts_alone(spec, bench.splits.fit, rows_of(bench))
    rows.append(_differences("facts without any picture", -1, None) | _figures(alone, None))
    settings = {"metadata": asdict(recipe.metadata), "seeds": seeds, "images": len(rows_of(bench))}
    return Result("metadata fusion", tuple(rows), settings, data=_named(bench))


def rows_of(bench: Workbench) -> tuple[Case, ...]:
    """The patients whom no training has seen."""
    return (*bench.splits.gate, *bench.splits.test)


def _rows(bench: Workbench, seed: int) -> Iterator[Row]:
    told = replace(bench.recipe, seed=seed)
    plain = replace(told, metadata=MetadataOptions())
    alone, own = _answers(replace(bench, recipe=plain), f"seed-{seed}-alone", facts_of_case)
    informed, points = _answers(replace(bench, recipe=told), f"seed-{seed}", facts_of_case)
    withheld, _ = _answers(replace(bench, recipe=told), f"seed-{seed}", nothing_known)
    for title, answers, at in (
        ("picture alone", alone, own),
        ("with facts", informed, points),
        ("facts withheld", withheld, points),
    ):
        yield _differences(title, seed, None) | _figures(answers, at)
    yield _differences("with facts, minus picture alone", seed, (alone, informed))
    yield _differences("facts withheld, minus picture alone", seed, (alone, withheld))
    yield _differences("facts withheld, minus with facts", seed, (informed, withheld))


def _answers(bench: Workbench, name: str, facts: _Facts) -> tuple[Predictions, OperatingPoints]:
    """On the unseen patients, and the points that the calibration patients choose as a run does."""
    trained = run_step(train_plan(bench), bench.steps / name, lambda to: train_body(bench, to)).artifact
    backend = open_checkpoint(trained.path)
    try:
        with bench.reporter.task(name) as advance:
            asked = predict(backend, spec_of(bench), bench.tensors, rows_of(bench), advance, facts)
            seen = predict(backend, spec_of(bench), bench.tensors, bench.splits.calibration)
    finally:
        backend.close()
    return asked, choose_operating_points(seen, bench.recipe.operating_points)


def _figures(answers: Predictions, points: OperatingPoints | None) -> Row:
    report = measure(answers, points or OperatingPoints(0.5, 0.5), _CONFIDENCE)
    figures = {"auroc": report.auroc}
    for name, point in report.points.items() if points else ():
        figures |= {f"sensitivity ({name})": point.sensitivity, f"specificity ({name})": point.specificity}
    cells: Row = {}
    for name, interval in figures.items():
        cells |= {name: interval.value, f"{name} 95%": [interval.low, interval.high]}
    return cells


def _differences(title: str, seed: int, pair: tuple[Predictions, Predictions] | None) -> Row:
    """The row's name; of a pair also what the second's AUROC is above the first's, on the same patients."""
    row: Row = {"what": title, "seed": seed if seed >= 0 else ""}
    if pair is None:
        return row
    change, width = auroc.difference(*pair, _CONFIDENCE)
    return row | {
        "auroc difference": change,
        "auroc difference, one-sided 95%": [change - width, change + width],
    }


def _named(bench: Workbench) -> dict[str, str]:
    return {"name": bench.dataset.name, "digest": bench.dataset.digest}


def main(
    recipe: Annotated[str, typer.Option(help="A recipe with [metadata] fields.")],
    work: Annotated[Path, typer.Option(help="Folder for tensors and networks.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    data: Annotated[Path | None, typer.Option(help="Data set; without it, synthetic radiographs.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Pairs of networks to train.")] = 1,
) -> None:
    """Train with and without facts of the patient, measure both on the same patients and write it down."""
    reporter = ProgressReporter(Console())
    save(measure_fusion(load_recipe(recipe), data, work, seeds, reporter), out)


if __name__ == "__main__":
    typer.run(main)
