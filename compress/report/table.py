"""The run as one table: on the terminal after a run, and as Markdown for notes."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.markup import escape
from rich.table import Table

from compress.intervals import Interval
from compress.record import NodeRecord, RunRecord
from compress.report import figures
from compress.report.figures import at_point

_COLUMNS = (
    "step",
    "verdict",
    "size",
    "MACs",
    "AUROC",
    "sens. (HS)",
    "spec. (HS)",
    "sens. (HP)",
    "spec. (HP)",
    "p50 ms",
)
_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "deferred": "cyan", "idle": "dim"}
_LEGEND = "with {} intervals; HS, HP: high-sensitivity and high-specificity operating point"


def step_table(record: RunRecord) -> Table:
    """One row a node, intervals under their figures."""
    table = Table(
        title=escape(f"{record.recipe.get('name', 'run')} on {record.data.get('name', 'unknown data')}"),
        title_justify="left",
        caption=_LEGEND.format(figures.confidence_text(record)),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, no_wrap=True, justify="left" if index < 2 else "right")
    for node in record.nodes:
        table.add_row(escape(node.name), _verdict(node), *_figures(record, node, figures.stacked_text))
    return table


def to_markdown(record: RunRecord) -> str:
    """The same as a GitHub table, with a legend line under it."""
    rows = [_COLUMNS, ("---", "---", *["---:"] * (len(_COLUMNS) - 2))]
    for node in record.nodes:
        words = ", ".join(badge.word for badge in figures.badges(node))
        rows.append((node.name, words, *_figures(record, node, figures.interval_text)))
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", _LEGEND.format(figures.confidence_text(record)), ""])


def _verdict(node: NodeRecord) -> str:
    words = (f"[{_COLOURS[badge.kind]}]{escape(badge.word)}[/]" for badge in figures.badges(node))
    return " ".join(words)


def _figures(record: RunRecord, node: NodeRecord, worded: Callable[[Interval, int], str]) -> tuple[str, ...]:
    metrics = node.metrics
    shares = (
        worded(at_point(metrics, point, figure), 2)
        for point in figures.POINTS
        for figure in ("sensitivity", "specificity")
    )
    return (
        figures.size_text(node.size_bytes),
        figures.count_text(figures.cost_of(record, node, "macs")),
        worded(figures.interval(metrics, "auroc"), 3),
        *shares,
        figures.ms_text(node.latency_ms),
    )
