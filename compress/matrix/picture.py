"""AUROC against latency, an engine a panel: a model's float and eight-bit points, joined by a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compress.matrix.record import Cell, MatrixRecord, Row
from compress.report import figures
from compress.targets import TARGETS

_PANEL_INCHES = (6.4, 5.6)
_LEGEND_INCHES = 2.2
_DOTS_PER_INCH = 120
_MARKERS = "osD^vPX<>*hp"
_COLOURS = 10


def draw(record: MatrixRecord, path: Path) -> None:
    """Write a PNG, whole or not at all. Engines that could not be timed here have no panel."""
    # matplotlib takes a second to import, and pyplot would look for a display.
    from matplotlib.figure import Figure

    engines = _timed_engines(record)
    width, height = _PANEL_INCHES
    figure = Figure(
        (width * max(1, len(engines)) + _LEGEND_INCHES, height), _DOTS_PER_INCH, layout="constrained"
    )
    panels = figure.subplots(1, max(1, len(engines)), squeeze=False, sharex=True, sharey=True)[0]
    for axes, engine in zip(panels, engines, strict=False):
        for number, row in enumerate(record.rows):
            _draw_model(axes, row, engine, number)
        _label(axes, TARGETS[engine].title)
    panels[0].set_ylabel(f"AUROC, {_said_of_patients(record)}")
    figure.legend(*_legend(panels), loc="outside right upper", frameon=False)
    figure.suptitle("filled: FP32, hollow: INT8, joined where both run")
    beside = path.with_name(f"{path.name}.partial")
    figure.savefig(beside, format="png")
    beside.replace(path)


def _label(axes: Any, title: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(title=title, xlabel="latency p50, ms, batch 1 (log scale)", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)


def _timed_engines(record: MatrixRecord) -> list[str]:
    found = (cell.engine for row in record.rows for cell in row.cells if _point(cell) is not None)
    return list(dict.fromkeys(found))


def _draw_model(axes: Any, row: Row, engine: str, number: int) -> None:
    colour, shape = f"C{number % _COLOURS}", _MARKERS[number % len(_MARKERS)]
    cells = [cell for cell in row.cells if cell.engine == engine and _point(cell) is not None]
    points = [point for cell in cells if (point := _point(cell)) is not None]
    if not points:
        return
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=1, alpha=0.7)
    for cell, point in zip(cells, points, strict=True):
        floating = cell.precision == "fp32"
        axes.plot(
            *point,
            marker=shape,
            markersize=8,
            color=colour,
            markerfacecolor=colour if floating else "white",
            linestyle="none",
            label=row.name if cell is cells[0] else None,
        )


def _point(cell: Cell) -> tuple[float, float] | None:
    auroc = figures.interval(cell.metrics, "auroc").value
    return None if auroc is None or "p50" not in cell.latency_ms else (cell.latency_ms["p50"], auroc)


def _legend(panels: Iterable[Any]) -> tuple[list[Any], list[str]]:
    """Each model once, though one may have no point in the first panel."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _said_of_patients(record: MatrixRecord) -> str:
    gate = record.data["splits"]["gate"]
    return f"{gate['images']} images of {gate['patients']} patients"
