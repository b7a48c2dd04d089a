"""Matching logits: an affine map in the head that moves thresholds back and no ranking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.training.data import LabelledTensors
from compress.training.loop import predict
from compress.training.match import LogitMatch, calibrate_logits, fold, match_logits
from compress.zoo import build
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.options import ModelOptions
from runtime.errors import StepError

SIZE_PX = 32


def _network(seed: int) -> FractureNet:
    torch.manual_seed(seed)
    return build(ModelOptions("cnn", width=0.25), SIZE_PX)


@pytest.fixture
def images() -> LabelledTensors:
    rng = np.random.default_rng(1)
    tensors = rng.normal(size=(24, 1, SIZE_PX, SIZE_PX)).astype(np.float32)
    grid = SIZE_PX // 4
    return LabelledTensors(
        tensors, np.tile([0, 1], 12).astype(np.float32), np.zeros((24, grid, grid), np.uint8)
    )


def test_logits_take_the_teachers_mean_and_spread_and_keep_their_order(images: LabelledTensors) -> None:
    network, teacher = _network(1), _network(2)
    before, wanted = predict(network, images), predict(teacher, images)
    match_logits(network, teacher, images)
    after = predict(network, images)
    assert after.mean() == pytest.approx(wanted.mean(), abs=1e-4)
    assert after.std() == pytest.approx(wanted.std(), rel=1e-3)
    assert np.array_equal(np.argsort(before), np.argsort(after))


def test_calibrated_logits_keep_their_order_and_need_no_second_calibration(images: LabelledTensors) -> None:
    network = _network(1)
    before = predict(network, images)
    noise = np.random.default_rng(2).normal(0, before.std(), len(before))
    images = replace(images, labels=(before + noise > np.median(before)).astype(np.float32))
    calibrate_logits(network, images)
    after = predict(network, images)
    again = calibrate_logits(network, images)
    assert np.array_equal(np.argsort(before), np.argsort(after))
    assert again.scale == pytest.approx(1.0, abs=1e-3)
    assert again.shift == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_the_fold_is_exact_for_pooled_maps(images: LabelledTensors, scale: float) -> None:
    network = _network(3)
    before = predict(network, images)
    fold(network.head, LogitMatch(scale, -0.7))
    np.testing.assert_allclose(predict(network, images), scale * before - 0.7, atol=1e-5)


def test_a_folded_network_survives_its_checkpoint(images: LabelledTensors, tmp_path: Path) -> None:
    network = _network(4)
    fold(network.head, LogitMatch(2.0, 0.5))
    save_network(network, tmp_path / "network.pt")
    np.testing.assert_array_equal(
        predict(load_network(tmp_path / "network.pt"), images), predict(network, images)
    )


def test_a_network_that_answers_everything_alike_is_refused(images: LabelledTensors) -> None:
    flat = _network(5)
    with torch.no_grad():
        flat.head.classifier.weight.zero_()
    with pytest.raises(StepError, match="logits spread over"):
        match_logits(flat, _network(6), images)
