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
from compress.zoo.weights import summed_for_gray
from runtime.errors import RecipeError
from tests.compress.networks import FAMILIES, networks_of_each_kind, small_network, small_options


@pytest.mark.parametrize("name", zoo.NAMES)
def test_every_network_gives_a_logit_and_a_map_for_any_batch(name: str) -> None:
    network = small_network(name)
    for batch in (1, 3):
        with torch.no_grad():
            logit, evidence = network(torch.randn(batch, 1, 64, 64))
        assert logit.shape == (batch, 1)
        assert evidence.shape == (batch, 1, *network.map_size())
        assert torch.isfinite(logit).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_logit_is_the_map_pooled(name: str) -> None:
    """So the map is no picture beside the answer: it is the answer, place by place."""
    network = small_network(name)
    with torch.no_grad():
        logit, evidence = network(torch.randn(2, 1, 64, 64))
    assert evidence.std() > 0
    assert torch.allclose(logit, pool(evidence, network.head.sharpness), atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_network_and_another_seed_another(name: str) -> None:
    answers = []
    image = torch.linspace(-1, 1, 64 * 64).reshape(1, 1, 64, 64)
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        network = zoo.build(small_options(name), 64)
        with torch.no_grad():
            answers.append(network(image)[1])
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_learns_and_belongs_to_exactly_one_stage(name: str) -> None:
    network = small_network(name).train()
    logit, _ = network(torch.randn(4, 1, 64, 64))
    (logit * torch.tensor([[1.0], [-2.0], [3.0], [1.0]])).sum().backward()
    idle = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    # What shifts every key alike changes no attention.
    assert [key for key in idle if not key.endswith("attention.key.bias")] == []
    staged = [id(value) for stage in network.stages() for value in stage.parameters()]
    assert sorted(staged) == sorted(id(value) for value in network.parameters())


@pytest.mark.parametrize("name", FAMILIES)
def test_gray_networks_with_summed_filters_equal_those_of_three_channels(name: str) -> None:
    colour, gray = small_network(name, channels=3), small_network(name)
    gray.load_state_dict(summed_for_gray(colour.state_dict(), gray))
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected, got = colour(images), gray(images)
        repeated = colour(images.repeat(1, 3, 1, 1))
    scale = max(1.0, float(expected[1].abs().max()))
    for ours, theirs, spelled_out in zip(got, expected, repeated, strict=True):
        assert torch.equal(theirs, spelled_out)
        assert torch.allclose(ours, theirs, atol=1e-4 * scale)


@pytest.mark.parametrize("name", FAMILIES)
def test_training_windows_of_another_size_than_the_input_can_be_seen(name: str) -> None:
    network = small_network(name, 96)
    with torch.no_grad():
        logit, evidence = network(torch.randn(2, 1, 32, 32))
    assert logit.shape == (2, 1)
    assert evidence.shape[2] == evidence.shape[3]
    assert torch.isfinite(evidence).all()


def test_an_image_does_not_change_its_neighbours_answer() -> None:
    for network in networks_of_each_kind(64):
        images = torch.randn(3, 1, 64, 64)
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
        ModelOptions("cnn", map_stride=8),
        ModelOptions("efficientnet_lite0", weights="imagenet21k"),
        ModelOptions("efficientnet_lite0", weights="weights.pth"),
        ModelOptions("efficientnet_lite0", width=2.0),
        ModelOptions("efficientnet_lite0", map_stride=4),
        ModelOptions("resnet18", weights="imagenet"),
        ModelOptions("unet", map_stride=32),
    ],
)
def test_options_that_a_network_does_not_have_are_refused(options: ModelOptions) -> None:
    with pytest.raises(RecipeError):
        zoo.build(options, 64)


@pytest.mark.parametrize(("name", "size_px"), [("vit", 24), ("unet", 15), ("resnet18", 31), ("capsnet", 16)])
def test_sizes_below_what_a_network_can_look_at_are_refused(name: str, size_px: int) -> None:
    with pytest.raises(RecipeError, match=f"got {size_px}"):
        zoo.build(small_options(name), size_px)


@pytest.mark.parametrize("name", FAMILIES)
def test_any_size_is_taken_and_the_map_lies_over_the_whole_image(name: str) -> None:
    """Resampled inside the graph where strides do not divide it: no edge is cut off or padded."""
    network = zoo.build(small_options(name), 75)
    with torch.no_grad():
        logit, evidence = network(torch.randn(2, 1, 75, 75))
        taken = network.as_taken(torch.linspace(0, 1, 75).expand(1, 1, 75, 75))
    assert network.size_px == 75 and logit.shape == (2, 1) and torch.isfinite(evidence).all()
    assert evidence.shape[2:] == network.map_size()
    assert torch.allclose(taken[0, 0, 0], torch.linspace(0, 1, taken.shape[-1]), atol=0.01)


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_a_finer_map_is_fused_at_any_size(stride: int) -> None:
    network = zoo.build(ModelOptions("efficientnet_lite0", map_stride=stride), 75)
    assert network.map_size() == ((3, 3) if stride == 32 else (96 // stride, 96 // stride))


def test_colour_for_a_gray_network_is_refused() -> None:
    with pytest.raises(ValueError, match="got 3"):
        small_network("cnn")(torch.zeros(1, 3, 64, 64))


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RecipeError, match=r"weights 'imagenet'.*map_stride.*at least 32 px, got 20"):
        zoo.build(ModelOptions("vit", weights="imagenet", map_stride=8), 20)


@pytest.mark.parametrize("values", [{"channels": 2}, {"map_stride": -1}, {"width": 0.0}])
def test_options_that_no_network_can_have_are_no_options(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        ModelOptions(**values)  # type: ignore[arg-type]


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


def test_macs_of_matrix_products_are_counted_with_and_without_weights() -> None:
    network = small_network("vit")
    macs, tokens, channels = cost_of(network).layer_macs, 16, 64
    block = "features.6"
    assert macs[f"{block}.attention.query"] == tokens * channels * channels
    assert macs[f"{block}.attention"] == 2 * tokens * tokens * channels
    assert macs[f"{block}.layers.0"] == 4 * tokens * channels * channels


@pytest.mark.parametrize(
    ("name", "parameters", "macs"), [("resnet18", 11.2e6, 1.75e9), ("resnet50", 23.5e6, 4.0e9)]
)
def test_the_residual_networks_have_the_published_size(name: str, parameters: float, macs: float) -> None:
    cost = cost_of(zoo.build(ModelOptions(name), 224))
    assert cost.parameters == pytest.approx(parameters, rel=0.01)
    assert cost.macs == pytest.approx(macs, rel=0.03)


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
