import numpy as np
import pytest

from compress.bootstrap import BootstrapOptions, patient_weights, precision_recall_band, roc_band
from tests.compress.cohort import CohortOptions, cohort


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
