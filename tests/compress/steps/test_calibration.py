from __future__ import annotations

import numpy as np
import pytest

from compress.steps.calibration import CalibrationData, OrtCalibrationReader
from runtime.errors import StepError
from tests.compress.steps import graphs

IDS = tuple(f"case-{i}" for i in range(40))


def test_radiographs_of_different_patients_are_accepted():
    data = CalibrationData(graphs.images(40), IDS)
    assert len(data) == 40
    assert data.facts()["calibration_images"] == 40


def test_too_few_images_are_refused():
    with pytest.raises(StepError, match="at least 32"):
        CalibrationData(graphs.images(31), IDS[:31])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_case(value):
    images = graphs.images(40)
    images[7, 0, 3, 3] = value
    with pytest.raises(StepError, match=r"1 non-finite \(case-7\)"):
        CalibrationData(images, IDS)


def test_a_blank_image_is_refused_with_its_case():
    images = graphs.images(40)
    images[[2, 5]] = 0.5
    with pytest.raises(StepError, match=r"2 constant \(case-2, case-5\)"):
        CalibrationData(images, IDS)


def test_random_noise_is_refused():
    noise = np.random.default_rng(0).normal(size=(40, 1, 48, 48)).astype(np.float32)
    with pytest.raises(StepError, match="40 mere noise"):
        CalibrationData(noise, IDS)


def test_one_image_many_times_is_refused_although_grain_differs():
    images = np.repeat(graphs.images(1), 40, axis=0)
    images += np.random.default_rng(0).normal(scale=0.02, size=images.shape).astype(np.float32)
    with pytest.raises(StepError, match="only 1 of 40"):
        CalibrationData(images, IDS)


def test_repeats_beside_enough_different_images_are_accepted():
    images = graphs.images(40)
    images[39] = images[0]
    assert len(CalibrationData(images, IDS)) == 40


@pytest.mark.parametrize(
    "images",
    [graphs.images(40)[:, 0], graphs.images(40).astype(np.float64), graphs.images(40)[:, :, :40]],
    ids=["no channel", "double precision", "not square"],
)
def test_tensors_of_another_shape_or_type_are_refused(images):
    with pytest.raises(StepError, match="must be"):
        CalibrationData(images, IDS)


def test_a_case_named_twice_is_refused():
    with pytest.raises(StepError, match="different ids"):
        CalibrationData(graphs.images(40), (*IDS[:39], IDS[0]))


def test_the_digest_knows_ids_values_and_order():
    images = graphs.images(40)
    swapped = images[::-1].copy()
    brighter = images + np.float32(1e-3)
    renamed = (*IDS[:39], "other")
    variants = [(images, IDS), (swapped, IDS), (brighter, IDS), (images, renamed)]
    assert len({CalibrationData(*variant).digest for variant in variants}) == 4
    assert CalibrationData(images.copy(), IDS).digest == CalibrationData(images, IDS).digest


def test_a_choice_is_spread_over_the_whole_order():
    chosen = CalibrationData(graphs.images(40), IDS).spread(32)
    assert len(chosen) == 32
    assert chosen.case_ids[0] == "case-0"
    assert chosen.case_ids[-1] == "case-39"
    np.testing.assert_array_equal(chosen.tensors[-1], graphs.images(40)[39])


def test_asking_for_more_than_there_are_gives_all():
    assert len(CalibrationData(graphs.images(40), IDS).spread(1000)) == 40


def test_the_reader_gives_each_image_of_a_range_once():
    data = CalibrationData(graphs.images(40), IDS)
    reader = OrtCalibrationReader(data)
    reader.set_range(8, 11)
    read = [reader.get_next() for _ in range(4)]
    assert read[3] is None
    np.testing.assert_array_equal(np.concatenate([feed["image"] for feed in read[:3]]), data.tensors[8:11])
