import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from compress import auroc
from compress.intervals import (
    bounded_mean,
    design_effect,
    proportion,
    student_quantile,
    unskewed_quantiles,
    wilson,
)
from compress.paired import compare_shares, tango_lower
from compress.predictions import Predictions
from tests.compress.cohort import CohortOptions, cohort, with_logits


def _ids(count: int) -> np.ndarray:
    return np.array([f"p{i}" for i in range(count)])


def _auroc_bounds(predictions: Predictions, confidence: float = 0.95) -> tuple[float, float, float]:
    found = auroc.interval(predictions, confidence)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.value, found.high


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_the_published_examples(count: int, total: int, low: float, high: float) -> None:
    """Newcombe 1998 (Statistics in Medicine 17, 857-872), table I, method 3."""
    found = wilson(count / total, total, 1.959964)
    assert found == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def test_tango_agrees_with_the_closed_form_without_discordant_pairs() -> None:
    z = 1.6448536
    assert tango_lower(0, 0, 50, z) == pytest.approx(-(z**2) / (50 + z**2), abs=1e-9)


def test_tango_agrees_with_its_published_example() -> None:
    """Tango 1998: 44 pairs, 1 and 0 discordant; 95% interval -0.027 to 0.118 of the gain."""
    lower = tango_lower(1, 0, 44, 1.959964)
    upper = -tango_lower(0, 1, 44, 1.959964)
    assert lower == pytest.approx(-0.060, abs=0.002)
    assert upper == pytest.approx(0.118, abs=0.002)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(60, 400))
def test_tango_bound_lies_below_the_difference_and_falls_with_every_loss(b: int, c: int, n: int) -> None:
    bound = tango_lower(b, c, n, 1.645)
    assert -1 <= bound < (b - c) / n
    assert tango_lower(b, c + 1, n, 1.645) < bound


@pytest.mark.parametrize("views", [1, 2, 4])
def test_a_single_loss_never_allows_more_than_no_loss_at_all(views: int) -> None:
    patients = np.repeat(_ids(60), views)
    found = np.ones(60 * views, bool)
    lower = []
    for lost in range(5):
        after = found.copy()
        after[: lost * views : views] = False
        lower.append(compare_shares(found, after, patients, 0.95).lower)
    assert lower == sorted(lower, reverse=True)
    assert lower[-1] < lower[0]


def test_copied_images_of_a_patient_do_not_narrow_an_interval() -> None:
    rng = np.random.default_rng(3)
    hits = rng.random(80) < 0.9
    single = proportion(hits, _ids(80), 0.95)
    copied = proportion(np.repeat(hits, 5), np.repeat(_ids(80), 5), 0.95)
    naive = proportion(np.repeat(hits, 5), _ids(400), 0.95)
    assert single.low is not None
    assert copied.low is not None
    assert naive.low is not None
    assert copied.low == pytest.approx(single.low, abs=0.01)
    assert naive.low > single.low + 0.02


def test_a_share_of_all_keeps_the_width_of_its_patients() -> None:
    everything = proportion(np.ones(40, bool), np.repeat(_ids(10), 4), 0.95)
    assert everything.value == everything.high == 1.0
    assert everything.low == pytest.approx(wilson(1.0, 10, 1.96)[0], abs=1e-3)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40))
def test_a_share_lies_within_its_interval_for_any_patients(rows: list[tuple[bool, int]]) -> None:
    hits, patients = (np.array(column) for column in zip(*rows, strict=True))
    found = proportion(hits, patients.astype(str), 0.95)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_intervals_cover_the_truth_for_correlated_images() -> None:
    rng, covered, runs = np.random.default_rng(5), 0, 300
    patients = np.repeat(_ids(60), 3)
    for _ in range(runs):
        shared = np.repeat(rng.random(60), 3)
        own = np.where(rng.random(180) < 0.6, shared, rng.random(180))
        found = proportion(own < 0.85, patients, 0.95)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.85 <= found.high
    assert covered / runs > 0.92


def test_design_effect_is_one_for_independent_patients_and_kish_for_a_constant() -> None:
    rng = np.random.default_rng(1)
    assert design_effect(rng.normal(size=2000), _ids(2000)) == pytest.approx(1.0, abs=0.01)
    assert design_effect(np.zeros(12), np.repeat(_ids(4), 3)) == pytest.approx(3.0)


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 30])
@pytest.mark.parametrize("probability", [0.95, 0.975, 0.995])
def test_student_quantile_agrees_with_scipy(degrees: int, probability: float) -> None:
    expected = student.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=0.01)


def test_a_mean_over_one_patient_says_that_it_knows_nothing() -> None:
    found = bounded_mean(np.array([0.1, 0.2]), np.array(["p", "p"]), 0.95)
    assert (found.low, found.high) == (0.0, 1.0)


def test_auroc_agrees_with_scikit_learn_with_ties() -> None:
    drawn = cohort(np.random.default_rng(2))
    predictions = with_logits(drawn, drawn.logits.round(1))
    assert auroc.value(predictions) == pytest.approx(roc_auc_score(predictions.labels, predictions.logits))


def test_auroc_variance_without_clusters_is_delong_s() -> None:
    predictions = cohort(np.random.default_rng(4), CohortOptions(patients=200, views=1))
    parts = auroc.placements(predictions.logits, predictions.labels)
    expected = np.var(parts.fractured, ddof=1) / len(parts.fractured)
    expected += np.var(parts.healthy, ddof=1) / len(parts.healthy)
    groups = auroc.Groups.of(predictions)
    found = auroc.clustered_variance(parts.fractured - parts.auroc, parts.healthy - parts.auroc, groups)
    assert found == pytest.approx(expected, rel=1e-9)


def test_auroc_and_its_standard_error_agree_with_the_published_ct_readings() -> None:
    """109 CT images rated 1 to 5: Hanley and McNeil, Radiology 143 (1982) 29-36, table I.

    Area 0.8932; by the method of DeLong and others its standard error is 0.0307, as Stata's manual prints it
    for these data (entry roctab).
    """
    healthy, ill = np.repeat(range(1, 6), (33, 6, 6, 11, 2)), np.repeat(range(1, 6), (3, 2, 2, 11, 33))
    scores = np.concatenate([healthy, ill]).astype(float)
    labels = np.repeat([0, 1], (58, 51))
    predictions = Predictions(_ids(109), _ids(109), np.full(109, "head"), labels, scores)
    parts = auroc.placements(predictions.logits, predictions.labels)
    groups = auroc.Groups.of(predictions)
    variance = auroc.clustered_variance(parts.fractured - parts.auroc, parts.healthy - parts.auroc, groups)
    assert parts.auroc == pytest.approx(0.8932, abs=5e-5)
    assert variance**0.5 == pytest.approx(0.0307, abs=5e-5)


def test_equal_counts_still_allow_for_unseen_ones() -> None:
    none = bounded_mean(np.zeros(80), np.repeat(_ids(40), 2), 0.95, 5)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(wilson(0.0, 40, 1.959964)[1], abs=1e-6)
    one = bounded_mean(np.array([1.0, 3.0]), np.array(["p", "p"]), 0.95, 5)
    assert (one.value, one.low, one.high) == (2.0, 0.0, 5)
    assert bounded_mean(np.array([]), np.array([]), 0.95, 5).reason


@given(st.floats(0, 1), st.integers(2, 60))
def test_equal_errors_of_any_size_still_allow_for_unseen_ones(error: float, patients: int) -> None:
    """Sums of equal fractions are rounded, so that their spread need not be exactly 0."""
    found = bounded_mean(np.full(patients, error), _ids(patients), 0.95)
    assert found.low is not None and found.high is not None
    unseen = wilson(0.0, patients, 1.959964)[1]
    assert found.high - found.low >= min(unseen, max(error, 1 - error)) - 1e-6


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=40))
def test_a_bounded_mean_lies_within_its_interval_for_any_patients(rows: list[tuple[int, int]]) -> None:
    counts, patients = (np.array(column) for column in zip(*rows, strict=True))
    found = bounded_mean(counts.astype(float), patients.astype(str), 0.95, 5)
    assert found.value is not None and found.low is not None and found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 5


def test_auroc_interval_covers_the_truth_for_correlated_images() -> None:
    """Separation 2 standard deviations: AUROC = Phi(2 / sqrt(2)) = 0.9214."""
    rng, covered, runs = np.random.default_rng(6), 0, 200
    for _ in range(runs):
        drawn = cohort(rng, CohortOptions(patients=80, views=3, separation=2.0, icc=0.7))
        low, _, high = _auroc_bounds(drawn)
        covered += low <= 0.92135 <= high
    assert covered / runs > 0.91


def test_a_perfect_auroc_on_few_patients_has_a_wide_interval() -> None:
    few = cohort(np.random.default_rng(7), CohortOptions(patients=8, views=5, separation=50))
    many = cohort(np.random.default_rng(7), CohortOptions(patients=400, views=1, separation=50))
    low_few, value, high = _auroc_bounds(few)
    assert (value, high) == (1.0, 1.0)
    assert low_few < 0.85
    assert _auroc_bounds(many)[0] > 0.98


def test_constant_scores_have_auroc_one_half_and_a_wide_interval() -> None:
    drawn = cohort(np.random.default_rng(8))
    low, value, high = _auroc_bounds(with_logits(drawn, np.zeros(len(drawn))))
    assert value == 0.5
    assert low < 0.45
    assert high > 0.55


def test_an_auroc_without_healthy_images_is_missing_with_a_reason() -> None:
    drawn = cohort(np.random.default_rng(9))
    found = auroc.interval(drawn.subset(drawn.labels == 1), 0.95)
    assert found.value is None
    assert "healthy" in found.reason


def test_one_patient_on_a_side_gives_the_whole_range() -> None:
    predictions = Predictions(
        _ids(4), np.array(["a", "a", "b", "c"]), np.array(["hand"] * 4), np.array([1, 1, 0, 0]),
        np.array([0.1, 3.0, 1.0, -1.0]),
    )  # fmt: skip
    low, value, high = _auroc_bounds(predictions)
    assert (low, value, high) == (0.0, 0.75, 1.0)


def test_a_roc_curve_of_many_images_is_thin_and_keeps_its_area() -> None:
    drawn = cohort(np.random.default_rng(10), CohortOptions(patients=3000, views=2))
    curve = auroc.roc_curve(drawn)
    assert len(curve.fpr) <= 200
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auroc.value(drawn), abs=0.003)


def test_quantiles_without_skewness_are_those_that_went_in() -> None:
    assert unskewed_quantiles(1.7, 0.0, 0.0) == pytest.approx((-1.7, 1.7))
    assert unskewed_quantiles(1.7, 0.0, 1e-6) == pytest.approx((-1.7, 1.7), abs=1e-5)


@given(st.floats(-1.5, 1.5), st.floats(-3, 3), st.floats(0.1, 6), st.floats(0.1, 6))
def test_quantiles_keep_their_order_however_skewed(
    bias: float, skewness: float, one: float, two: float
) -> None:
    inner, outer = (unskewed_quantiles(size, bias, skewness) for size in sorted((one, two)))
    assert outer[0] <= inner[0] <= inner[1] <= outer[1]


@pytest.mark.parametrize("count", [40, 200])
def test_unskewed_quantiles_hold_for_the_mean_of_skewed_values(count: int) -> None:
    """Student's statistic of n exponential values: mean -g / 2 and third cumulant -2 g, g = 2 / sqrt(n)."""
    rng, confidence = np.random.default_rng(1), 0.95
    values = rng.exponential(size=(20_000, count))
    statistic = (values.mean(axis=1) - 1) / (values.std(axis=1, ddof=1) / np.sqrt(count))
    skewness = 2 / np.sqrt(count)
    quantile = student_quantile(confidence, count - 1)
    low, high = unskewed_quantiles(quantile, -skewness / 2, -2 * skewness)
    assert np.mean(statistic < low) == pytest.approx(0.05, abs=0.012)
    assert np.mean(statistic > high) == pytest.approx(0.05, abs=0.012)
    assert abs(np.mean(statistic < -quantile) - 0.05) > abs(np.mean(statistic < low) - 0.05)


def _kernel(predictions: Predictions) -> np.ndarray:
    """(M, N) whether a fractured image beats a healthy one; ties count half."""
    ill, well = (predictions.logits[predictions.labels == label] for label in (1, 0))
    wins: np.ndarray = (ill[:, None] > well).astype(float) + 0.5 * (ill[:, None] == well)
    return wins


def test_auroc_bounds_agree_with_the_moments_of_all_pairs() -> None:
    """The same expansion from the whole table of pairs, patient by patient."""
    rng = np.random.default_rng(3)
    drawn = cohort(rng, CohortOptions(patients=50, views=2, separation=1.6))
    other = with_logits(drawn, (drawn.logits + 1.5 * rng.normal(size=len(drawn))).round(1))
    groups, pairs = auroc.Groups.of(drawn), _kernel(other) - _kernel(drawn)
    change, (m, n) = pairs.mean(), pairs.shape
    ill, well = pairs.mean(axis=1) - change, pairs.mean(axis=0) - change
    names = np.unique(drawn.patient_ids)
    of_ill, of_well = groups.fractured[:, None] == names, groups.healthy[:, None] == names
    influence = ill @ of_ill / m + well @ of_well / n
    error = auroc.clustered_variance(ill, well, groups) ** 0.5
    joint = influence @ (of_ill.T @ (pairs - ill[:, None] - well - change) @ of_well) @ influence / (m * n)
    third = (influence**3).sum()
    covariance = (third + 4 * joint) / error**3
    skewness = (third + 6 * joint) / error**3 - 3 * covariance
    quantile = student_quantile(0.95, groups.smaller - 1)
    low, high = unskewed_quantiles(quantile, -covariance / 2, skewness)
    found = auroc.compare(drawn, other, 0.95)
    assert found.change == pytest.approx(change)
    assert found.lower == pytest.approx(change - error * high)
    assert found.upper == pytest.approx(change - error * low)
    assert (found.change - found.lower) / (found.upper - found.change) != pytest.approx(1.0, abs=0.01)


def test_auroc_bounds_of_one_patient_on_a_side_are_the_whole_range() -> None:
    labels, patients = np.array([1, 1, 0, 0]), np.array(["a", "a", "b", "c"])
    before, after = (
        Predictions(_ids(4), patients, np.full(4, "hand"), labels, np.array(scores))
        for scores in ([0.1, 3.0, 1.0, -1.0], [2.0, 3.0, 1.0, -1.0])
    )
    found = auroc.compare(before, after, 0.95)
    assert (found.lower, found.upper) == (-1.0, 1.0)


@given(st.integers(0, 10_000))
def test_auroc_bounds_lie_on_either_side_of_the_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = cohort(rng, CohortOptions(patients=int(rng.integers(6, 30))))
    if not 0 < drawn.labels.sum() < len(drawn):
        return
    other = with_logits(drawn, drawn.logits + rng.choice([0.0, 0.3, 3.0]) * rng.normal(size=len(drawn)))
    found = auroc.compare(drawn, other, 0.95)
    change, width = auroc.difference(drawn, other, 0.95)
    assert -1 <= found.lower <= found.change <= found.upper <= 1
    assert (change, change - width) == pytest.approx((found.change, found.lower))


def test_a_loss_of_few_patients_has_the_nearer_bound_above_it() -> None:
    drawn = cohort(np.random.default_rng(12), CohortOptions(patients=200, separation=3.0))
    few = np.isin(drawn.patient_ids, np.unique(drawn.patient_ids[drawn.labels == 1])[:12])
    found = auroc.compare(drawn, with_logits(drawn, np.where(few, -3.0, drawn.logits)), 0.95)
    assert found.change < -0.05
    assert found.upper - found.change < found.change - found.lower
