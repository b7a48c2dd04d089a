import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from compress import auroc
from compress.metrics import calibration_error
from compress.predictions import sigmoid
from compress.temperature import (
    LARGEST_SCALE,
    negative_log_likelihood,
    platt_fit,
    temperature_fit,
)
from runtime.errors import StepError
from tests.compress.cohort import cohort, with_logits


def _draw(seed: int, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated logits and their labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, count)
    return logits, (rng.random(count) < sigmoid(logits)).astype(np.int64)


def test_the_factor_that_made_logits_bold_is_found_again() -> None:
    logits, labels = _draw(1)
    scale, shift = temperature_fit(4 * logits, labels)
    assert scale == pytest.approx(0.25, rel=0.05)
    assert shift == 0


def test_a_shift_is_found_again_too() -> None:
    logits, labels = _draw(2)
    scale, shift = temperature_fit(2 * logits + 3, labels, with_shift=True)
    assert scale == pytest.approx(0.5, rel=0.05)
    assert shift == pytest.approx(-1.5, abs=0.1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 3), st.floats(-3, 3))
def test_both_forms_agree_with_scikit_learn_s_maximum_likelihood(seed: int, bold: float, off: float) -> None:
    logits, labels = _draw(seed, 400)
    seen = bold * logits + off
    wanted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(seen[:, None], labels)
    scale, shift = temperature_fit(seen, labels, with_shift=True)
    assert scale == pytest.approx(wanted.coef_[0, 0], rel=1e-3)
    assert shift == pytest.approx(wanted.intercept_[0], rel=1e-3, abs=1e-3)
    alone = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(seen[:, None], labels)
    if 0.1 <= alone.coef_[0, 0] <= 10:
        assert temperature_fit(seen, labels)[0] == pytest.approx(alone.coef_[0, 0], rel=1e-3)


def test_calibration_improves_and_the_ranking_stays() -> None:
    drawn = cohort(np.random.default_rng(3))
    bold = with_logits(drawn, 5 * drawn.logits)
    scale, shift = temperature_fit(bold.logits, bold.labels, with_shift=True)
    mended = with_logits(bold, scale * bold.logits + shift)
    before, after = calibration_error(bold, 0.95).value, calibration_error(mended, 0.95).value
    assert before is not None and after is not None and after < before
    assert auroc.value(mended) == pytest.approx(auroc.value(bold), abs=1e-12)
    assert negative_log_likelihood(mended.logits, mended.labels) < negative_log_likelihood(
        bold.logits, bold.labels
    )


@pytest.mark.parametrize("with_shift", [False, True])
def test_parted_or_upside_down_scores_have_no_temperature(with_shift: bool) -> None:
    labels = np.array([0, 0, 1, 1])
    for logits in ([-2.0, -1.0, 1.0, 2.0], [2.0, 1.0, -1.0, -2.0], [0.0, 0.0, 0.0, 0.0]):
        with pytest.raises(StepError, match="no temperature"):
            temperature_fit(np.array(logits), labels, with_shift)


def test_with_many_images_platt_s_targets_give_the_most_likely_scale() -> None:
    logits, labels = _draw(4)
    assert platt_fit(2 * logits + 3, labels) == pytest.approx(
        temperature_fit(2 * logits + 3, labels, with_shift=True), rel=1e-2
    )


@pytest.mark.parametrize("spread", [0.001, 1.0, 100.0])
def test_parted_scores_keep_a_bounded_scale_and_their_middle(spread: float) -> None:
    logits, labels = spread * np.array([-2.0, -1.0, 1.0, 2.0]) + 5, np.array([0, 0, 1, 1])
    scale, shift = platt_fit(logits, labels)
    assert 0 < scale <= LARGEST_SCALE
    assert ((scale * logits + shift > 0) == labels).all()


@pytest.mark.parametrize("logits", [[2.0, 1.0, -1.0, -2.0], [0.0, 0.0, 0.0, 0.0]])
def test_platt_refuses_scores_that_are_upside_down_or_all_the_same(logits: list[float]) -> None:
    with pytest.raises(StepError, match="tell nothing"):
        platt_fit(np.array(logits), np.array([0, 0, 1, 1]))


def test_one_kind_of_images_alone_is_refused() -> None:
    with pytest.raises(StepError, match="fractured and healthy"):
        platt_fit(np.array([1.0, 2.0]), np.array([0, 0]))
    with pytest.raises(StepError, match="fractured and healthy"):
        temperature_fit(np.array([1.0, 2.0]), np.array([1, 1]))
