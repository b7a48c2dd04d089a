"""What gate patients can show, for people: a table, and a few lines before a run begins."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from compress.power import MOST_PATIENTS, FigurePower, Need, Power

_COLUMNS = (
    "figure",
    "patients",
    "images",
    "margin",
    "at best",
    "typically",
    "needed at best",
    "needed typically",
)
_ENOUGH = "enough"


def power_tables(found: Power) -> Iterator[RenderableType]:
    """The table, what another margin would need, and the conclusion."""
    yield _table(found)
    yield escape(need_text(found.need_at_best, "when two models agree on every case"))
    yield escape(need_text(found.need, "typically"))
    yield _conclusion(found)


def power_lines(found: Power) -> Iterator[str]:
    """For the log of a run, with markup; what cannot be shown at all is red."""
    yield "[bold]what the gate patients can show[/bold]"
    for item in found.figures:
        words = (
            f"  {item.title}: margin {item.margin:.3g}; a loss of {item.best:.3g} can be ruled out at best"
        )
        yield _coloured(item, escape(f"{words}, typically {item.typical:.3g}"))
    yield f"  {_conclusion(found)}"


def need_text(need: Need, when: str) -> str:
    """How many patients of either kind that margin needs, and how many more these are than there are."""
    sides = (
        _side("with a fracture", need.fractured, need.more_fractured),
        _side("without a fracture", need.healthy, need.more_healthy),
    )
    return f"A margin of {need.margin:g} in every figure needs, {when}: {'; '.join(sides)}."


def _side(who: str, number: int | None, more: int | None) -> str:
    if more == 0:
        return f"patients {who}: those who are here are enough"
    added = "" if more is None else f", {more:,} more than are here"
    return f"patients {who}: {_number(number)}{added}"


def _table(found: Power) -> Table:
    given = found.assumptions
    table = Table(
        title="smallest loss that the gate patients can rule out",
        title_justify="left",
        caption=(
            f"typically: {100 * given.changed:g}% of the decisions change, scores correlate by "
            f"{given.agreement:g}, power {given.power:.0%}; confidence {given.confidence:.0%}"
        ),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, justify="right" if index else "left")
    for item in found.figures:
        counts = (str(item.patients), str(item.images))
        losses = (f"{value:.3g}" for value in (item.margin, item.best, item.typical))
        needs = (_number(item.needed_at_best), _ENOUGH if item.likely else _number(item.needed))
        table.add_row(_coloured(item, item.title), *counts, *losses, *needs)
    return table


def _conclusion(found: Power) -> str:
    return _coloured(_worst(found), escape(found.conclusion))


def _worst(found: Power) -> FigurePower:
    return min(found.figures, key=lambda item: (item.possible, item.likely))


def _coloured(item: FigurePower, words: str) -> str:
    if item.likely and item.possible:
        return words
    colour = "yellow" if item.possible else "red"
    return f"[{colour}]{words}[/{colour}]"


def _number(value: int | None) -> str:
    return f"more than {MOST_PATIENTS:,}" if value is None else f"{value:,}"
