"""Statistics of features: they whiten, they generalise, and they tell strange pictures."""

from __future__ import annotations

import numpy as np
import pytest

from compress.anomaly import SeenFeatures, fit_statistics, nearest, shares
from runtime.anomaly import AnomalyLimits
from runtime.errors import StepError

LIMITS = AnomalyLimits("anomaly.npz", 1.0, 2.0)
MIXING = np.random.default_rng(1).normal(size=(6, 6))


def draw(count: int, seed: int, shift: float = 0.0) -> SeenFeatures:
    """Correlated features of two parts; the second lies elsewhere."""
    generator = np.random.default_rng(seed)
    parts = np.where(np.arange(count) % 2 == 0, "hand", "leg")
    features = generator.normal(size=(count, 6)) @ MIXING + 5 * (parts == "leg")[:, None] + shift
    return SeenFeatures(features.astype(np.float32), parts)


def test_distances_of_new_images_follow_chi_squared_up_to_the_unit() -> None:
    fitted = fit_statistics(draw(4000, 1), draw(4000, 2), 0.99)
    far = nearest(fitted, draw(4000, 3))

    # The 99th percentile of chi-squared with 6 degrees of freedom is 16.81, its mean 6.
    assert far.mean() == pytest.approx(6 / 16.81, rel=0.05)
    assert (far > 1).mean() == pytest.approx(0.01, abs=0.006)


def test_parts_that_lie_apart_are_both_familiar_and_what_lies_between_is_not() -> None:
    fitted = fit_statistics(draw(2000, 1), draw(2000, 2), 0.99)
    between = SeenFeatures(np.full((1, 6), 60.0, np.float32), np.array(["hand"]))

    assert fitted.parts == ("hand", "leg")
    assert nearest(fitted, between)[0] > LIMITS.refuse_above


def test_shares_count_warned_and_refused_images() -> None:
    fitted = fit_statistics(draw(2000, 1), draw(2000, 2), 0.99)
    near, far = draw(1000, 3), draw(1000, 4, shift=40.0)

    assert shares(fitted, LIMITS, near)["refused"] < 0.005
    assert shares(fitted, LIMITS, far)["refused"] > 0.99


def test_a_part_with_a_handful_of_images_gets_no_mean_of_its_own() -> None:
    many, few = draw(400, 1), draw(6, 2)
    rare = SeenFeatures(
        np.concatenate([many.features, few.features]),
        np.concatenate([many.parts, np.full(6, "shoulder")]),
    )
    assert fit_statistics(rare, draw(400, 3), 0.99).parts == ("hand", "leg")


def test_images_without_any_frequent_part_share_one_mean() -> None:
    lone = SeenFeatures(draw(64, 1).features, np.array([f"part {i}" for i in range(64)]))

    assert fit_statistics(lone, draw(64, 2), 0.9).parts == ("any",)


def test_a_feature_that_never_varies_is_ignored_not_blown_up() -> None:
    still = draw(400, 1)
    still.features[:, 2] = 1.0
    new = draw(400, 2)
    new.features[:, 2] = 1.0 + 1e-7
    fitted = fit_statistics(still, new, 0.99)

    assert np.isfinite(fitted.whitening).all()
    assert (nearest(fitted, new) <= 1).mean() > 0.98


def test_too_few_images_are_refused_with_what_to_do() -> None:
    with pytest.raises(StepError, match="need 32"):
        fit_statistics(draw(31, 1), draw(400, 2), 0.99)
