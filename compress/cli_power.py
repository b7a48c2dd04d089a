"""The verb `power`: what gate patients can show, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compress.datasets.base import Case
    from compress.power import Assumptions, Power
    from compress.recipe import Recipe

_LOG_WIDTH = 120
_NUMBERS = "--fractured, --healthy and --patients"


def power(  # noqa: PLR0913, PLR0917  (one parameter an option)
    recipe: Annotated[
        str, typer.Option("--recipe", help="whose margins, confidence and division of the data")
    ] = "demo",
    data: Annotated[
        Path | None, typer.Option("--data", help="folder of the dataset; no image is decoded")
    ] = None,
    fractured: Annotated[int | None, typer.Option("--fractured", help="fractured gate images")] = None,
    healthy: Annotated[int | None, typer.Option("--healthy", help="healthy gate images")] = None,
    patients: Annotated[int | None, typer.Option("--patients", help="gate patients of these images")] = None,
    margin: Annotated[
        float, typer.Option("--margin", help="for which margin to say how many patients it needs")
    ] = 0.02,
    changed: Annotated[
        float, typer.Option("--changed", help="share of the decisions that typically change")
    ] = 0.02,
    agreement: Annotated[
        float, typer.Option("--agreement", help="typical correlation of the two models' scores")
    ] = 0.98,
    area: Annotated[float, typer.Option("--auroc", help="of the reference, as it is expected")] = 0.93,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Say which losses the gate patients can rule out, and how many patients a margin needs.

    From a dataset (--data), divided as the recipe says, or from numbers: --fractured, --healthy, --patients.
    """
    from compress.power import Assumptions
    from compress.recipe import load_recipe

    numbers = _numbers(data, (fractured, healthy, patients))
    plan = load_recipe(recipe)
    try:
        given = Assumptions(changed=changed, agreement=agreement, area=area)
        found = _of_data(plan, data, margin, given) if data else _of_numbers(plan, numbers, margin, given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        _print(found)


def _numbers(data: Path | None, numbers: tuple[int | None, ...]) -> tuple[int, ...]:
    given = tuple(number for number in numbers if number is not None)
    if (data is None) == (not given) or (data is None and len(given) < len(numbers)):
        raise typer.BadParameter(f"give either --data, or all of {_NUMBERS}")
    return given


def _of_numbers(plan: Recipe, numbers: tuple[int, ...], margin: float, given: Assumptions) -> Power:
    from compress.power import Layout, assuming
    from compress.power import power as work_out

    return work_out(Layout.of_numbers(*numbers), plan.gate.margins, margin, assuming(plan, given))


def _of_data(plan: Recipe, data: Path, margin: float, given: Assumptions) -> Power:
    from compress.power import power_of_cases

    return power_of_cases(_gate_cases(plan, data), plan, margin, given)


def _gate_cases(plan: Recipe, data: Path) -> tuple[Case, ...]:
    from rich.console import Console

    from compress.datasets.registry import open_dataset
    from compress.datasets.splits import split_by_patient, split_officially
    from compress.progress import ProgressReporter, spoken_warnings

    with spoken_warnings(ProgressReporter(Console(stderr=True)).say):
        dataset = open_dataset(data)
    divide = split_officially if plan.data.official else split_by_patient
    return divide(dataset.cases, plan.data.split, plan.data.split_seed, plan.data.stratify).gate


def _print(found: Power) -> None:
    from rich.console import Console

    from compress.power_tables import power_tables

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    for part in power_tables(found):
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))
