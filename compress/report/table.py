"""The run as one table: short on the terminal after a run, with every interval as Markdown for notes."""

from __future__ import annotations

from rich import box
from rich.markup import escape
from rich.table import Table

from compress.record import NodeRecord, RunRecord
from compress.report import figures
from compress.report.figures import at_point, interval_text, value_text

_COLUMNS = ("step", "verdict", "size", "MACs", "AUROC")
_MARKDOWN_COLUMNS = (*_COLUMNS, "sens. (HS)", "spec. (HS)", "sens. (HP)", "spec. (HP)", "p50 ms")
_TERMINAL_COLUMNS = (*_COLUMNS, "HS\nsens./spec.", "HP\nsens./spec.", "p50 ms")
_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "deferred": "cyan", "idle": "dim"}
_STAND_IN = "\N{DAGGER}"
_STAND_IN_LEGEND = "judged by its graph on the CPU, the engine itself cannot run here"
_LEGEND = "with {} intervals; HS, HP: high-sensitivity and high-specificity operating point"


def step_table(record: RunRecord) -> Table:
    """One row a node. On a narrow terminal cells fold; nothing is cut off."""
    table = Table(
        title=escape(f"{record.recipe.get('name', 'run')} on {record.data.get('name', 'unknown data')}"),
        title_justify="left",
        caption=_legend(record),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for index, column in enumerate(_TERMINAL_COLUMNS):
        table.add_column(column, overflow="fold", justify="left" if index < 2 else "right")
    for node in record.nodes:
        auroc = figures.stacked_text(figures.interval(node.metrics, "auroc"))
        pairs = (_pair(node, point) for point in figures.POINTS)
        cost = map(escape, _cost(record, node))
        table.add_row(
            escape(node.name), _verdict(node), *cost, auroc, *pairs, figures.ms_text(node.latency_ms)
        )
    return table


def to_markdown(record: RunRecord) -> str:
    """A GitHub table with a legend line under it."""
    rows = [_MARKDOWN_COLUMNS, ("---", "---", *["---:"] * (len(_MARKDOWN_COLUMNS) - 2))]
    for node in record.nodes:
        words = ", ".join(badge.word for badge in figures.badges(node))
        words += _STAND_IN if node.numerics_from else ""
        shares = (
            interval_text(at_point(node.metrics, point, figure), 2)
            for point in figures.POINTS
            for figure in ("sensitivity", "specificity")
        )
        auroc = interval_text(figures.interval(node.metrics, "auroc"))
        p50 = figures.ms_text(node.latency_ms)
        rows.append((node.name, words, *_cost(record, node), auroc, *shares, p50))
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", _legend(record), ""])


def _legend(record: RunRecord) -> str:
    said = _LEGEND.format(figures.confidence_text(record))
    stood_in = any(node.numerics_from for node in record.nodes)
    return f"{said}; {_STAND_IN}: {_STAND_IN_LEGEND}" if stood_in else said


def _verdict(node: NodeRecord) -> str:
    words = (f"[{_COLOURS[badge.kind]}]{escape(badge.word)}[/]" for badge in figures.badges(node))
    return " ".join(words) + (_STAND_IN if node.numerics_from else "")


def _cost(record: RunRecord, node: NodeRecord) -> tuple[str, str]:
    macs = figures.count_text(figures.cost_of(record, node, "macs"))
    return figures.size_text(node.size_bytes), macs


def _pair(node: NodeRecord, point: str) -> str:
    found = [at_point(node.metrics, point, figure) for figure in ("sensitivity", "specificity")]
    return figures.DASH if not node.metrics else " / ".join(value_text(figure, 2) for figure in found)
