"""The trials as a table, for the terminal and for search.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from compress.search.choice import Chosen, show
from compress.search.outcome import DONE, FIGURES, Outcome
from compress.search.plan import SearchPlan

_NOT_ASKED = ""


def line(outcome: Outcome) -> str:
    """One trial, as it ends."""
    figures = [FIGURES[name].text.format(value) for name, value in outcome.figures.items() if name in FIGURES]
    params = ", ".join(f"{key} = {show(value)}" for key, value in outcome.params.items())
    words = ", ".join(figures) if figures else outcome.reason
    return f"trial {outcome.number} {outcome.status}: {params}: {words}"


def terminal_table(
    plan: SearchPlan, outcomes: Sequence[Outcome], chosen: Chosen, verdicts: Mapping[int, dict[str, Any]]
) -> Table:
    """All trials; those that no other beats are bold, the chosen one has an arrow."""
    table = Table(title=f"search {escape(plan.name)}, figures of calibration patients")
    for title in _titles(plan):
        table.add_column(escape(title))
    for outcome in outcomes:
        cells = [escape(cell) for cell in _cells(plan, outcome, chosen, verdicts)]
        table.add_row(*cells, style="bold" if outcome.number in chosen.front else "")
    return table


def to_markdown(
    plan: SearchPlan, outcomes: Sequence[Outcome], chosen: Chosen, verdicts: Mapping[int, dict[str, Any]]
) -> str:
    """The choice in a sentence, where the figures are from, the table."""
    titles = _titles(plan)
    rows = [_cells(plan, outcome, chosen, verdicts) for outcome in outcomes]
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in (titles, ["---"] * len(titles), *rows)]
    words = [
        f"# Search {plan.name}",
        chosen.sentence,
        _NOTE,
        *_about_machines(outcomes),
        "![trials](search.png)",
    ]
    return "\n\n".join([*words, "\n".join(lines)]) + "\n"


_NOTE = (
    "Figures to choose by are those of the calibration patients. The gate has its own patients; it was asked "
    "for the trials that no other beats, after the choice, and chose nothing."
)


def _about_machines(outcomes: Sequence[Outcome]) -> list[str]:
    machines = sorted({outcome.machine for outcome in outcomes if outcome.machine})
    if len(machines) < 2:
        return [f"Latency on {machine}." for machine in machines]
    return [f"**Latencies are of different machines and cannot be compared: {', '.join(machines)}.**"]


def _titles(plan: SearchPlan) -> list[str]:
    figures = [FIGURES[name].title for name in _shown(plan)]
    return ["trial", *plan.space, *figures, "status", "seconds", "gate"]


def _cells(
    plan: SearchPlan, outcome: Outcome, chosen: Chosen, verdicts: Mapping[int, dict[str, Any]]
) -> list[str]:
    arrow = "→ " if outcome.number == chosen.number else ""
    params = [show(outcome.params.get(key, "")) for key in plan.space]
    figures = [f"{outcome.figures[name]:.3f}" if name in outcome.figures else "" for name in _shown(plan)]
    status = outcome.status if outcome.status == DONE else f"{outcome.status}: {outcome.reason}"
    gate = _gate(verdicts.get(outcome.number))
    return [f"{arrow}{outcome.number}", *params, *figures, status, f"{outcome.seconds:.0f}", gate]


def _shown(plan: SearchPlan) -> tuple[str, ...]:
    """The objectives, and what the choice looks at besides."""
    wanted = {*plan.options.objectives, "loss_bound" if plan.shares_reference else "auroc_bound"}
    return tuple(name for name in FIGURES if name in wanted)


def _gate(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return _NOT_ASKED
    return "pass" if verdict["passed"] else f"not passed: {verdict['reason']}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
