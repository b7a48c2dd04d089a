"""The report's pictures: gate forest, ROC curves, cost against quality, training curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from compress.record import NodeRecord, RunRecord
from compress.report import figures
from compress.report.figures import MINUS
from compress.report.svg import Scale, clipped, element, frame, line, marker, picture, polyline, text

_OUTCOME_SHAPES = {"pass": "circle", "inconclusive": "triangle", "fail": "square"}
_ENGINE_SHAPES = {"": "circle", "onnxruntime": "square", "openvino": "triangle"}
_DRAWN = ("auroc", "sensitivity", "specificity")
_ROW_PX = 22
_SIDE_PX = 400
_BAR_ROW_PX = 42


@dataclass(frozen=True)
class Series:
    """One model in a picture: its name and the class that colours and shapes it."""

    node: NodeRecord
    class_: str
    shape: str


@dataclass(frozen=True)
class ForestPanel:
    """All gate checks of one figure."""

    title: str
    drawing: Markup


@dataclass(frozen=True)
class _Area:
    left_px: float
    right_px: float


@dataclass(frozen=True)
class _Row:
    name: str
    check: dict[str, Any]


def series(nodes: Sequence[NodeRecord]) -> tuple[Series, ...]:
    """Colour by engine, brightness by precision; the original checkpoint stands out."""
    found = []
    for node in nodes:
        group = "origin" if not node.parent else node.engine.split("_")[0] or "torch"
        shape = _ENGINE_SHAPES.get(node.engine, "diamond")
        weak = "" if node.precision in ("", "int8") else " hollow"
        found.append(Series(node, f"s-{group}{weak}", shape))
    return tuple(found)


def forest(nodes: Sequence[NodeRecord]) -> tuple[ForestPanel, ...]:
    """One panel a figure, one row a step: the difference with its bounds, against minus the margin."""
    rows: dict[str, list[_Row]] = {}
    for node in nodes:
        for check in node.verdict.get("checks", ()):
            measured = check.get("difference") is not None and check.get("point") != "floor"
            whole = not check.get("body_part") and not check.get("view")
            if measured and whole and check["metric"] in _DRAWN:
                rows.setdefault(str(check.get("title", check["metric"])), []).append(_Row(node.name, check))
    return tuple(ForestPanel(title, _forest(title, own)) for title, own in rows.items())


def roc(nodes: Sequence[NodeRecord], points: dict[str, float]) -> Markup | None:
    """ROC curves on the gate patients, with the checkpoint at its two operating points.

    Good curves crowd into the upper left corner, so the picture then shows only that.
    """
    drawn = [item for item in series(nodes) if item.node.roc.get("fpr")]
    if not drawn:
        return None
    side = roc_side([figures.interval(item.node.metrics, "auroc").value or 0.0 for item in drawn])
    x, y = Scale(0, side, 44, _SIDE_PX - 12), Scale(1 - side, 1, _SIDE_PX - 40, 12)
    curves = []
    # The original last, so that it stays visible where curves coincide.
    for item in sorted(drawn, key=lambda item: not item.node.parent):
        curve = zip(item.node.roc["fpr"], item.node.roc["tpr"], strict=True)
        path = [(x.unbounded(fpr), y.unbounded(tpr)) for fpr, tpr in curve]
        curves.append(polyline(path, f"curve {item.class_}"))
    diagonal = line(x.unbounded(0), y.unbounded(0), x.unbounded(1), y.unbounded(1), "chance")
    parts = [frame(x, y, f"1 {MINUS} specificity", "sensitivity"), clipped(x, y, diagonal, *curves)]
    origin = next((item.node for item in drawn if not item.node.parent), None)
    for name in points if origin is not None else ():
        parts += _roc_point(origin.metrics if origin else {}, name, x, y)
    return picture(_SIDE_PX, _SIDE_PX, "ROC curves on the gate patients", *parts)


def roc_side(aurocs: Sequence[float]) -> float:
    """How much of either axis is shown."""
    middle = sorted(aurocs)[len(aurocs) // 2]
    return 0.3 if middle > 0.97 else 0.5 if middle > 0.9 else 1.0


def cost(nodes: Sequence[NodeRecord]) -> Markup | None:
    """Median latency against AUROC with its interval; the area of a mark is the file's size."""
    # The pruned network before fine-tuning never ships, and would flatten everything else.
    drawn = [item for item in series(nodes) if item.node.kind != "prune" and _is_timed(item.node)]
    if not drawn:
        return None
    aurocs = [figures.interval(item.node.metrics, "auroc") for item in drawn]
    low = max(0.0, min(a.low for a in aurocs if a.low is not None) - 0.02)
    high = min(1.0, max(a.high for a in aurocs if a.high is not None) + 0.02)
    times = [item.node.latency_ms["p50"] for item in drawn]
    x = Scale(min(times) / 1.6, max(times) * 1.6, 52, _SIDE_PX - 12, logarithmic=True)
    y = Scale(low, high, _SIDE_PX - 40, 12)
    largest = max(item.node.size_bytes for item in drawn) or 1
    parts = [frame(x, y, "median latency, ms (batch 1, log scale)", "AUROC")]
    for item, auroc in sorted(zip(drawn, aurocs, strict=True), key=lambda pair: -pair[0].node.size_bytes):
        assert auroc.value is not None
        assert auroc.low is not None
        assert auroc.high is not None
        at = x(item.node.latency_ms["p50"])
        radius = 3.5 + 9 * (item.node.size_bytes / largest) ** 0.5
        hint = f"{item.node.name}: {item.node.latency_ms['p50']:.2f} ms, AUROC {auroc.value:.3f}"
        whisker = line(at, y(auroc.low), at, y(auroc.high), f"whisker {item.class_}")
        mark = marker(item.shape, at, y(auroc.value), radius, f"mark {item.class_}")
        parts.append(element("g", element("title", hint), whisker, mark))
    return picture(_SIDE_PX, _SIDE_PX, "Latency against AUROC; the area of a mark is its file size", *parts)


def bars(nodes: Sequence[NodeRecord]) -> Markup | None:
    """Median latency, with a whisker to the 99th percentile, and size: the original and every engine."""
    drawn = [item for item in series(nodes) if item.node.size_bytes and _has_bar(item.node)]
    if not drawn:
        return None
    slowest = max(item.node.latency_ms.get("p99", 0.0) for item in drawn)
    time = Scale(0, slowest or 1.0, 4, _SIDE_PX / 2 - 50)
    size = Scale(0, max(item.node.size_bytes for item in drawn), _SIDE_PX / 2 + 4, _SIDE_PX - 58)
    parts = [text(4, 14, "p50 and p99, ms", "tick"), text(size.start_px, 14, "size", "tick")]
    parts += [_bar_row(item, time, size, 20 + _BAR_ROW_PX * index) for index, item in enumerate(drawn)]
    height = 24 + _BAR_ROW_PX * len(drawn)
    return picture(_SIDE_PX, height, "Median latency and size by engine", *parts)


def _has_bar(node: NodeRecord) -> bool:
    return not node.parent or node.kind == "compile"


def _bar_row(item: Series, time: Scale, size: Scale, top: float) -> Markup:
    node, y = item.node, top + 20
    words = figures.size_text(node.size_bytes)
    parts = [
        element("title", f"{node.name}: {figures.ms_text(node.latency_ms)} ms, {words}"),
        text(4, top + 14, node.name, "label"),
        _bar(size, node.size_bytes, y, item.class_),
        text(size(node.size_bytes) + 5, y + 11, words, "tick"),
    ]
    p50, p99 = node.latency_ms.get("p50"), node.latency_ms.get("p99", 0.0)
    if p50 is None:
        return element("g", *parts, text(4, y + 11, "not timed here", "tick"))
    end = max(time(p50), time(p99))
    whisker = line(time(p50), y + 6, end, y + 6, f"whisker {item.class_}")
    value = text(end + 5, y + 11, figures.ms_text(node.latency_ms), "tick")
    return element("g", *parts, _bar(time, p50, y, item.class_), whisker, value)


def _bar(scale: Scale, value: float, y: float, class_: str) -> Markup:
    width = max(scale(value) - scale.start_px, 0.5)
    return element("rect", x=scale.start_px, y=y, width=width, height=12, class_=f"mark {class_}")


def training(record: RunRecord) -> Markup | None:
    """Losses and calibration AUROC by epoch, one column a phase."""
    phases = {name: table for name, table in record.history.items() if table.get("loss")}
    if not phases:
        return None
    panel_px = max(200, _SIDE_PX / len(phases))
    parts = []
    for index, (name, table) in enumerate(phases.items()):
        left = index * panel_px
        area = _Area(left + 42, left + panel_px - 10)
        parts.append(text(left + 42, 14, name, "label strong"))
        losses = [*table["loss"], *table.get("calibration_loss", ())]
        y = Scale(0.0, max(*losses, 1e-6) * 1.05, 186, 26)
        parts.append(_epochs(table, {"loss": "torch", "calibration_loss": "onnxruntime"}, area, y))
        aurocs = table.get("calibration_auroc", ())
        y = Scale(min(0.5, *aurocs, 0.5), 1.0, 376, 226)
        parts.append(_epochs(table, {"calibration_auroc": "onnxruntime"}, area, y))
    return picture(panel_px * len(phases), _SIDE_PX, "Training curves", *parts)


def _forest(title: str, rows: list[_Row]) -> Markup:
    low, high = _forest_range(rows)
    name_px = 8 + 6.6 * max(len(row.name) for row in rows)
    width, bottom = 400, 18 + _ROW_PX * len(rows)
    x = Scale(low, high, name_px + 8, width - 14)
    parts = [line(x(0), 8, x(0), bottom, "zero")]
    for tick in x.ticks(6):
        parts.append(line(x(tick), bottom, x(tick), bottom + 4, "axis"))
        parts.append(text(x(tick), bottom + 17, _points_text(tick), "tick", "middle"))
    for index, row in enumerate(rows):
        parts.append(_forest_row(row, x, 18 + _ROW_PX * index))
    parts.append(
        text(width - 14, bottom + 33, "difference from the original checkpoint, points", "tick", "end")
    )
    return picture(width, bottom + 40, f"{title}: difference from the original checkpoint by step", *parts)


def _forest_range(rows: list[_Row]) -> tuple[float, float]:
    """Wide enough for the usual margins; bounds of a wild step are cut, with an arrow."""
    margins = sorted(row.check["margin"] for row in rows)
    usual = max(margins[len(margins) // 2], 0.01)
    lowest = min(row.check["lower_bound"] for row in rows)
    highest = max(row.check["upper_bound"] for row in rows)
    return max(min(lowest * 1.1, -1.4 * usual), -5 * usual), min(max(highest * 1.1, usual), 3 * usual)


def _forest_row(row: _Row, x: Scale, y: float) -> Markup:
    check, outcome = row.check, str(row.check["outcome"])
    margin, lower, upper = -check["margin"], check["lower_bound"], check["upper_bound"]
    parts = [
        element("title", f"{row.name}: {figures.signed_text(check['difference'])} ({outcome})"),
        text(4, y + 4, row.name, "label"),
        line(x(lower), y, x(upper), y, f"bound o-{outcome}"),
        line(x(lower), y - 4, x(lower), y + 4, f"bound o-{outcome}"),
        marker(_OUTCOME_SHAPES[outcome], x(check["difference"]), y, 4, f"o-{outcome}"),
    ]
    if margin >= x.low:
        parts.append(line(x(margin), y - 9, x(margin), y + 9, "margin"))
    else:
        parts.append(text(x.start_px + 2, y - 8, f"◂ margin {_points_text(margin)}", "tick"))
    if lower < x.low:
        parts.append(marker("triangle", x.start_px, y, 3, f"o-{outcome}"))
    return element("g", *parts)


def _points_text(share: float) -> str:
    """A share as percentage points."""
    return f"{share * 100:+.3g}".replace("-", MINUS) if share else "0"


def _roc_point(metrics: dict[str, Any], name: str, x: Scale, y: Scale) -> list[Markup]:
    sensitivity = figures.at_point(metrics, name, "sensitivity").value
    specificity = figures.at_point(metrics, name, "specificity").value
    if sensitivity is None or specificity is None:
        return []
    at = x(1 - specificity), y(sensitivity)
    # The two lie close together on a good curve; their names must not.
    drop_px = 14 if name == "high_sensitivity" else 30
    words = text(at[0] + 9, at[1] + drop_px, figures.POINTS.get(name, name), "label halo")
    return [marker("circle", *at, 4.5, "point"), words]


def _is_timed(node: NodeRecord) -> bool:
    auroc = figures.interval(node.metrics, "auroc")
    return node.latency_ms.get("p50", 0) > 0 and auroc.value is not None and auroc.low is not None


def _epochs(table: dict[str, Any], curves: dict[str, str], area: _Area, y: Scale) -> Markup:
    """Curves by epoch in a frame of their own; `curves` names each and its colour."""
    x = Scale(1, max(len(table["loss"]), 2), area.left_px, area.right_px)
    parts = [line(x.start_px, y.start_px, x.end_px, y.start_px, "axis")]
    for tick in y.ticks(4):
        parts.append(line(x.start_px, y(tick), x.end_px, y(tick), "grid"))
        parts.append(text(x.start_px - 6, y(tick) + 4, f"{tick:g}", "tick", "end"))
    for tick in x.ticks(5):
        if tick == int(tick):
            parts.append(text(x(tick), y.start_px + 14, f"{tick:g}", "tick", "middle"))
    for name, colour in curves.items():
        curve = [(x(epoch), y(value)) for epoch, value in enumerate(table.get(name, ()), 1)]
        parts.append(polyline(curve, f"curve s-{colour}"))
    if table.get("kept_epoch"):
        best = x(table["kept_epoch"])
        parts.append(line(best, y.start_px, best, y.end_px, "margin soft"))
    parts.append(text(x.start_px + 4, y.end_px + 4, "loss" if "loss" in curves else "AUROC", "tick halo"))
    return element("g", *parts)
