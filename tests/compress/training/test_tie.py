"""What holds features of a network in training near those that it had."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from compress.training.tie import price, tied
from compress.zoo.base import FractureNet
from compress.zoo.watched import WatchedNet
from runtime.anomaly import FeatureStatistics
from tests.compress.networks import random_network

SIZE = 48
IMAGES = torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def features(network: FractureNet) -> Tensor:
    with torch.no_grad():
        return WatchedNet(copy.deepcopy(network).eval())(IMAGES)[2]  # type: ignore[no-any-return]


def statistics(network: FractureNet) -> FeatureStatistics:
    count = features(network).shape[1]
    whitening = np.random.default_rng(0).normal(size=(count, count)).astype(np.float32)
    return FeatureStatistics(("any",), whitening, np.zeros((1, count), np.float32))


def moved(network: FractureNet) -> FractureNet:
    """The same with other filters in its first layer."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        next(layer for layer in other.modules() if isinstance(layer, nn.Conv2d)).weight.mul_(1.5)
    return other


def in_training(network: FractureNet) -> None:
    """As quantization-aware training has it: normalisation keeps its statistics."""
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def after_moving(network: FractureNet, teacher: nn.Module, weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """The tie's loss of a network that has not moved, and of the same one after it has."""
    found: list[Tensor] = []
    states = copy.deepcopy(network.state_dict()), moved(network).state_dict()
    with tied(network, teacher, statistics(network), weight) as (tie, followed):
        in_training(network)
        for state in states:
            network.load_state_dict(state)
            network(IMAGES)
            with torch.no_grad():
                followed(IMAGES)
            found.append(tie.loss())
    return found[0].detach(), found[1]


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=2), st.floats(1.01, 4))
def test_a_longer_way_costs_more_and_never_more_than_its_length(way: list[float], factor: float) -> None:
    whitening = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    start, step = torch.zeros(1, 2), torch.tensor([way])
    near, far = (float(price(start, scale * step, whitening)) for scale in (1.0, factor))
    assert 0 <= near <= far <= float(torch.linalg.vector_norm(factor * step @ whitening.T)) + 1e-4
    assert (far > near) or float(torch.linalg.vector_norm(step)) < 0.01


def test_a_way_is_measured_as_the_statistics_measure_it() -> None:
    told = FeatureStatistics(
        ("any",), np.array([[2.0, 0.0], [1.0, 1.0]], np.float32), np.zeros((1, 2), np.float32)
    )
    way = np.array([[3.0, -1.0]], np.float32)
    cost = price(torch.from_numpy(way), torch.zeros(1, 2), torch.from_numpy(told.whitening))
    assert float(cost) == pytest.approx(np.sqrt(1 + told.distances(way)[0, 0]) - 1)


@pytest.mark.parametrize("mirror", [False, True])
def test_only_features_that_have_moved_cost_anything(mirror: bool) -> None:
    network = random_network("cnn", SIZE, width=0.5).eval()
    network.options = replace(network.options, mirror=mirror)
    still, gone = after_moving(network, copy.deepcopy(network))
    assert still.item() == pytest.approx(0, abs=1e-5)
    assert gone.item() > 0.05


def test_the_price_is_its_weight_times_as_high() -> None:
    network = random_network("cnn", SIZE, width=0.5).eval()
    once, thrice = (
        after_moving(copy.deepcopy(network), copy.deepcopy(network), weight)[1] for weight in (1.0, 3.0)
    )
    assert thrice.item() == pytest.approx(3 * once.item())


def test_the_price_teaches_the_layers_before_the_features() -> None:
    network = random_network("cnn", SIZE, width=0.5).eval()
    after_moving(network, copy.deepcopy(network))[1].backward()  # type: ignore[no-untyped-call]
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert first.weight.grad is not None and float(first.weight.grad.abs().max()) > 0


def test_a_network_that_is_not_its_teacher_keeps_its_own_features() -> None:
    network, teacher = random_network("cnn", SIZE, width=0.5).eval(), random_network("cnn", SIZE).eval()
    assert features(network).shape != features(teacher).shape  # as after pruning
    still, gone = after_moving(network, teacher)
    assert still.item() == pytest.approx(0, abs=1e-5)
    assert gone.item() > 0.05


def test_a_teacher_of_other_weights_is_followed_in_what_it_answers() -> None:
    network, teacher = random_network("cnn", SIZE, width=0.5).eval(), random_network("cnn", SIZE).eval()
    with torch.no_grad(), tied(network, teacher, statistics(network), 1.0) as (_, followed):
        for answer, wanted in zip(followed(IMAGES), teacher(IMAGES), strict=True):
            assert torch.equal(answer, wanted)


def test_a_teacher_of_the_same_weights_looks_once() -> None:
    network = random_network("cnn", SIZE, width=0.5).eval()
    teacher = copy.deepcopy(network)
    with tied(network, teacher, statistics(network), 1.0) as (_, followed):
        assert followed is teacher


def test_nobody_looks_on_any_longer_afterwards() -> None:
    network = random_network("cnn", SIZE, width=0.5).eval()
    teacher = copy.deepcopy(network)
    after_moving(network, teacher)
    hooks = [
        hook
        for one in (network, teacher)
        for layer in one.modules()
        for hook in (*layer._forward_hooks, *layer._forward_pre_hooks)
    ]
    assert hooks == []
