"""2:4 sparsity: the right weights go, and they stay away through training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.pruning.two_four import is_two_four, sparsify, zeros_held
from compress.steps.train import finetune_network
from compress.training.loop import TrainRun
from compress.training.options import AverageOptions, TrainOptions
from compress.zoo.checkpoint import load_network
from tests.compress.networks import random_network, spot_data


@given(st.lists(st.lists(st.floats(0.1, 9), min_size=4, max_size=4), min_size=1, max_size=4))
def test_of_every_four_the_two_largest_stay(groups: list[list[float]]) -> None:
    network = random_network("cnn", 48)
    layer = network.features[-1].second[0]
    with torch.no_grad():
        layer.weight[0, : 4 * len(groups), 0, 0] = torch.tensor(groups).flatten()
    before = layer.weight.detach().clone()
    sparsify(network)
    after = layer.weight[0, : 4 * len(groups), 0, 0].detach().reshape(-1, 4)
    kept = before[0, : 4 * len(groups), 0, 0].reshape(-1, 4)
    for left, had in zip(after, kept, strict=True):
        assert int((left == 0).sum()) == 2
        torch.testing.assert_close(left.sum(), had.sort().values[2:].sum())
    assert is_two_four(layer.weight)


def test_first_depthwise_and_last_layers_stay_whole() -> None:
    network = random_network("efficientnet_lite0", 64)
    sparse = set(sparsify(network))
    assert sparse
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert is_two_four(layer.weight.detach()) == (name in sparse)
            if name.startswith("head") or layer.groups > 1 or layer.weight.shape[1] % 4:
                assert name not in sparse


def test_zeros_stay_through_training_with_decay_momentum_and_averaging(tmp_path: Path) -> None:
    network = random_network("cnn", 48)
    sparse = sparsify(network)
    before = {name: dict(network.named_modules())[name].weight.detach().clone() for name in sparse}
    options = TrainOptions(
        epochs=2, batch_size=16, learning_rate=5e-3, weight_decay=0.1, average=AverageOptions("ema", 0.9)
    )
    with zeros_held(network):
        finetune_network(network, spot_data(fit=48), options, TrainRun(tmp_path, seed=1))
    after = dict(load_network(tmp_path / "network.pt").named_modules())
    for name in sparse:
        assert is_two_four(after[name].weight.detach())
        assert not torch.equal(after[name].weight.detach(), before[name])


def test_outside_nothing_is_held() -> None:
    network = random_network("cnn", 48)
    name = sparsify(network)[0]
    with zeros_held(network):
        pass
    weight = dict(network.named_modules())[name].weight
    (weight.sum()).backward()
    assert weight.grad is not None
    assert np.all(weight.grad.numpy() == 1)
