"""The third output: pooled features of two stages, whatever the network."""

from __future__ import annotations

import pytest
import torch

from compress import zoo
from compress.zoo.watched import WatchedNet, watched_layers
from tests.compress.networks import random_network

SIZE = 64


@pytest.mark.parametrize("name", zoo.NAMES)
def test_every_network_gives_finite_features_that_depend_on_the_image(name: str) -> None:
    network = random_network(name, SIZE)
    images = torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logit, evidence, features = WatchedNet(network)(images)
        same_logit, same_evidence = network(images)

    assert features.ndim == 2 and len(features) == 3 and features.shape[1] >= 8
    assert torch.isfinite(features).all()
    assert features.std(dim=0).max() > 0
    torch.testing.assert_close((logit, evidence), (same_logit, same_evidence))


def test_the_layers_looked_at_are_in_the_second_half_but_not_the_last() -> None:
    network = random_network("efficientnet_lite0", SIZE)
    first, second = (int(name.split(".")[1]) for name in watched_layers(network))

    assert len(network.features) / 2 < first < second < len(network.features) - 3  # type: ignore[arg-type]


def test_features_of_an_image_do_not_depend_on_its_batch() -> None:
    network = WatchedNet(random_network("cnn", SIZE))
    images = torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(network(images)[2][1:2], network(images[1:2])[2])
