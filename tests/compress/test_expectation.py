import json

import numpy as np
import pytest

from compress.expectation import cross_validated_performance, expected_performance
from compress.metrics import choose_operating_points, measure
from compress.options.operating_points import OperatingPointOptions
from runtime.errors import StepError
from runtime.findings import OperatingPoints
from tests.compress.cohort import CohortOptions, cohort

_OPTIONS = OperatingPointOptions(sensitivity=0.9, specificity=0.9)


def _folds(patients: int, views: int, count: int = 5) -> np.ndarray:
    return np.repeat(np.arange(patients) % count, views)


def test_at_given_points_the_expectation_is_what_is_measured_over_all_folds() -> None:
    drawn = cohort(np.random.default_rng(1), CohortOptions(patients=100, views=2))
    points = OperatingPoints(0.3, 0.7)
    found = expected_performance(drawn, points, _folds(100, 2))
    report = measure(drawn, points)
    for name, own in found.items():
        assert own.sensitivity == report.points[name].sensitivity
        assert own.specificity == report.points[name].specificity
        assert len(own.sensitivity_by_fold) == 5
    json.dumps({name: own.to_json() for name, own in found.items()}, allow_nan=False)


def test_a_fold_without_fractured_images_has_no_sensitivity() -> None:
    drawn = cohort(np.random.default_rng(2), CohortOptions(patients=60, views=1))
    folds = np.where(drawn.labels == 1, 0, np.arange(60) % 2)
    found = expected_performance(drawn, OperatingPoints(0.3, 0.7), folds)["high_sensitivity"]
    assert found.sensitivity_by_fold[1] is None
    assert found.specificity_by_fold[1] is not None


def test_cross_validation_is_not_deceived_by_the_patients_that_chose_the_threshold() -> None:
    """With few patients a threshold flatters itself; over many draws the cross-validated figure does not."""
    rng, own, crossed, true = np.random.default_rng(3), [], [], []
    new = cohort(np.random.default_rng(4), CohortOptions(patients=20_000, views=1))
    options = OperatingPointOptions(sensitivity=0.9, specificity=0.9)
    for _ in range(60):
        drawn = cohort(rng, CohortOptions(patients=60, views=1))
        points = choose_operating_points(drawn, options)
        seen = expected_performance(drawn, points, _folds(60, 1))["high_sensitivity"].sensitivity
        honest = cross_validated_performance(drawn, options, _folds(60, 1))["high_sensitivity"].sensitivity
        own.append(seen.value)
        crossed.append(honest.value)
        ill = new.probabilities[new.labels == 1]
        true.append(np.mean(ill >= points.high_sensitivity))
    assert np.mean(own) > np.mean(true) + 0.005
    assert abs(np.mean(crossed) - np.mean(true)) < abs(np.mean(own) - np.mean(true))


def test_a_patient_in_two_folds_is_refused() -> None:
    drawn = cohort(np.random.default_rng(5), CohortOptions(patients=20, views=2))
    with pytest.raises(StepError, match="several folds"):
        expected_performance(drawn, OperatingPoints(0.3, 0.7), np.arange(40) % 2)
    with pytest.raises(StepError, match="at least two folds"):
        cross_validated_performance(drawn, _OPTIONS, np.zeros(40, np.int64))
