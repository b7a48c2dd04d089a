"""The suite's result for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from compress.faults.outcome import CAUGHT, NOT_PUT_IN, Outcome
from compress.faults.suite import SuiteResult

_COLOURS = {CAUGHT: "green", NOT_PUT_IN: "yellow"}


def suite_tables(result: SuiteResult) -> Iterator[RenderableType]:
    """The faults, the clean runs, and one sentence."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("fault", "", "caught by", "at step"):
        table.add_column(name, overflow="fold")
    for outcome in result.faults:
        colour = _COLOURS.get(outcome.status, "red")
        status = f"[{colour}]{outcome.status}[/{colour}]"
        for number, row in enumerate(_rows(outcome)):
            table.add_row(*(("", "", *row) if number else (escape(outcome.title), status, *row)))
    yield table
    for outcome in result.clean:
        found = "; ".join(f"{catch.step}: {catch.by}" for catch in outcome.catches) or "nothing stopped"
        yield escape(f"{outcome.title}: {outcome.status} ({found})")
    yield _sentence(result)


def _rows(outcome: Outcome) -> list[tuple[str, str]]:
    if not outcome.catches:
        return [(escape(outcome.reason or "nothing"), "")]
    return [(escape(catch.by), escape(catch.step)) for catch in outcome.catches]


def _sentence(result: SuiteResult) -> str:
    put_in = [outcome for outcome in result.faults if outcome.status != NOT_PUT_IN]
    caught = sum(outcome.status == CAUGHT for outcome in put_in)
    alarms = sum(outcome.wrong for outcome in result.clean)
    return (
        f"{caught} of {len(put_in)} faults are caught; {alarms} of {len(result.clean)} runs without a fault "
        "were stopped"
    )
