"""A network with simulated quantization, and the same network after it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from compress.qat.simulate import Grid, rounded_layers, simulated
from compress.steps.export_onnx import fold_normalisation
from compress.zoo.base import FractureNet
from tests.compress.networks import FAMILIES, random_network, small_network

BATCH = torch.randn(4, 1, 48, 48, generator=torch.Generator().manual_seed(0))


def network() -> FractureNet:
    return random_network("cnn", 48, width=0.5).eval()


def first_layer(net: FractureNet) -> nn.Conv2d:
    layer = next(iter(rounded_layers(net).values()))
    assert isinstance(layer, nn.Conv2d)
    return layer


def observed(net: FractureNet) -> Tensor:
    """The evidence map of the batch whose ranges were learned from it."""
    net.train()
    with torch.no_grad():
        net(BATCH)
        return net.eval()(BATCH)[1]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("bits", "most"), [(8, 127), (7, 63)])
def test_a_weight_is_a_whole_number_of_its_channels_steps(bits: int, most: int) -> None:
    net = network()
    with simulated(net, Grid(False, bits)):
        weight = first_layer(net).weight.detach()
    for channel in weight:
        steps = channel / (channel.abs().max() / most)
        assert torch.allclose(steps, steps.round(), atol=1e-3)


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_input_of_a_layer_takes_at_most_256_values(symmetric: bool) -> None:
    net, seen = network(), []
    with simulated(net, Grid(symmetric)):
        hook = first_layer(net).register_forward_hook(lambda _, given, __: seen.append(given[0]))
        observed(net)
        hook.remove()
    assert 64 < len(torch.unique(seen[-1])) <= (255 if symmetric else 256)


def test_gradients_pass_the_rounding_as_if_it_were_not_there() -> None:
    net = network()
    with simulated(net, Grid(False)):
        layer = first_layer(net)
        layer.weight.sum().backward()
    assert torch.equal(layer.weight.grad, torch.ones_like(layer.weight))


def test_the_head_stays_in_float_in_every_network() -> None:
    for name in FAMILIES:
        net = small_network(name)
        inside = {id(layer) for layer in net.head.modules()}
        assert not inside & {id(layer) for layer in rounded_layers(net).values()}


def test_rounding_before_and_after_normalisation_is_folded_in_is_the_same() -> None:
    net = network()
    plain = net(BATCH)[1].detach()
    folded = fold_normalisation(net)
    with simulated(net, Grid(False)), simulated(folded, Grid(False)):
        apart, together = observed(net), observed(folded)
    rounding = (apart - plain).abs().mean()
    assert rounding > 0
    assert (apart - together).abs().mean() < 0.1 * rounding


@pytest.mark.parametrize("fails", [False, True])
def test_afterwards_it_is_the_float_network_to_the_last_bit(fails: bool) -> None:
    net = network()
    names, parameters = list(net.state_dict()), list(net.parameters())
    before = net(BATCH)
    try:
        with simulated(net, Grid(True)):
            assert not torch.equal(observed(net), before[1])
            if fails:
                raise RuntimeError("killed")
    except RuntimeError:
        assert fails
    assert list(net.state_dict()) == names
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(net.eval()(BATCH), before, strict=True))


def test_who_is_only_asked_teaches_no_ranges_and_nobody_teaches_statistics() -> None:
    net = network()
    statistics = {name: value.clone() for name, value in net.named_buffers()}
    with simulated(net, Grid(False)):
        observed(net)
        learned = {name: value.clone() for name, value in net.state_dict().items()}
        net.eval()(10 * BATCH)
        for name, value in net.state_dict().items():
            assert "enabled" in name or torch.equal(value, learned[name]), name
    assert all(torch.equal(value, statistics[name]) for name, value in net.named_buffers())
