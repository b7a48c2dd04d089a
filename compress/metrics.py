"""Every figure that a model is judged by, with intervals that respect patients; missing ones say why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress import auroc, precision_recall
from compress.auroc import RocCurve
from compress.intervals import Interval, bounded_mean, proportion
from compress.operating_points import choose_operating_points
from compress.predictions import HIT, MISSED, NOT_ASKED, Predictions, Strings, sigmoid
from runtime.findings import OperatingPoints
from runtime.postprocess import DEFAULT_OPTIONS as LOCATE

__all__ = [
    "HIT",
    "MISSED",
    "NOT_ASKED",
    "PEAK_TITLE",
    "PLACE_TITLES",
    "Confusion",
    "Interval",
    "MetricsReport",
    "PlaceReport",
    "PointReport",
    "Predictions",
    "RocCurve",
    "calibration_error",
    "choose_operating_points",
    "measure",
    "measure_by",
    "parts_to_json",
    "sigmoid",
    "signed_excess",
    "thresholds",
]

PEAK_TITLE = "peak of the evidence in a fracture's box"
PLACE_TITLES = {
    "box": "box on a fracture",
    "iou": "mean IoU with the true boxes",
    "false_boxes": "false boxes per healthy image",
}
"""What every table calls `localisation` and the figures of `places`: they are easily taken for each other."""
_CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Confusion:
    """Counts of images."""

    tp: int
    fp: int
    tn: int
    fn: int


@dataclass(frozen=True)
class PointReport:
    """One operating point: a probability at or above `threshold` counts as positive."""

    threshold: float
    sensitivity: Interval
    specificity: Interval
    precision: Interval
    f1: Interval
    accuracy: Interval
    confusion: Confusion

    def to_json(self) -> dict[str, Any]:
        """As reports keep it."""
        return asdict(self)


@dataclass(frozen=True)
class PlaceReport:
    """The boxes shown, none for the verdict none. All but the last: over fractured images with true boxes.

    box: share whose strongest box shown lies on a fracture. iou: mean overlap of true boxes with those shown,
    0 for one not found. false_boxes: boxes shown per healthy image.
    """

    box: Interval
    iou: Interval
    false_boxes: Interval


@dataclass(frozen=True)
class MetricsReport:
    """All figures over one set of predictions.

    confidence: of the two-sided intervals. auroc_bounds: one-sided lower and upper bounds at that same
    confidence, None without an AUROC. refused: images that got no answer and are in none of the figures.
    points: by name, "high_sensitivity" and "high_specificity". ece: expected calibration error.
    verdicts: how many images are called fracture, doubt and none. localisation: share of the fractured images
    with known boxes whose evidence has its peak in one. places: of the boxes shown. by_body_part, by_view:
    the same figures, without further parts.
    """

    confidence: float
    images: int
    patients: int
    fractured: int
    auroc: Interval
    auroc_bounds: tuple[float, float] | None
    average_precision: Interval
    points: dict[str, PointReport]
    brier: Interval
    ece: Interval
    verdicts: dict[str, int]
    localisation: Interval
    places: PlaceReport
    roc: RocCurve
    refused: int = 0
    by_body_part: dict[str, MetricsReport] = field(default_factory=dict)
    by_view: dict[str, MetricsReport] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-safe; body parts and views come without their own ROC curves."""
        return vars(self) | {
            "auroc": self.auroc.to_json(),
            "auroc_bounds": None if self.auroc_bounds is None else list(self.auroc_bounds),
            "points": {name: point.to_json() for name, point in self.points.items()},
            "average_precision": self.average_precision.to_json(),
            "brier": self.brier.to_json(),
            "ece": self.ece.to_json(),
            "localisation": self.localisation.to_json(),
            "places": asdict(self.places),
            "roc": self.roc.to_json(),
            "by_body_part": parts_to_json(self.by_body_part),
            "by_view": parts_to_json(self.by_view),
        }


def parts_to_json(parts: dict[str, MetricsReport]) -> dict[str, dict[str, Any]]:
    """JSON-safe, by name, without ROC curves."""
    tables = {name: report.to_json() for name, report in parts.items()}
    for table in tables.values():
        del table["roc"]
    return tables


def thresholds(points: OperatingPoints) -> dict[str, float]:
    """The operating points by name."""
    return {"high_sensitivity": points.high_sensitivity, "high_specificity": points.high_specificity}


def measure(predictions: Predictions, points: OperatingPoints, confidence: float = 0.95) -> MetricsReport:
    """All figures, over all images and by body part and view where there are several."""
    whole = _measure_one(predictions, points, confidence)
    by_part, by_view = (
        measure_by(predictions, keys, points, confidence)
        if keys is not None and len(np.unique(keys)) > 1
        else {}
        for keys in (predictions.body_parts, predictions.views)
    )
    return replace(whole, by_body_part=by_part, by_view=by_view)


def measure_by(
    predictions: Predictions, keys: Strings, points: OperatingPoints, confidence: float = 0.95
) -> dict[str, MetricsReport]:
    """All figures by the cases' keys (N,), rising."""
    return {
        name: _measure_one(predictions.subset(keys == name), points, confidence)
        for name in np.unique(keys).tolist()
    }


def calibration_error(predictions: Predictions, confidence: float) -> Interval:
    """Expected calibration error over ten bins of equally many images.

    It is the mean over images of +-(probability - label), the sign being that of the image's bin, hence the
    interval. In small sets chance alone makes it larger than 0.
    """
    return bounded_mean(signed_excess(predictions), predictions.patient_ids, confidence)


def signed_excess(predictions: Predictions) -> NDArray[np.float64]:
    """(N,) what each image adds to the calibration error: its mean is that error."""
    signed = np.zeros(len(predictions))
    excess = predictions.probabilities - predictions.labels
    order = np.argsort(predictions.logits, kind="stable")
    for chosen in np.array_split(order, min(_CALIBRATION_BINS, max(1, len(order)))):
        signed[chosen] = excess[chosen] * (1.0 if np.sum(excess[chosen]) >= 0 else -1.0)
    return signed


def _measure_one(predictions: Predictions, points: OperatingPoints, confidence: float) -> MetricsReport:
    ill = predictions.labels == 1
    squared = (predictions.probabilities - predictions.labels) ** 2
    return MetricsReport(
        confidence=confidence,
        images=len(predictions),
        patients=predictions.patients,
        fractured=int(ill.sum()),
        auroc=auroc.interval(predictions, confidence),
        auroc_bounds=_one_sided_auroc(predictions, confidence),
        average_precision=precision_recall.interval(predictions, confidence),
        points={
            name: _at_point(predictions, threshold, confidence)
            for name, threshold in thresholds(points).items()
        },
        brier=bounded_mean(squared, predictions.patient_ids, confidence),
        ece=calibration_error(predictions, confidence),
        verdicts=_count_verdicts(predictions, points),
        localisation=_hit_rate(predictions, predictions.located, confidence),
        places=_places(predictions, confidence),
        roc=auroc.roc_curve(predictions),
        refused=len(predictions.refused),
    )


def _one_sided_auroc(predictions: Predictions, confidence: float) -> tuple[float, float] | None:
    """A one-sided bound at 95% is an end of the two-sided interval at 90%."""
    both = auroc.interval(predictions, max(2 * confidence - 1, 0.0))
    return None if both.low is None or both.high is None else (both.low, both.high)


def _at_point(predictions: Predictions, threshold: float, confidence: float) -> PointReport:
    ill = predictions.labels == 1
    positive = predictions.probabilities >= threshold

    def share(hits: NDArray[np.bool_], among: NDArray[np.bool_], missing: str) -> Interval:
        if not among.any():
            return Interval.missing(missing)
        return proportion(hits[among], predictions.patient_ids[among], confidence)

    overlap = share(ill & positive, ill | positive, "no image is fractured or called positive")
    return PointReport(
        threshold=threshold,
        sensitivity=share(positive, ill, "no fractured image"),
        specificity=share(~positive, ~ill, "no healthy image"),
        precision=share(ill, positive, "no image is called positive"),
        f1=_transform(overlap, _f1_of_overlap),
        accuracy=share(positive == ill, np.ones_like(ill), "no image"),
        confusion=Confusion(
            tp=int(np.sum(ill & positive)),
            fp=int(np.sum(~ill & positive)),
            tn=int(np.sum(~ill & ~positive)),
            fn=int(np.sum(ill & ~positive)),
        ),
    )


def _f1_of_overlap(overlap: float) -> float:
    """F1 = 2 J / (1 + J), where J = TP / (TP + FP + FN) is a plain share and has a score interval."""
    return 2 * overlap / (1 + overlap)


def _transform(interval: Interval, function: Callable[[float], float]) -> Interval:
    if interval.value is None or interval.low is None or interval.high is None:
        return interval
    return Interval(function(interval.value), function(interval.low), function(interval.high), interval.n)


def _count_verdicts(predictions: Predictions, points: OperatingPoints) -> dict[str, int]:
    verdicts = [str(points.decide(float(value))) for value in predictions.probabilities]
    return {name: verdicts.count(name) for name in ("fracture", "doubt", "none")}


def _places(predictions: Predictions, confidence: float) -> PlaceReport:
    return PlaceReport(
        box=_hit_rate(predictions, predictions.boxed, confidence),
        iou=_overlap(predictions, confidence),
        false_boxes=_false_boxes(predictions, confidence),
    )


def _hit_rate(predictions: Predictions, asked: NDArray[np.int64] | None, confidence: float) -> Interval:
    if asked is None:
        return Interval.missing("suspected places were not compared")
    known = (asked != NOT_ASKED) & (predictions.labels == 1)
    if not known.any():
        return Interval.missing("no fractured image has a known place")
    return proportion(asked[known] == HIT, predictions.patient_ids[known], confidence)


def _overlap(predictions: Predictions, confidence: float) -> Interval:
    if predictions.ious is None:
        return Interval.missing("suspected places were not compared")
    known = ~np.isnan(predictions.ious) & (predictions.labels == 1)
    if not known.any():
        return Interval.missing("no fractured image has a known place")
    return bounded_mean(predictions.ious[known], predictions.patient_ids[known], confidence)


def _false_boxes(predictions: Predictions, confidence: float) -> Interval:
    well = predictions.labels == 0
    if predictions.boxes_shown is None:
        return Interval.missing("shown places were not counted")
    if not well.any():
        return Interval.missing("no healthy image")
    counts = predictions.boxes_shown[well].astype(np.float64)
    return bounded_mean(counts, predictions.patient_ids[well], confidence, LOCATE.max_boxes)
