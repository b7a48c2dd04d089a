"""Drift of calibration and of places: bounds and p-values by patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from compress.checks import FAIL, NOTED
from compress.drift import MeanChange, drift_checks, mean_change
from compress.metrics import calibration_error
from compress.options.gate import DriftLimits
from tests.compress.cohort import CohortOptions, cohort, perturbed, with_logits


def test_with_one_image_each_the_bounds_are_those_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    before = rng.random(40)
    after = before + rng.normal(0.02, 0.2, 40)
    change = mean_change(before, after, np.arange(40).astype(str))
    test = stats.ttest_rel(after, before, alternative="greater")
    lower = test.confidence_interval(0.95).low
    assert change.difference - change.width(0.95) == pytest.approx(lower)
    assert change.p_of_rise(-0.5) < 0.001
    assert change.p_of_rise(0.3) == pytest.approx(
        stats.ttest_1samp(after - before, 0.3, alternative="greater").pvalue
    )


def test_images_that_repeat_their_patient_say_no_more_than_the_patient() -> None:
    rng = np.random.default_rng(2)
    before, after = rng.random(30), rng.random(30)
    ids = np.arange(30).astype(str)
    once = mean_change(before, after, ids)
    often = mean_change(np.repeat(before, 5), np.repeat(after, 5), np.repeat(ids, 5))
    assert often.width(0.95) == pytest.approx(once.width(0.95))


def test_a_shift_that_every_one_of_few_patients_shares_proves_little() -> None:
    few = mean_change(np.zeros(6), np.full(6, 0.2), np.arange(6).astype(str))
    assert few.error == 0 and few.width(0.95) > 0.2
    many = mean_change(np.zeros(200), np.full(200, 0.2), np.arange(200).astype(str))
    assert many.width(0.95) < 0.05


def test_one_patient_proves_nothing() -> None:
    alone = mean_change(np.zeros(9), np.ones(9), np.full(9, "one"))
    assert np.isinf(alone.width(0.95)) and alone.p_of_rise(0.0) == 1.0


@given(st.floats(-1, 1), st.floats(0, 0.3), st.integers(2, 400), st.floats(0.01, 0.5), st.floats(0.6, 0.99))
def test_the_p_value_is_small_exactly_where_the_bound_lies_beyond(
    difference: float, error: float, patients: int, limit: float, confidence: float
) -> None:
    change = MeanChange(difference, error, patients)
    gap = change.difference - change.width(confidence) - limit
    if abs(gap) > 1e-9:
        assert (change.p_of_rise(limit) < 1 - confidence) == (gap > 0)


def test_the_figures_are_the_calibration_errors_and_the_mean_probabilities() -> None:
    rng = np.random.default_rng(3)
    drawn = cohort(rng, CohortOptions(patients=200))
    other = perturbed(rng, drawn, 1.0)
    ece, probability = drift_checks(drawn, other, DriftLimits(), 0.95)
    assert ece.reference == pytest.approx(calibration_error(drawn, 0.95).value)
    assert ece.candidate == pytest.approx(calibration_error(other, 0.95).value)
    assert probability.candidate == pytest.approx(other.probabilities.mean())


def test_a_better_calibration_is_no_drift() -> None:
    drawn = cohort(np.random.default_rng(4), CohortOptions(patients=400, separation=1.0))
    sure = with_logits(drawn, 5 * drawn.logits)
    assert next(drift_checks(drawn, sure, DriftLimits(), 0.95)).outcome == FAIL
    assert next(drift_checks(sure, drawn, DriftLimits(), 0.95)).outcome == NOTED


def test_drift_at_its_limit_rarely_fails() -> None:
    """The mean probability rises by exactly the limit on average; half the patients carry all of it."""
    rng, runs, failed = np.random.default_rng(5), 400, 0
    for _ in range(runs):
        moved = 0.1 * (rng.random(60) < 0.5)
        change = mean_change(np.zeros(120), np.repeat(moved, 2), np.repeat(np.arange(60), 2).astype(str))
        failed += change.difference - change.width(0.95) > 0.05
    assert failed / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
