"""The synthetic task must not be solvable without looking at the bones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from compress.datasets.base import Case
from compress.datasets.synthetic import generate
from compress.datasets.table import TableDataset
from compress.options.data import SyntheticOptions
from runtime.preprocess import PreprocessSpec, preprocess

SPEC = PreprocessSpec(size_px=96)
FIT_PATIENTS = 132


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> TableDataset:
    return generate(SyntheticOptions(200, 11, 96), tmp_path_factory.mktemp("shortcuts") / "data")


@pytest.fixture(scope="module")
def images(dataset: TableDataset) -> NDArray[np.float32]:
    return np.concatenate([preprocess(dataset.load(case), SPEC)[0][0] for case in dataset.cases])


def is_fit(dataset: TableDataset) -> NDArray[np.bool_]:
    return np.array([int(case.patient_id[1:]) < FIT_PATIENTS for case in dataset.cases])


def labels(dataset: TableDataset) -> NDArray[np.int64]:
    return np.array([case.label for case in dataset.cases])


def held_out_auroc(model: object, features: NDArray[np.float32], dataset: TableDataset) -> float:
    fit, truth = is_fit(dataset), labels(dataset)
    model.fit(features[fit], truth[fit])  # type: ignore[attr-defined]
    scores = model.predict_proba(features[~fit])[:, 1]  # type: ignore[attr-defined]
    return float(roc_auc_score(truth[~fit], scores))


def simple_features(image: NDArray[np.float32]) -> list[float]:
    """What a shortcut would show in: brightness, contrast, noise, edges, spectrum."""
    edges = np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1))
    grain = image - cv2.GaussianBlur(image, (0, 0), 1.0)
    percentiles = np.percentile(image, [1, 10, 25, 50, 75, 90, 99])
    return [
        *percentiles,
        image.mean(),
        image.std(),
        edges.mean(),
        edges.std(),
        np.percentile(edges, 99),
        grain.std(),
    ]


def metadata(case: Case) -> list[float]:
    part = ("forearm", "hand", "leg", "shoulder").index(case.body_part)
    return [
        *np.eye(4)[part],
        float(case.view == "frontal"),
        float(case.tags["quanta_per_px"]),
        float("growth" in case.tags["hard_normal"]),
        float("healed" in case.tags["hard_normal"]),
    ]


def test_mean_brightness_does_not_separate(dataset: TableDataset, images: NDArray[np.float32]) -> None:
    area = roc_auc_score(labels(dataset), images.mean(axis=(1, 2)))
    assert 0.4 < area < 0.6


def test_nearest_neighbours_on_small_images_do_not_separate(
    dataset: TableDataset, images: NDArray[np.float32]
) -> None:
    small = np.stack([cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA).ravel() for image in images])
    assert held_out_auroc(KNeighborsClassifier(7), small, dataset) < 0.7


def test_simple_image_statistics_do_not_separate(dataset: TableDataset, images: NDArray[np.float32]) -> None:
    features = np.array([simple_features(image) for image in images], np.float32)
    forest = RandomForestClassifier(200, min_samples_leaf=4, random_state=0)
    assert held_out_auroc(forest, features, dataset) < 0.7


def test_body_part_view_dose_and_look_alikes_do_not_tell_the_label(dataset: TableDataset) -> None:
    features = np.array([metadata(case) for case in dataset.cases], np.float32)
    forest = RandomForestClassifier(200, min_samples_leaf=8, random_state=0)
    assert 0.35 < held_out_auroc(forest, features, dataset) < 0.65


def test_every_body_part_and_view_is_broken_as_often(dataset: TableDataset) -> None:
    for part in ("forearm", "hand", "leg", "shoulder"):
        chosen = [case.label for case in dataset.cases if case.body_part == part]
        assert np.mean(chosen) == pytest.approx(0.4, abs=0.02)


def test_every_fracture_type_occurs(dataset: TableDataset) -> None:
    kinds = {case.tags["fracture_type"] for case in dataset.cases} - {""}
    assert kinds == {"transverse", "oblique", "spiral", "comminuted", "hairline"}


def test_few_fractures_fall_out_of_the_field(dataset: TableDataset) -> None:
    assert 0.37 < labels(dataset).mean() <= 0.4


def test_images_of_one_patient_never_share_a_file(dataset: TableDataset) -> None:
    paths: set[Path] = {case.path for case in dataset.cases}
    assert len(paths) == len(dataset.cases)
