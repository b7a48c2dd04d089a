"""The deploy matrix as a table, with the comparison of all models: for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from compress.matrix import comparison
from compress.matrix.comparison import plain_table
from compress.matrix.reasons import Reasons, column_title
from compress.matrix.record import Cell, MatrixRecord, Row
from compress.report import figures
from compress.report.figures import DASH, interval_text, signed_text

_DAGGER, _SLOW = "\N{DAGGER}", "\N{DOUBLE DAGGER}"
_MATRIX_COLUMNS = (
    *("model", "engine", "precision", "compiles", "largest logit difference", "size", "p50 ms"),
    *("AUROC before", "AUROC after", "change", "gate"),
)


def to_markdown(record: MatrixRecord) -> str:
    """Both tables with their legends and the reasons of empty cells."""
    reasons = Reasons(record)
    parts = [
        f"# Deploy matrix: {record.data.get('name', 'unknown data')}",
        _said_of_data(record),
        markdown_table(
            _MATRIX_COLUMNS, [line for row in record.rows for line in _matrix_lines(row, reasons)], 4
        ),
        _legend(record),
        *(["Not there, and why:", "\n".join(reasons.lines())] if reasons.lines() else []),
        "# All models on the same patients",
        markdown_table(*comparison.lines(record, reasons), 2),
        comparison.legend(record),
    ]
    return "\n\n".join(parts) + "\n"


def terminal_tables(record: MatrixRecord) -> Iterable[RenderableType]:
    """The same, short."""
    reasons = Reasons(record)
    yield escape(_said_of_data(record))
    yield _matrix_table(record, reasons)
    yield from (escape(line) for line in reasons.lines())
    yield comparison.table(record, reasons)


def _matrix_lines(row: Row, reasons: Reasons) -> Iterable[Sequence[str]]:
    before = interval_text(figures.interval(row.metrics, "auroc"))
    for cell in row.cells:
        engine, precision = column_title(cell.engine, "").strip(), cell.precision.upper()
        if not cell.made:
            why = f"no: {reasons.number(cell.reason)}"
            yield (row.name, engine, precision, why, DASH, DASH, DASH, before, DASH, DASH, DASH)
            continue
        yield (
            row.name,
            engine,
            precision,
            "yes" + (f", {cell.note}" if cell.note else ""),
            _parity_text(cell),
            figures.size_text(cell.size_bytes),
            figures.ms_text(cell.latency_ms) + _slow_text(cell),
            before,
            interval_text(figures.interval(cell.metrics, "auroc")) + (_DAGGER if cell.numerics_from else ""),
            _change_text(cell),
            cell.outcome,
        )


def _matrix_table(record: MatrixRecord, reasons: Reasons) -> Table:
    """One row a model, one column an engine and precision."""
    table = plain_table("deploy matrix", _legend(record))
    for title in ("model", "before", *(column_title(*column) for column in record.columns)):
        table.add_column(title, justify="left" if title == "model" else "right", overflow="fold")
    for row in record.rows:
        auroc = figures.stacked_text(figures.interval(row.metrics, "auroc"))
        before = f"{auroc}\n{figures.ms_text(row.latency_ms)} ms"
        table.add_row(escape(row.name), before, *(_cell_text(cell, reasons) for cell in row.cells))
    return table


def _cell_text(cell: Cell, reasons: Reasons) -> str:
    if not cell.made:
        return f"[red]no: {reasons.number(cell.reason)}[/red]"
    auroc = figures.value_text(figures.interval(cell.metrics, "auroc"))
    mark = _DAGGER if cell.numerics_from else ""
    colour = "red" if cell.outcome == "fail" else "default"
    lines = (
        f"[{colour}]{auroc}{mark}[/{colour}]",
        f"{figures.ms_text(cell.latency_ms)} ms{' ' + _SLOW if cell.slower else ''}",
        figures.size_text(cell.size_bytes),
    )
    return "\n".join(lines)


def _slow_text(cell: Cell) -> str:
    """The mark with the ratio and its interval, "" for what is faster or was not timed beside float."""
    if not cell.slower:
        return ""
    ratio, low, high = (cell.speed[name] for name in ("ratio", "low", "high"))
    return f"{_SLOW} {ratio:.2f} [{low:.2f}, {high:.2f}]"


def _parity_text(cell: Cell) -> str:
    worst = cell.parity.get("worst")
    if worst is None:
        return DASH
    return f"{worst:.2g}" + (" (fail)" if cell.parity.get("outcome") == "fail" else "")


def _change_text(cell: Cell) -> str:
    change = cell.auroc_change
    if change.get("difference") is None:
        return DASH
    low, high = (signed_text(change[name]) for name in ("lower_bound", "upper_bound"))
    return f"{signed_text(change['difference'])} [{low}, {high}]"


def _said_of_data(record: MatrixRecord) -> str:
    gate = record.data["splits"]["gate"]
    size_px = record.recipe["preprocess"]["size_px"]
    return (
        f"{gate['images']} images of {gate['patients']} patients that no model has learned from, "
        f"{gate['fractured']} fractured, at {size_px} px; {record.machine.get('cpu', 'unknown processor')}, "
        f"{record.machine.get('usable_cores', '?')} cores."
    )


def _legend(record: MatrixRecord) -> str:
    words = [
        f"AUROC with {record.confidence:.0%} intervals that respect patients, change with one-sided "
        f"{record.confidence:.0%} bounds. Before: the checkpoint in torch, of a baseline its graph in ONNX "
        "Runtime. Gate: whether the recipe's margins are shown to hold. Latency at batch 1 on this machine."
    ]
    stood_in = {cell.numerics_from for row in record.rows for cell in row.cells if cell.numerics_from}
    if stood_in:
        words.append(
            f"{_DAGGER} The engine itself cannot run here; what was run: {'; '.join(sorted(stood_in))}."
        )
    if any(cell.slower for row in record.rows for cell in row.cells):
        words.append(
            f"{_SLOW} Not shown to be faster than FP32 on the same engine, both timed in turns: a run would "
            "not ship it. The ratio of the times, with its 95% interval."
        )
    return " ".join(words)


def markdown_table(columns: Sequence[str], lines: Iterable[Sequence[str]], words: int) -> str:
    """words: so many leading columns are aligned to the left."""
    rule = ["---"] * words + ["---:"] * (len(columns) - words)
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (columns, *lines)]
    return "\n".join([rows[0], "| " + " | ".join(rule) + " |", *rows[1:]])
