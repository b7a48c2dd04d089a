import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from compress.bootstrap import (
    BootstrapOptions,
    auroc_change,
    lower_bounds,
    patient_weights,
    precision_recall_band,
    roc_band,
    share_change,
)
from tests.compress.cohort import CohortOptions, cohort, perturbed, with_logits


def test_a_patient_is_drawn_with_all_images_and_as_many_are_drawn_as_there_are() -> None:
    patients = np.array(["a", "b", "a", "c", "c", "c"])
    weights = np.concatenate(list(patient_weights(patients, BootstrapOptions(draws=50))))
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3:] == weights[:, 3:4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_band_and_another_seed_another() -> None:
    drawn = cohort(np.random.default_rng(1))
    bands = [roc_band(drawn, 0.95, BootstrapOptions(100, seed)) for seed in (3, 3, 4)]
    assert np.array_equal(bands[0].low, bands[1].low)
    assert not np.array_equal(bands[0].low, bands[2].low)


def test_the_band_covers_the_true_curve_at_a_point() -> None:
    """Separation 2.4 at specificity 0.9: sensitivity Phi(2.4 - 1.2816) = 0.8683."""
    rng, covered, runs = np.random.default_rng(2), 0, 60
    for _ in range(runs):
        band = roc_band(cohort(rng, CohortOptions(patients=150)), 0.95, BootstrapOptions(100))
        covered += band.low[10] <= 0.8683 <= band.high[10]
    assert covered / runs > 0.86


@pytest.mark.parametrize("make", [roc_band, precision_recall_band])
def test_copied_images_of_a_patient_do_not_narrow_a_band(make) -> None:
    single = cohort(np.random.default_rng(3), CohortOptions(patients=80, views=1))
    copied = cohort(np.random.default_rng(3), CohortOptions(patients=80, views=6, icc=1.0))
    widths = [np.nanmean(band.high - band.low) for band in (make(single, 0.95), make(copied, 0.95))]
    assert widths[1] > 0.75 * widths[0]


def test_without_healthy_images_there_is_no_roc_band() -> None:
    drawn = cohort(np.random.default_rng(4))
    band = roc_band(drawn.subset(drawn.labels == 1), 0.95, BootstrapOptions(20))
    assert np.isnan(band.low).all() and np.isnan(band.high).all()


def test_a_weighted_change_of_the_auroc_is_that_of_images_repeated_so_often() -> None:
    rng = np.random.default_rng(5)
    drawn = cohort(rng, CohortOptions(patients=40))
    # Rounded, so that scores tie.
    pair = [with_logits(drawn, perturbed(rng, drawn, noise).logits.round(1)) for noise in (0.0, 0.5)]
    weights = np.concatenate(list(patient_weights(drawn.patient_ids, BootstrapOptions(20)))).T
    found = auroc_change(*pair)(weights)
    for column, value in zip(weights.T, found, strict=True):
        labels = np.repeat(drawn.labels, column.astype(int))
        areas = [roc_auc_score(labels, np.repeat(each.logits, column.astype(int))) for each in pair]
        assert value == pytest.approx(areas[1] - areas[0])


def test_the_bounds_of_one_image_each_are_those_of_scipys_bootstrap() -> None:
    rng = np.random.default_rng(6)
    before, after = rng.random(120) < 0.9, rng.random(120) < 0.8
    ids, among = np.arange(120).astype(str), np.ones(120, bool)
    found = lower_bounds([share_change(before, after, among)], ids, 0.95, BootstrapOptions(4000))[0]
    change = (after.astype(float) - before,)
    its = stats.bootstrap(
        change, np.mean, n_resamples=4000, confidence_level=0.9, method="percentile", rng=rng
    ).confidence_interval.low
    assert found == pytest.approx(its, abs=0.01)


def test_a_draw_without_a_kind_of_image_counts_for_nothing_and_no_draw_with_it_is_no_bound() -> None:
    ids = np.array(["a", "b", "c"])
    wrong, right = np.zeros(3, bool), np.ones(3, bool)
    only = np.array([True, False, False])
    bounds = lower_bounds(
        [share_change(right, wrong, only), share_change(right, wrong, ~right)],
        ids,
        0.95,
        BootstrapOptions(50),
    )
    assert bounds == [-1.0, None]


def test_copied_images_of_a_patient_do_not_move_a_lower_bound() -> None:
    rng = np.random.default_rng(7)
    before, after = rng.random(60) < 0.9, rng.random(60) < 0.8
    ids = np.arange(60).astype(str)
    bounds = [
        lower_bounds(
            [share_change(np.repeat(before, n), np.repeat(after, n), np.ones(60 * n, bool))],
            np.repeat(ids, n),
            0.95,
            BootstrapOptions(500),
        )[0]
        for n in (1, 7)
    ]
    assert bounds[0] == pytest.approx(bounds[1])


def test_the_lower_bound_of_an_auroc_lies_below_the_true_change_as_often_as_it_says() -> None:
    """Noise on the candidate: Phi(2.4 / sqrt(2)) = 0.9552 falls to Phi(2.4 / sqrt(2 + 0.64)) = 0.9302."""
    rng, runs, below = np.random.default_rng(8), 100, 0
    for _ in range(runs):
        drawn = cohort(rng, CohortOptions(patients=150, views=1))
        other = perturbed(rng, drawn, 0.8)
        statistic = auroc_change(drawn, other)
        bound = lower_bounds([statistic], drawn.patient_ids, 0.95, BootstrapOptions(200))[0]
        assert bound is not None
        below += bound <= 0.9302 - 0.9552
    assert below / runs > 0.95 - 3 * np.sqrt(0.05 * 0.95 / runs)
