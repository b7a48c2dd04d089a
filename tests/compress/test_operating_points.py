import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.metrics import Predictions, choose_operating_points, measure
from compress.options.operating_points import OperatingPointOptions
from runtime.errors import StepError
from runtime.findings import OperatingPoints
from tests.compress.cohort import CohortOptions, cohort, perturbed, with_logits

_OPTIONS = OperatingPointOptions(sensitivity=0.95, specificity=0.9)


def _reached(predictions: Predictions, points: OperatingPoints) -> tuple[float, float]:
    report = measure(predictions, points)
    sensitivity = report.points["high_sensitivity"].sensitivity.value
    specificity = report.points["high_specificity"].specificity.value
    assert sensitivity is not None
    assert specificity is not None
    return sensitivity, specificity


def test_both_targets_are_reached_and_barely_so() -> None:
    drawn = cohort(np.random.default_rng(1), CohortOptions(patients=300))
    points = choose_operating_points(drawn, _OPTIONS)
    sensitivity, specificity = _reached(drawn, points)
    assert 0.95 <= sensitivity < 0.96
    assert 0.9 <= specificity < 0.91
    assert points.high_sensitivity < points.high_specificity


def test_perfectly_separated_scores_give_two_points_that_both_reach_both_targets() -> None:
    drawn = cohort(np.random.default_rng(2), CohortOptions(separation=40))
    points = choose_operating_points(drawn, _OPTIONS)
    report = measure(drawn, points)
    assert points.high_sensitivity < points.high_specificity
    for point in report.points.values():
        assert point.sensitivity.value is not None
        assert point.specificity.value is not None
        assert point.sensitivity.value >= 0.95
        assert point.specificity.value >= 0.9


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-5, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("shift", [-200.0, 0.0, 200.0])
def test_scores_of_any_scale_give_valid_points(scale: float, shift: float) -> None:
    drawn = cohort(np.random.default_rng(3))
    points = choose_operating_points(with_logits(drawn, drawn.logits * scale + shift), _OPTIONS)
    assert 0 < points.high_sensitivity < points.high_specificity < 1


def test_a_hopeless_model_still_reaches_its_targets() -> None:
    drawn = cohort(np.random.default_rng(4), CohortOptions(separation=-3.0))
    sensitivity, specificity = _reached(drawn, choose_operating_points(drawn, _OPTIONS))
    assert sensitivity >= 0.95
    assert specificity >= 0.9


def test_identical_scores_fall_between_the_points() -> None:
    drawn = cohort(np.random.default_rng(5))
    constant = with_logits(drawn, np.full(len(drawn), 0.3))
    report = measure(constant, choose_operating_points(constant, _OPTIONS))
    assert report.verdicts == {"fracture": 0, "doubt": len(drawn), "none": 0}


def test_rounding_noise_flips_no_calibration_case() -> None:
    rng = np.random.default_rng(6)
    drawn = cohort(rng, CohortOptions(patients=400))
    points = choose_operating_points(drawn, _OPTIONS)
    noisy = with_logits(drawn, drawn.logits + rng.uniform(-4e-4, 4e-4, len(drawn)))
    for threshold in (points.high_sensitivity, points.high_specificity):
        assert np.array_equal(drawn.probabilities >= threshold, noisy.probabilities >= threshold)
    assert perturbed(rng, drawn, 0.5).digest != drawn.digest


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_a_step_error_that_counts_both(label: int) -> None:
    drawn = cohort(np.random.default_rng(7))
    with pytest.raises(StepError, match="fractured and healthy"):
        choose_operating_points(drawn.subset(drawn.labels == label), _OPTIONS)


_ROWS = st.lists(
    st.tuples(st.floats(-50, 50, allow_nan=False), st.booleans()), min_size=2, max_size=40
).filter(lambda rows: len({label for _, label in rows}) == 2)


@settings(max_examples=150)
@given(_ROWS, st.floats(0.5, 1.0), st.floats(0.5, 1.0))
def test_any_scores_and_targets_give_distinct_points_that_reach_them(
    rows: list[tuple[float, bool]], sensitivity: float, specificity: float
) -> None:
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    # Beyond this the logistic function rounds to 1 and no threshold can tell scores apart.
    scores = np.clip(scores, -25, 25)
    ids = np.arange(len(rows)).astype(str)
    drawn = Predictions(ids, ids, np.full(len(rows), "hand"), labels.astype(int), scores)
    points = choose_operating_points(drawn, OperatingPointOptions(sensitivity, specificity))
    assert 0 < points.high_sensitivity < points.high_specificity < 1
    reached = _reached(drawn, points)
    assert reached[0] >= sensitivity - 1e-9
    assert reached[1] >= specificity - 1e-9


def _meets(assurance: float, options: CohortOptions, draws: int = 200) -> tuple[float, float]:
    """Shares of draws whose points reach sensitivity and specificity 0.9 on endless new patients.

    Scores are normal with variance 1 about +-1.2, so the shares beyond a threshold are known.
    """
    rng, normal = np.random.default_rng(8), NormalDist()
    chosen = OperatingPointOptions(0.9, 0.9, assurance)
    reached = []
    for _ in range(draws):
        points = choose_operating_points(cohort(rng, options), chosen)
        low, high = (
            math.log(value / (1 - value)) for value in (points.high_sensitivity, points.high_specificity)
        )
        half = options.separation / 2
        reached.append((normal.cdf(half - low) >= 0.9, normal.cdf(high + half) >= 0.9))
    sensitive, specific = np.mean(reached, axis=0)
    return float(sensitive), float(specific)


@pytest.mark.parametrize(("views", "icc"), [(1, 0.5), (3, 0.7)])
def test_an_assurance_is_kept_on_new_patients_where_the_plain_rule_fails(views: int, icc: float) -> None:
    options = CohortOptions(patients=160, views=views, separation=2.0, icc=icc)
    assert min(_meets(0.9, options)) >= 0.88
    assert max(_meets(0.5, options)) < 0.65


def test_a_higher_assurance_moves_both_points_outwards() -> None:
    drawn = cohort(np.random.default_rng(9), CohortOptions(patients=400, separation=2.0))
    found = [
        choose_operating_points(drawn, OperatingPointOptions(0.9, 0.9, sure)) for sure in (0.5, 0.8, 0.95)
    ]
    assert found[0].high_sensitivity > found[1].high_sensitivity > found[2].high_sensitivity
    assert found[0].high_specificity < found[1].high_specificity < found[2].high_specificity


@pytest.mark.parametrize(("patients", "enough"), [(58, False), (59, True)])
def test_fifty_nine_patients_assure_ninety_five_percent_as_wilks_found(patients: int, enough: bool) -> None:
    """Wilks 1941: 59 observations, the lowest of which at least 95% of all exceed with certainty 0.95."""
    labels = np.repeat([1, 0], patients)
    ids = np.arange(2 * patients).astype(str)
    drawn = Predictions(ids, ids, np.full(2 * patients, "hand"), labels, np.linspace(3, -3, 2 * patients))
    options = OperatingPointOptions(0.95, 0.95, 0.95)
    if enough:
        points = choose_operating_points(drawn, options)
        assert points.high_sensitivity < drawn.probabilities[labels == 1].min()
        return
    with pytest.raises(StepError, match="58 independent fractured images") as refused:
        choose_operating_points(drawn, options)
    assert "at least 59" in refused.value.hint


def test_an_assurance_asks_for_targets_below_one() -> None:
    with pytest.raises(ValueError, match="below 1"):
        OperatingPointOptions(1.0, 0.9, 0.8)
    with pytest.raises(ValueError, match="assurance"):
        OperatingPointOptions(0.9, 0.9, 1.0)
