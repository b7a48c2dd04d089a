import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from compress import auroc
from compress.metrics import calibration_error
from compress.predictions import sigmoid
from compress.temperature import LARGEST_SCALE, negative_log_likelihood, platt_fit
from runtime.errors import StepError
from tests.compress.cohort import cohort, with_logits


def _draw(seed: int, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated logits and their labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, count)
    return logits, (rng.random(count) < sigmoid(logits)).astype(np.int64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 3), st.floats(-3, 3))
def test_it_agrees_with_scikit_learn_s_maximum_likelihood_for_the_same_targets(
    seed: int, bold: float, off: float
) -> None:
    logits, labels = _draw(seed, 400)
    seen = bold * logits + off
    ill, healthy = int(labels.sum()), int((1 - labels).sum())
    # Soft targets are images of both kinds, weighted.
    high, low = (ill + 1) / (ill + 2), 1 / (healthy + 2)
    share = np.where(labels == 1, high, low)
    columns, kinds = np.tile(seen, 2)[:, None], np.repeat([1, 0], len(seen))
    wanted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    wanted.fit(columns, kinds, sample_weight=np.concatenate([share, 1 - share]))
    scale, shift = platt_fit(seen, labels)
    assert scale == pytest.approx(wanted.coef_[0, 0], rel=1e-3)
    assert shift == pytest.approx(wanted.intercept_[0], rel=1e-3, abs=1e-3)


def test_calibration_improves_and_the_ranking_stays() -> None:
    drawn = cohort(np.random.default_rng(3))
    bold = with_logits(drawn, 5 * drawn.logits)
    scale, shift = platt_fit(bold.logits, bold.labels)
    mended = with_logits(bold, scale * bold.logits + shift)
    before, after = calibration_error(bold, 0.95).value, calibration_error(mended, 0.95).value
    assert before is not None and after is not None and after < before
    assert auroc.value(mended) == pytest.approx(auroc.value(bold), abs=1e-12)
    assert negative_log_likelihood(mended.logits, mended.labels) < negative_log_likelihood(
        bold.logits, bold.labels
    )


def test_with_many_images_the_scale_and_shift_that_made_logits_bold_are_found_again() -> None:
    logits, labels = _draw(2)
    scale, shift = platt_fit(2 * logits + 3, labels)
    assert scale == pytest.approx(0.5, rel=0.05)
    assert shift == pytest.approx(-1.5, abs=0.1)


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
