"""A matrix as tables: the deploy matrix and the comparison of all models, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from compress.intervals import Interval
from compress.matrix.reasons import Reasons, column_title
from compress.matrix.record import Cell, MatrixRecord, Row
from compress.report import figures
from compress.report.figures import DASH, interval_text, signed_text

_DAGGER = "\N{DAGGER}"
_LEAST_SHARE = 0.1
"""Of the gate images that a body part must hold to have a column."""
_MATRIX_COLUMNS = (
    *("model", "engine", "precision", "compiles", "largest logit difference", "size", "p50 ms"),
    *("AUROC before", "AUROC after", "change", "gate"),
)
_POINTS = {"high_sensitivity": "HS", "high_specificity": "HP"}


def to_markdown(record: MatrixRecord) -> str:
    """Both tables with their legends and the reasons of empty cells."""
    reasons = Reasons(record)
    parts = [
        f"# Deploy matrix: {record.data.get('name', 'unknown data')}",
        _said_of_data(record),
        _markdown(_MATRIX_COLUMNS, [line for row in record.rows for line in _matrix_lines(row, reasons)], 4),
        _legend(record),
        *(["Not there, and why:", "\n".join(reasons.lines())] if reasons.lines() else []),
        "# All models on the same patients",
        _markdown(
            _comparison_columns(record), [_comparison_line(record, row, reasons) for row in record.rows], 2
        ),
        _comparison_legend(record),
    ]
    return "\n\n".join(parts) + "\n"


def terminal_tables(record: MatrixRecord) -> Iterable[RenderableType]:
    """The same, short."""
    reasons = Reasons(record)
    yield escape(_said_of_data(record))
    yield _matrix_table(record, reasons)
    yield from (escape(line) for line in reasons.lines())
    yield _comparison_table(record, reasons)


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
            figures.ms_text(cell.latency_ms),
            before,
            interval_text(figures.interval(cell.metrics, "auroc")) + (_DAGGER if cell.numerics_from else ""),
            _change_text(cell),
            cell.outcome,
        )


def _matrix_table(record: MatrixRecord, reasons: Reasons) -> Table:
    """One row a model, one column an engine and precision."""
    table = _table("deploy matrix", _legend(record))
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
    colour = {"fail": "red"}.get(cell.outcome, "default")
    lines = (
        f"[{colour}]{auroc}{mark}[/{colour}]",
        f"{figures.ms_text(cell.latency_ms)} ms",
        figures.size_text(cell.size_bytes),
    )
    return "\n".join(lines)


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


def _comparison_columns(record: MatrixRecord) -> tuple[str, ...]:
    points = (f"{word} ({short})" for short in _POINTS.values() for word in ("sens.", "spec."))
    parts = (f"AUROC {part}" for part in _parts(record))
    return (
        *("model", "kind", "parameters", "MACs", "ONNX", "export differs by", "AUROC", "AP"),
        *points,
        *("place found", *parts, "p50 ms", "training min"),
    )


def _comparison_line(record: MatrixRecord, row: Row, reasons: Reasons) -> Sequence[str]:
    shares = (
        interval_text(figures.at_point(row.metrics, point, word), 2)
        for point in _POINTS
        for word in ("sensitivity", "specificity")
    )
    return (
        _name(row, reasons),
        row.kind,
        figures.count_text(row.parameters),
        figures.count_text(row.macs),
        figures.size_text(row.size_bytes),
        DASH if row.export_parity is None else f"{row.export_parity:.1g}",
        interval_text(figures.interval(row.metrics, "auroc")),
        interval_text(figures.interval(row.metrics, "average_precision")),
        *shares,
        interval_text(figures.interval(row.metrics, "localisation"), 2),
        *(interval_text(item, 2) for item in _by_part(record, row)),
        figures.ms_text(row.latency_ms),
        f"{row.train_seconds / 60:.1f}" if row.train_seconds else DASH,
    )


def _name(row: Row, reasons: Reasons) -> str:
    return f"{row.name} (no: {reasons.number(row.reason)})" if row.reason else row.name


def _comparison_table(record: MatrixRecord, reasons: Reasons) -> Table:
    table = _table("all models on the same patients, before any engine", _comparison_legend(record))
    titles = ("model", "MACs", "AUROC", "AP", "HS\nsens./spec.", "HP\nsens./spec.", "place\nfound")
    for title in (*titles, *(f"AUROC\n{part}" for part in _parts(record)), "p50 ms", "training\nmin"):
        table.add_column(escape(title), justify="left" if title == "model" else "right", overflow="fold")
    for row in record.rows:
        line = _comparison_line(record, row, reasons)
        overall = (figures.interval(row.metrics, name) for name in ("auroc", "average_precision"))
        place = figures.value_text(figures.interval(row.metrics, "localisation"), 2)
        parts = (figures.value_text(item) for item in _by_part(record, row))
        stacked = map(figures.stacked_text, overall)
        table.add_row(*(escape(line[0]), line[3], *stacked, *_pairs(row), place, *parts, line[-2], line[-1]))
    return table


def _pairs(row: Row) -> Iterable[str]:
    for point in _POINTS:
        found = (figures.at_point(row.metrics, point, word) for word in ("sensitivity", "specificity"))
        yield " / ".join(figures.value_text(item, 2) for item in found)


def _parts(record: MatrixRecord) -> list[str]:
    """Body parts with enough gate images for a column."""
    gate = record.data["splits"]["gate"]
    return [part for part, images in gate["body_parts"].items() if images >= _LEAST_SHARE * gate["images"]]


def _by_part(record: MatrixRecord, row: Row) -> list[Interval]:
    by_part = row.metrics.get("by_body_part", {})
    return [figures.interval(by_part, part, "auroc") for part in _parts(record)]


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
    words += [f"{_DAGGER} The engine itself cannot run here; what was run: {'; '.join(sorted(stood_in))}."]
    return " ".join(words if stood_in else words[:1])


def _comparison_legend(record: MatrixRecord) -> str:
    return (
        f"With {record.confidence:.0%} intervals. HS, HP: high-sensitivity and high-specificity point, "
        "locked on the calibration patients. Place found: share of the fractured images with a box whose "
        "evidence peaks in it. AP: average precision. Export differs by: the ONNX graph from what was "
        "trained, at most. Training min: on this machine, since its last start."
    )


def _markdown(columns: Sequence[str], lines: Iterable[Sequence[str]], words: int) -> str:
    """words: so many leading columns are aligned to the left."""
    rule = ["---"] * words + ["---:"] * (len(columns) - words)
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (columns, *lines)]
    return "\n".join([rows[0], "| " + " | ".join(rule) + " |", *rows[1:]])


def _table(title: str, legend: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption=escape(legend),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
