"""All models beside each other on the same patients, before any engine has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from compress.intervals import Interval
from compress.matrix.reasons import Reasons
from compress.matrix.record import MatrixRecord, Row
from compress.report import figures
from compress.report.figures import DASH, interval_text

_LEAST_SHARE = 0.1
"""Of the gate images that a body part must hold to have a column."""
_POINTS = {"high_sensitivity": "HS", "high_specificity": "HP"}


def lines(record: MatrixRecord, reasons: Reasons) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Head and rows, with every interval."""
    return _columns(record), [_line(record, row, reasons) for row in record.rows]


def _columns(record: MatrixRecord) -> tuple[str, ...]:
    points = (f"{word} ({short})" for short in _POINTS.values() for word in ("sens.", "spec."))
    parts = (f"AUROC {part}" for part in _parts(record))
    return (
        *("model", "kind", "parameters", "MACs", "ONNX", "export differs by", "AUROC", "AP"),
        *points,
        *("peak in box", *parts, "p50 ms", "training min"),
    )


def _line(record: MatrixRecord, row: Row, reasons: Reasons) -> Sequence[str]:
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


def table(record: MatrixRecord, reasons: Reasons) -> Table:
    """Short, one row a model."""
    found = plain_table("all models on the same patients, before any engine", legend(record))
    titles = ("model", "MACs", "AUROC", "AP", "HS\nsens./spec.", "HP\nsens./spec.", "peak\nin box")
    for title in (*titles, *(f"AUROC\n{part}" for part in _parts(record)), "p50 ms", "training\nmin"):
        found.add_column(escape(title), justify="left" if title == "model" else "right", overflow="fold")
    for row in record.rows:
        line = _line(record, row, reasons)
        overall = (figures.interval(row.metrics, name) for name in ("auroc", "average_precision"))
        peak = figures.value_text(figures.interval(row.metrics, "localisation"), 2)
        parts = (figures.value_text(item) for item in _by_part(record, row))
        stacked = map(figures.stacked_text, overall)
        found.add_row(*(escape(line[0]), line[3], *stacked, *_pairs(row), peak, *parts, line[-2], line[-1]))
    return found


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


def legend(record: MatrixRecord) -> str:
    """What the words of the head mean."""
    return (
        f"With {record.confidence:.0%} intervals. HS, HP: high-sensitivity and high-specificity point, "
        "locked on the calibration patients. Peak in box: share of the fractured images with a box whose "
        "evidence peaks in it. AP: average precision. Export differs by: the ONNX graph from what was "
        "trained, at most. Training min: on this machine, since its last start."
    )


def plain_table(title: str, caption: str) -> Table:
    """An empty table with its title above and a legend below."""
    return Table(
        title=title,
        title_justify="left",
        caption=escape(caption),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
