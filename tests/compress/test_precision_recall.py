import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from compress import precision_recall
from compress.bootstrap import patient_weights
from compress.predictions import Predictions
from tests.compress.cohort import CohortOptions, cohort, with_logits


def _of(labels: list[int], logits: list[float]) -> Predictions:
    ids = np.arange(len(labels)).astype(str)
    return Predictions(ids, ids, np.full(len(ids), "hand"), np.array(labels), np.array(logits, float))


_ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(-6, 6)), min_size=2, max_size=60).filter(
    lambda rows: {label for label, _ in rows} == {0, 1}
)


@given(_ROWS)
def test_average_precision_agrees_with_scikit_learn_with_ties(rows: list[tuple[int, int]]) -> None:
    labels, scores = (list(column) for column in zip(*rows, strict=True))
    expected = average_precision_score(labels, scores)
    assert precision_recall.value(_of(labels, scores)) == pytest.approx(expected)


@given(_ROWS)
def test_the_curve_holds_the_points_of_scikit_learn_s(rows: list[tuple[int, int]]) -> None:
    labels, scores = (list(column) for column in zip(*rows, strict=True))
    found = precision_recall.curve(_of(labels, scores))
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert found.precision == pytest.approx(precision[:-1][::-1])
    assert found.recall == pytest.approx(recall[:-1][::-1])


@settings(max_examples=30, deadline=None)
@given(_ROWS.map(lambda rows: [(1, 0), (0, 1), *rows[:10]]))
def test_the_influence_is_the_slope_by_each_image_s_weight(rows: list[tuple[int, int]]) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = precision_recall.influence(_of(labels.tolist(), scores.tolist()))
    step = 1e-6
    for index in range(len(rows)):
        weights = np.ones(len(rows))
        weights[index] += step
        above = average_precision_score(labels, scores, sample_weight=weights)
        weights[index] -= 2 * step
        below = average_precision_score(labels, scores, sample_weight=weights)
        assert found[index] == pytest.approx((above - below) / (2 * step), abs=1e-6)


def test_the_interval_is_as_wide_as_the_scatter_over_drawn_patients() -> None:
    drawn = cohort(np.random.default_rng(1), CohortOptions(patients=250, views=3, icc=0.6))
    weights = np.concatenate(list(patient_weights(drawn.patient_ids)))
    values = [average_precision_score(drawn.labels, drawn.logits, sample_weight=own) for own in weights[:200]]
    low, high = np.quantile(values, (0.025, 0.975))
    found = precision_recall.interval(drawn, 0.95)
    assert found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(high - low, rel=0.25)


def test_the_interval_covers_the_truth_for_correlated_images() -> None:
    options = CohortOptions(patients=100, views=3, icc=0.7, fractured_share=0.3)
    truth = precision_recall.value(
        cohort(np.random.default_rng(2), CohortOptions(200_000, 1, fractured_share=0.3))
    )
    rng, covered, runs = np.random.default_rng(3), 0, 200
    for _ in range(runs):
        found = precision_recall.interval(cohort(rng, options), 0.95)
        assert found.low is not None and found.high is not None
        covered += found.low <= truth <= found.high
    assert covered / runs > 0.91


def test_a_perfect_ranking_of_few_patients_has_a_wide_interval() -> None:
    few = cohort(np.random.default_rng(4), CohortOptions(patients=12, views=5, separation=50))
    found = precision_recall.interval(few, 0.95)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low is not None and found.low < 0.8


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_of_images_alone_has_no_average_precision(label: int) -> None:
    drawn = cohort(np.random.default_rng(5))
    found = precision_recall.interval(drawn.subset(drawn.labels == label), 0.95)
    assert found.value is None
    assert "healthy" in found.reason


def test_constant_scores_reach_the_share_of_fractured_images() -> None:
    drawn = cohort(np.random.default_rng(6))
    found = precision_recall.interval(with_logits(drawn, np.zeros(len(drawn))), 0.95)
    assert found.value == pytest.approx(np.mean(drawn.labels))
