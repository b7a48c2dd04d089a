import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from compress.metrics import (
    HIT,
    MISSED,
    NOT_ASKED,
    Interval,
    Predictions,
    calibration_error,
    measure,
    sigmoid,
)
from runtime.findings import OperatingPoints
from tests.compress.cohort import CohortOptions, cohort, with_logits

_POINTS = OperatingPoints(0.3, 0.7)


def _value(interval: Interval) -> float:
    assert interval.value is not None
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= interval.value <= interval.high
    return interval.value


def _tiny(labels: list[int], logits: list[float]) -> Predictions:
    ids = np.arange(len(labels)).astype(str)
    return Predictions(ids, ids, np.full(len(labels), "hand"), np.array(labels), np.array(logits))


@pytest.mark.parametrize(("name", "threshold"), [("high_sensitivity", 0.3), ("high_specificity", 0.7)])
def test_figures_at_a_point_agree_with_scikit_learn(name: str, threshold: float) -> None:
    drawn = cohort(np.random.default_rng(1))
    called = drawn.probabilities >= threshold
    point = measure(drawn, _POINTS).points[name]
    assert _value(point.sensitivity) == pytest.approx(recall_score(drawn.labels, called))
    assert _value(point.specificity) == pytest.approx(recall_score(1 - drawn.labels, ~called))
    assert _value(point.precision) == pytest.approx(precision_score(drawn.labels, called))
    assert _value(point.f1) == pytest.approx(f1_score(drawn.labels, called))
    counts = point.confusion
    assert counts.tp + counts.fp + counts.tn + counts.fn == len(drawn)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4)), min_size=2, max_size=50).filter(
        lambda rows: {label for label, _ in rows} == {0, 1}
    ),
    st.integers(-4, 4),
)
def test_any_predictions_with_ties_agree_with_scikit_learn(rows: list[tuple[int, int]], limit: int) -> None:
    labels, scores = (list(column) for column in zip(*rows, strict=True))
    drawn = _tiny(labels, [float(score) for score in scores])
    threshold = float(sigmoid(np.array(limit, float)))
    report = measure(drawn, OperatingPoints(threshold, threshold))
    called = drawn.probabilities >= threshold
    point, truth = report.points["high_sensitivity"], drawn.labels
    counts = point.confusion
    assert [[counts.tn, counts.fp], [counts.fn, counts.tp]] == confusion_matrix(truth, called).tolist()
    assert _value(point.accuracy) == pytest.approx(accuracy_score(truth, called))
    assert _value(point.sensitivity) == pytest.approx(recall_score(truth, called))
    if called.any():
        assert _value(point.precision) == pytest.approx(precision_score(truth, called))
    assert _value(point.f1) == pytest.approx(f1_score(truth, called))
    assert _value(report.auroc) == pytest.approx(roc_auc_score(truth, drawn.logits))
    assert _value(report.average_precision) == pytest.approx(average_precision_score(truth, drawn.logits))
    assert _value(report.brier) == pytest.approx(brier_score_loss(truth, drawn.probabilities))


def test_brier_score_agrees_with_scikit_learn() -> None:
    drawn = cohort(np.random.default_rng(2))
    expected = brier_score_loss(drawn.labels, drawn.probabilities)
    assert _value(measure(drawn, _POINTS).brier) == pytest.approx(expected)


def test_calibration_error_is_small_for_honest_and_large_for_overconfident_probabilities() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-logits))).astype(int)
    honest = _tiny(labels.tolist(), logits.tolist())
    bold = with_logits(honest, logits * 5)
    assert _value(calibration_error(honest, 0.95)) < 0.03
    assert _value(calibration_error(bold, 0.95)) > 0.1


def test_calibration_error_of_twenty_images_agrees_with_a_sum_by_hand() -> None:
    """Ten bins of two images each, by rising probability:

    | probabilities | their mean | share fractured | difference |
    | 0.05 and 0.12 | 0.085 | 0   | 0.085 |
    | 0.15 and 0.22 | 0.185 | 0   | 0.185 |
    | 0.25 and 0.32 | 0.285 | 0   | 0.285 |
    | 0.35 and 0.42 | 0.385 | 0.5 | 0.115 |
    | 0.45 and 0.52 | 0.485 | 0.5 | 0.015 |
    | 0.55 and 0.62 | 0.585 | 0.5 | 0.085 |
    | 0.65 and 0.72 | 0.685 | 0.5 | 0.185 |
    | 0.75 and 0.82 | 0.785 | 1   | 0.215 |
    | 0.85 and 0.92 | 0.885 | 1   | 0.115 |
    | 0.95 and 0.99 | 0.970 | 1   | 0.030 |

    The differences add up to 1.315; a tenth of that is 0.1315. Bins of equal width would hold other images.
    """
    low = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]
    high = [0.12, 0.22, 0.32, 0.42, 0.52, 0.62, 0.72, 0.82, 0.92, 0.99]
    labels = [*[0, 0, 0, 1, 0, 0, 1, 1, 1, 1], *[0, 0, 0, 0, 1, 1, 0, 1, 1, 1]]
    odds = np.array(low + high) / (1 - np.array(low + high))
    assert _value(calibration_error(_tiny(labels, np.log(odds).tolist()), 0.95)) == pytest.approx(0.1315)


def _plain_calibration_error(labels: list[int], probabilities: list[float]) -> float:
    """Bin by bin: its share of the images times the distance of mean probability and share fractured."""
    rows = sorted(zip(probabilities, labels, strict=True))
    bins = min(10, len(rows))
    error, start = 0.0, 0
    for number in range(bins):
        size = len(rows) // bins + (1 if number < len(rows) % bins else 0)
        own = rows[start : start + size]
        start += size
        distance = sum(chance for chance, _ in own) / size - sum(label for _, label in own) / size
        error += size / len(rows) * abs(distance)
    return error


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(-80, 80)),
        min_size=1,
        max_size=60,
        unique_by=lambda row: row[1],
    )
)
def test_calibration_error_of_any_images_agrees_with_a_plain_sum(rows: list[tuple[int, int]]) -> None:
    labels, tenths = (list(column) for column in zip(*rows, strict=True))
    drawn = _tiny(labels, [value / 10 for value in tenths])
    expected = _plain_calibration_error(labels, drawn.probabilities.tolist())
    assert _value(calibration_error(drawn, 0.95)) == pytest.approx(expected, abs=1e-12)


def test_equally_wrong_probabilities_of_few_patients_have_no_certain_error() -> None:
    report = measure(_tiny([0, 0, 0], [-3.0, -3.0, -3.0]), _POINTS)
    for error in (report.brier, report.ece):
        assert error.low is not None and error.high is not None
        assert error.high - error.low > 0.3


def test_a_probability_on_the_threshold_counts_as_positive() -> None:
    report = measure(_tiny([1, 0], [0.0, -1.0]), OperatingPoints(0.5, 0.5))
    assert report.verdicts == {"fracture": 1, "doubt": 0, "none": 1}
    assert report.points["high_specificity"].confusion.tp == 1


def test_without_fractured_images_figures_are_missing_and_say_why() -> None:
    report = measure(_tiny([0, 0, 0], [-3.0, -2.0, -1.0]), _POINTS)
    point = report.points["high_specificity"]
    for figure in (report.auroc, point.sensitivity, point.precision, point.f1, report.localisation):
        assert figure.value is None
        assert figure.reason
    assert report.auroc_bounds is None
    assert _value(point.specificity) == 1.0


def test_without_any_image_every_figure_is_missing() -> None:
    report = measure(_tiny([], []), _POINTS)
    assert report.images == 0
    assert report.brier.value is None
    assert report.ece.value is None
    json.dumps(report.to_json(), allow_nan=False)


def test_body_parts_are_reported_apart_and_add_up() -> None:
    drawn = cohort(np.random.default_rng(4), CohortOptions(body_parts=("hand", "hip", "leg")))
    report = measure(drawn, _POINTS)
    assert sorted(report.by_body_part) == ["hand", "hip", "leg"]
    assert sum(part.images for part in report.by_body_part.values()) == report.images
    assert sum(part.fractured for part in report.by_body_part.values()) == report.fractured
    assert not measure(cohort(np.random.default_rng(4)), _POINTS).by_body_part


def test_the_peak_counts_only_on_fractured_images_with_a_known_place() -> None:
    ids = np.arange(6).astype(str)
    labels, located = [1, 1, 1, 1, 0, 0], [HIT, HIT, MISSED, NOT_ASKED, NOT_ASKED, NOT_ASKED]
    drawn = Predictions(ids, ids, np.full(6, "hand"), np.array(labels), np.zeros(6), np.array(located))
    found = measure(drawn, _POINTS).localisation
    assert _value(found) == pytest.approx(2 / 3)
    assert found.n == 3


def test_views_and_places_are_reported_where_they_are_known() -> None:
    ids, views = np.arange(4).astype(str), np.array(["frontal", "lateral", "frontal", "lateral"])
    drawn = Predictions(
        ids, ids, np.full(4, "hand"), np.array([1, 1, 0, 0]), np.zeros(4),
        located=np.array([HIT, HIT, NOT_ASKED, NOT_ASKED]),
        boxed=np.array([HIT, MISSED, NOT_ASKED, NOT_ASKED]),
        ious=np.array([0.5, 0.0, np.nan, np.nan]), boxes_shown=np.array([1, 2, 0, 3]), views=views,
    )  # fmt: skip
    report = measure(drawn, _POINTS)
    places = report.places
    figures = [_value(item) for item in (report.localisation, places.box, places.iou, places.false_boxes)]
    assert figures == [1.0, 0.5, 0.25, 1.5]
    assert set(report.by_view) == {"frontal", "lateral"}
    assert _value(report.by_view["lateral"].places.false_boxes) == 3
    assert measure(_tiny([0, 1], [0.0, 1.0]), _POINTS).places.box.reason


def test_one_sided_bounds_are_tighter_than_the_two_sided_interval() -> None:
    report = measure(cohort(np.random.default_rng(5)), _POINTS)
    assert report.auroc_bounds is not None
    assert report.auroc.low is not None
    assert report.auroc.low < report.auroc_bounds[0] < report.auroc_bounds[1]


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.floats(-1e6, 1e6), st.integers(0, 5), st.sampled_from("ab")),
        max_size=30,
    )
)
def test_any_predictions_give_a_report_that_is_plain_json(rows: list[tuple[int, float, int, str]]) -> None:
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    labels, logits, patients, parts = columns
    drawn = Predictions(
        np.arange(len(rows)).astype(str),
        np.array(patients).astype(str),
        np.array(parts, np.str_),
        np.array(labels, np.int64),
        np.array(logits, np.float64),
    )
    table = json.loads(json.dumps(measure(drawn, _POINTS).to_json(), allow_nan=False))
    assert table["images"] == len(rows)
    assert set(table["roc"]) == {"fpr", "tpr"}
