"""The networks: what they give, whatever their name; and the head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compress import zoo
from compress.zoo.base import EvidenceHead, pool
from compress.zoo.cnn import gabor_filters
from compress.zoo.cost import cost_of
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError
from tests.compress.networks import networks_of_each_kind


@pytest.mark.parametrize("name", zoo.NAMES)
def test_every_network_gives_a_logit_and_a_map_for_any_batch(name: str) -> None:
    network = zoo.build(ModelOptions(name), 64)
    for batch in (1, 3):
        with torch.no_grad():
            logit, evidence = network(torch.randn(batch, 1, 64, 64))
        assert logit.shape == (batch, 1)
        assert evidence.shape == (batch, 1, *network.map_size())
        assert torch.isfinite(logit).all()


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_same_seed_gives_the_same_network_and_another_seed_another(name: str) -> None:
    logits = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        network = zoo.build(ModelOptions(name), 48)
        with torch.no_grad():
            logits.append(network(torch.ones(1, 1, 48, 48))[0].item())
    assert logits[0] == logits[1] != logits[2]


def test_an_image_does_not_change_its_neighbours_answer() -> None:
    for network in networks_of_each_kind(48):
        images = torch.randn(3, 1, 48, 48)
        with torch.no_grad():
            together, alone = network(images)[0][1], network(images[1:2])[0][0]
        assert torch.allclose(together, alone, atol=1e-4)


def test_an_unknown_network_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(RecipeError, match="resnet5000") as caught:
        zoo.build(ModelOptions("resnet5000"), 64)
    assert "cnn" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        ModelOptions("cnn", weights="imagenet"),
        ModelOptions("efficientnet_lite0", weights="imagenet21k"),
        ModelOptions("efficientnet_lite0", width=2.0),
    ],
)
def test_options_that_a_network_does_not_have_are_refused(options: ModelOptions) -> None:
    with pytest.raises(RecipeError):
        zoo.build(options, 64)


def test_width_scales_the_small_network() -> None:
    narrow, wide = (cost_of(zoo.build(ModelOptions("cnn", width=w), 64)) for w in (0.5, 2.0))
    assert wide.macs > 4 * narrow.macs
    assert wide.parameters > 4 * narrow.parameters


def test_macs_are_those_of_the_convolutions_by_hand() -> None:
    network = zoo.build(ModelOptions("cnn"), 64)
    cost = cost_of(network)
    stem = network.features[0][0]
    assert cost.layer_macs["features.0.0"] == stem.out_channels * 7 * 7 * 32 * 32
    assert cost.macs == sum(cost.layer_macs.values())


def test_counting_leaves_the_networks_mode_and_statistics_alone() -> None:
    network = zoo.build(ModelOptions("cnn"), 48).train()
    before = network.features[0][1].running_mean.clone()
    cost_of(network)
    assert network.training
    assert torch.equal(before, network.features[0][1].running_mean)


def test_pooling_without_sharpness_is_the_mean_and_a_linear_layer_after_pooling() -> None:
    head = EvidenceHead(5, sharpness=0.0)
    features = torch.randn(2, 5, 3, 4)
    logit, evidence = head(features)
    linear = features.mean(dim=(2, 3)) @ head.classifier.weight.flatten(1).T + head.classifier.bias
    assert torch.allclose(logit, linear, atol=1e-6)
    assert torch.allclose(logit, evidence.mean(dim=(2, 3)), atol=1e-6)


def test_sharp_pooling_lies_between_mean_and_maximum_and_rises_with_sharpness() -> None:
    evidence = torch.randn(4, 1, 6, 6) * 3
    values = [pool(evidence, sharpness).flatten().numpy() for sharpness in (0.0, 0.5, 2.0, 50.0)]
    peak = evidence.amax(dim=(1, 2, 3)).numpy()
    for lower, upper in zip(values, [*values[1:], peak], strict=True):
        assert np.all(lower < upper)


def test_sharp_pooling_stays_finite_where_plain_exponentials_overflow() -> None:
    evidence = torch.full((1, 1, 4, 4), -3000.0)
    evidence[0, 0, 1, 1] = 3000.0
    pooled = pool(evidence, 1.0).item()
    assert pooled == pytest.approx(3000.0 - np.log(16), abs=1e-3)


def test_the_small_networks_first_filters_see_lines_in_every_direction_and_no_brightness() -> None:
    filters = gabor_filters(16)
    assert filters.sum(dim=(1, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(filters.flatten(1).norm(dim=1), torch.full((16,), 2**0.5))
    for horizontal in (True, False):
        line = torch.zeros(1, 1, 31, 31)
        line[0, 0, 15, :] = -1.0
        answer = (
            torch.nn.functional.conv2d(line if horizontal else line.mT, filters).abs().amax(dim=(0, 2, 3))
        )
        assert answer.max() > 4 * answer.median()


@pytest.mark.parametrize("count", [1, 3, 8])
def test_any_number_of_first_filters_can_be_made(count: int) -> None:
    filters = gabor_filters(count)
    assert filters.shape == (count, 1, 7, 7)
    assert torch.isfinite(filters).all()
