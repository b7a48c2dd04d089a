"""Pictures of one evaluation: ROC, precision-recall, calibration, confusion, parts beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from compress import precision_recall
from compress.auroc import roc_curve
from compress.bootstrap import Band, precision_recall_band, roc_band
from compress.intervals import Interval, proportion
from compress.metrics import Confusion, MetricsReport, PointReport
from compress.predictions import Predictions
from compress.report import figures
from compress.report.figures import MINUS
from compress.report.plots import roc_side
from compress.report.svg import Scale, clipped, element, frame, line, marker, picture, polyline, text

_SIDE_PX = 400
_BINS = 10
_HISTOGRAM_BINS = 20
_ROW_PX = 24
_COLUMN_PX = 210
_POINT_SHAPES = {"high_sensitivity": "circle", "high_specificity": "diamond"}
_FOREST_COLUMNS = (
    ("AUROC", "", ("auroc",)),
    ("sensitivity", "high-sensitivity point", ("points", "high_sensitivity", "sensitivity")),
    ("specificity", "high-specificity point", ("points", "high_specificity", "specificity")),
)


@dataclass(frozen=True)
class Bin:
    """Images of similar probability: mean of what was said, and the share that is fractured."""

    said: float
    fractured: Interval


def roc(predictions: Predictions, report: MetricsReport) -> Markup | None:
    """The curve in its band; on a good curve only the upper left corner, which holds all there is to see."""
    found = roc_curve(predictions)
    if not found.fpr:
        return None
    side = roc_side([report.auroc.value or 0.0])
    x, y = Scale(0, side, 48, _SIDE_PX - 12), Scale(1 - side, 1, _SIDE_PX - 40, 12)
    curve = [(x.unbounded(fpr), y.unbounded(tpr)) for fpr, tpr in zip(found.fpr, found.tpr, strict=True)]
    inside = [
        _band(roc_band(predictions, report.confidence), x, y),
        line(x.unbounded(0), y.unbounded(0), x.unbounded(1), y.unbounded(1), "chance"),
        polyline(curve, "curve s-model"),
    ]
    parts = [frame(x, y, f"1 {MINUS} specificity", "sensitivity"), clipped(x, y, *inside)]
    for name, point in report.points.items():
        sensitivity, specificity = point.sensitivity.value, point.specificity.value
        if sensitivity is not None and specificity is not None:
            parts.append(_mark(name, x(1 - specificity), y(sensitivity)))
    return picture(_SIDE_PX, _SIDE_PX, f"ROC curve, AUROC {figures.interval_text(report.auroc)}", *parts)


def precision_against_recall(predictions: Predictions, report: MetricsReport) -> Markup | None:
    """The curve in its band, above the share of fractured images, which blind guessing would reach."""
    found = precision_recall.curve(predictions)
    if not found.recall:
        return None
    x, y = Scale(0, 1, 48, _SIDE_PX - 12), Scale(0, 1, _SIDE_PX - 40, 12)
    share = report.fractured / report.images
    curve = _steps(
        [(x(recall), y(value)) for recall, value in zip(found.recall, found.precision, strict=True)]
    )
    parts = [
        frame(x, y, "recall (sensitivity)", "precision"),
        _band(precision_recall_band(predictions, report.confidence), x, y),
        line(x(0), y(share), x(1), y(share), "chance"),
        text(x(0) + 6, y(share) - 6, f"share of fractured images {share:.2f}", "tick halo"),
        polyline(curve, "curve s-model"),
    ]
    for name, point in report.points.items():
        if point.sensitivity.value is not None and point.precision.value is not None:
            parts.append(_mark(name, x(point.sensitivity.value), y(point.precision.value)))
    title = f"Precision and recall, average precision {figures.interval_text(report.average_precision)}"
    return picture(_SIDE_PX, _SIDE_PX, title, *parts)


def calibration(predictions: Predictions, confidence: float) -> Markup | None:
    """Ten bins of equally many images above the counts of all probabilities."""
    found = bins(predictions, confidence)
    if not found:
        return None
    x, y = Scale(0, 1, 48, _SIDE_PX - 12), Scale(0, 1, 250, 12)
    parts = [frame(x, y, "", "share fractured"), line(x(0), y(0), x(1), y(1), "chance")]
    middle = [(x(item.said), y(item.fractured.value or 0.0)) for item in found]
    parts.append(polyline(middle, "curve s-model thin"))
    for item, at in zip(found, middle, strict=True):
        hint = (
            f"said {item.said:.3f}, fractured {figures.interval_text(item.fractured)} of {item.fractured.n}"
        )
        whisker = line(at[0], y(item.fractured.low or 0.0), at[0], y(item.fractured.high or 0.0), _WHISKER)
        parts.append(element("g", element("title", hint), whisker, marker("circle", *at, 4, "mark s-model")))
    parts.append(_histogram(predictions, x))
    return picture(_SIDE_PX, _SIDE_PX, "Calibration: probability said, against the share fractured", *parts)


def bins(predictions: Predictions, confidence: float) -> list[Bin]:
    """Images in the order of their probability, in up to ten equal parts."""
    if not len(predictions):
        return []
    chance, ill = predictions.probabilities, predictions.labels == 1
    order = np.argsort(chance, kind="stable")
    return [
        Bin(
            float(chance[part].mean()),
            proportion(ill[part], predictions.patient_ids[part], confidence),
        )
        for part in np.array_split(order, min(_BINS, len(order)))
    ]


def confusion(point: PointReport) -> Markup:
    """Two rows of truth, two columns of what was said; the darker, the larger the share of its row."""
    counts: Confusion = point.confusion
    rows = (("fractured", counts.tp, counts.fn), ("healthy", counts.fp, counts.tn))
    parts = [
        text(190, 16, "called positive", "label", "middle"),
        text(320, 16, "called negative", "label", "middle"),
    ]
    for row, (truth, positive, negative) in enumerate(rows):
        top = 28 + 76 * row
        parts.append(text(8, top + 40, truth, "label"))
        for column, count in enumerate((positive, negative)):
            share = count / (positive + negative) if positive + negative else 0.0
            right = (row == 0) == (column == 0)
            parts.append(_cell(125 + 130 * column, top, count, share, right))
    return picture(400, 188, "Confusion matrix", *parts)


def forest(groups: Sequence[tuple[str, MetricsReport]]) -> Markup:
    """One row a group of images with AUROC, sensitivity and specificity, each with its interval."""
    name_px = 16 + 7 * max(len(name) for name, _ in groups)
    bottom = 40 + _ROW_PX * len(groups)
    parts = []
    for row, (name, report) in enumerate(groups):
        y = 54 + _ROW_PX * row
        parts.append(text(4, y + 4, name, "label strong" if row == 0 else "label"))
        parts.append(text(name_px + 44, y + 4, f"{report.images}", "tick", "end"))
    parts.append(text(name_px + 44, 34, "images", "tick", "end"))
    tables = [report.to_json() for _, report in groups]
    for column, (title, point, path) in enumerate(_FOREST_COLUMNS):
        found = [figures.interval(table, *path) for table in tables]
        left = name_px + 60 + _COLUMN_PX * column
        parts += [text(left, 14, title, "label strong"), text(left, 29, point, "tick")]
        parts.append(_forest_column(found, left, bottom))
    width = name_px + 60 + _COLUMN_PX * len(_FOREST_COLUMNS)
    return picture(width, bottom + 34, "Figures by group of images", *parts)


_WHISKER = "whisker s-model"


def _forest_column(found: Sequence[Interval], left_px: float, bottom_px: float) -> Markup:
    lows = [item.low for item in found if item.low is not None]
    low = min(0.9, np.floor(10 * min(lows, default=0.5)) / 10)
    x = Scale(float(low), 1.0, left_px, left_px + _COLUMN_PX - 56)
    parts = []
    for tick in x.ticks(4):
        parts.append(line(x(tick), 40, x(tick), bottom_px, "grid"))
        parts.append(text(x(tick), bottom_px + 17, f"{tick:g}", "tick", "middle"))
    if found[0].value is not None:
        parts.append(line(x(found[0].value), 40, x(found[0].value), bottom_px, "chance"))
    for row, item in enumerate(found):
        parts.append(_forest_mark(item, x, 54 + _ROW_PX * row, row == 0))
    return element("g", *parts)


def _forest_mark(item: Interval, x: Scale, y: float, whole: bool) -> Markup:
    if item.value is None or item.low is None or item.high is None:
        return element("g", element("title", item.reason), text(x.start_px + 2, y + 4, figures.DASH, "tick"))
    shape = "diamond" if whole else "square"
    return element(
        "g",
        element("title", f"{figures.interval_text(item)} over {item.n} images"),
        line(x(item.low), y, x(item.high), y, _WHISKER),
        marker(shape, x(item.value), y, 4.5 if whole else 3.5, "mark s-model solid"),
        text(x.end_px + 8, y + 4, f"{item.value:.3f}", "tick"),
    )


def _band(band: Band, x: Scale, y: Scale) -> Markup:
    known = ~(np.isnan(band.low) | np.isnan(band.high))
    rising = zip(band.x[known], band.high[known], strict=True)
    falling = zip(band.x[known][::-1], band.low[known][::-1], strict=True)
    corners = [f"{x.unbounded(a):.1f},{y.unbounded(b):.1f}" for a, b in (*rising, *falling)]
    return element("polygon", points=" ".join(corners), class_="band s-model")


def _steps(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Between two thresholds precision is that of the next one: no straight line joins them."""
    drawn = points[:1]
    for before, after in pairwise(points):
        drawn += [(before[0], after[1]), after]
    return drawn


def _mark(name: str, x: float, y: float) -> Markup:
    return element(
        "g",
        element("title", figures.POINTS[name]),
        marker(_POINT_SHAPES[name], x, y, 5, "point"),
    )


def _histogram(predictions: Predictions, x: Scale) -> Markup:
    """Fractured images upwards, healthy ones downwards."""
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    counts = [_counts(predictions, label, edges) for label in (1, 0)]
    scale = 40 / max(1, int(np.max(counts)))
    middle, width = 338, (x.end_px - x.start_px) / _HISTOGRAM_BINS
    parts = [line(x.start_px, middle, x.end_px, middle, "axis")]
    for label, own in zip(("fractured", "healthy"), counts, strict=True):
        for index, count in enumerate(own.tolist()):
            height = count * scale
            top = middle - height if label == "fractured" else middle
            hint = f"{count} {label}, {edges[index]:.2f} to {edges[index + 1]:.2f}"
            bar = {"x": x.start_px + index * width + 1, "y": top, "width": width - 2, "height": height}
            parts.append(element("rect", element("title", hint), class_=f"bar {label}", **bar))
    parts.append(text(x.start_px, 292, f"fractured, up to {counts[0].max()} a bar", "tick halo"))
    parts.append(text(x.start_px, 386, f"healthy, up to {counts[1].max()} a bar", "tick halo"))
    parts.append(text(x.end_px, 396, "probability said", "label", "end"))
    return element("g", *parts)


def _counts(predictions: Predictions, label: int, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    own = predictions.probabilities[predictions.labels == label]
    return np.asarray(np.histogram(own, edges)[0], np.int64)


def _cell(left: float, top: float, count: int, share: float, right: bool) -> Markup:
    kind = "right" if right else "wrong"
    return element(
        "g",
        element("rect", x=left, y=top, width=126, height=72, class_=f"cell {kind}", fill_opacity=share),
        element("rect", x=left, y=top, width=126, height=72, class_=f"outline {kind}"),
        text(left + 63, top + 36, f"{count}", "count", "middle"),
        text(left + 63, top + 56, f"{share:.1%}", "label", "middle"),
    )
