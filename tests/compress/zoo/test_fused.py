"""Facts of the patient modulate what the head reads; told nothing, a network is what it was without them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from compress import zoo
from compress.options.prune import PruneOptions
from compress.pruning.cut import prune_network
from compress.steps.train import warm_start
from compress.training.data import LabelledTensors
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import cost_of
from compress.zoo.ensemble import Ensemble
from compress.zoo.fused import FusedNet, fuse, with_facts
from runtime.errors import RecipeError, StepError
from runtime.metadata import MetadataSpec
from tests.compress.networks import FAMILIES, small_network, spots
from tests.facts import SPEC

SIZE = 64


def informed(name: str = "cnn", seed: int = 1) -> FusedNet:
    """A network that has learned to heed its facts."""
    network = fuse(small_network(name, SIZE), SPEC)
    torch.manual_seed(seed)
    for parameter in network.head.modulation.parameters():  # type: ignore[union-attr]
        nn.init.normal_(parameter, std=0.3)
    return network


def images(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def facts(count: int = 3) -> torch.Tensor:
    return torch.rand(count, SPEC.width, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", FAMILIES)
def test_told_nothing_every_network_answers_to_the_bit_as_with_the_picture_alone(name: str) -> None:
    network = informed(name)
    plain = FractureNet(network.features, network.head.own, network.options, SIZE).eval()  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        alone = plain(images())
        for answer in (network(images()), network(images(), torch.zeros(3, SPEC.width))):
            assert torch.equal(answer[0], alone[0]) and torch.equal(answer[1], alone[1])
        assert not torch.allclose(network(images(), facts())[0], alone[0], atol=1e-4)


def test_a_network_that_is_given_facts_begins_as_it_was() -> None:
    plain = small_network("cnn", SIZE)
    with torch.no_grad():
        assert torch.equal(fuse(plain, SPEC)(images(), facts())[0], plain(images())[0])


def test_the_logit_stays_pooled_from_the_map_whatever_is_told() -> None:
    network = informed()
    with torch.no_grad():
        logit, evidence = network(images(), facts())
    peak = evidence.amax(dim=(2, 3))
    assert (logit <= peak + 1e-5).all() and (logit >= evidence.mean(dim=(2, 3)) - 1e-5).all()


def test_rescaling_moves_the_answer_with_facts_and_without_alike() -> None:
    network = informed()
    with torch.no_grad():
        before = network(images(), facts())[0], network(images())[0]
        network.head.rescale(2.0, -0.5)
        after = network(images(), facts())[0], network(images())[0]
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, 2.0 * old - 0.5)


def test_a_checkpoint_keeps_the_facts_that_its_network_takes(tmp_path: Path) -> None:
    network = informed()
    save_network(network, tmp_path / "network.pt")
    loaded = load_network(tmp_path / "network.pt")
    assert loaded.metadata == SPEC
    with torch.no_grad():
        assert torch.equal(loaded(images(), facts())[0], network(images(), facts())[0])


def test_a_checkpoint_with_impossible_facts_is_refused(tmp_path: Path) -> None:
    save_network(informed(), tmp_path / "network.pt")
    table = torch.load(tmp_path / "network.pt", weights_only=True)
    table["metadata"] = [{"fields": ["weight"]}]
    torch.save(table, tmp_path / "network.pt")
    with pytest.raises(StepError, match="no network of this version"):
        load_network(tmp_path / "network.pt")


@pytest.mark.parametrize("importance", ["group_norm", "taylor", "bn_scale"])
def test_channels_go_with_their_modulation(tmp_path: Path, importance: str) -> None:
    network, fit = informed(), spots(16, SIZE, 1)
    told = LabelledTensors(fit.tensors, fit.labels, fit.masks, metadata=facts(16).numpy())
    before = cost_of(network).macs
    prune_network(network, PruneOptions(ratio=0.3, importance=importance, iterations=1), told)
    assert cost_of(network).macs < 0.75 * before
    modulation = network.head.modulation  # type: ignore[union-attr]
    assert modulation.scale.out_channels == network.head.classifier.in_channels  # type: ignore[union-attr]
    assert modulation.hidden.in_channels == SPEC.width
    save_network(network, tmp_path / "network.pt")
    with torch.no_grad():
        pruned = load_network(tmp_path / "network.pt")(images(), facts())[0]
        assert torch.equal(pruned, network(images(), facts())[0])


def test_the_layers_that_read_facts_are_the_heads_and_learn_with_it() -> None:
    network = informed()
    stages = network.stages()
    assert stages[-1] is network.head
    counted = sum(parameter.numel() for stage in stages for parameter in stage.parameters())
    assert counted == sum(parameter.numel() for parameter in network.parameters())


def test_a_network_is_fused_once_and_only_with_its_own_facts() -> None:
    plain, network = small_network("cnn", SIZE), informed()
    assert with_facts(plain, None) is plain and with_facts(network, SPEC) is network
    assert with_facts(plain, SPEC).metadata == SPEC
    for other in (None, MetadataSpec(("age",))):
        with pytest.raises(StepError, match="takes age, sex"):
            with_facts(network, other)


def test_a_warm_start_keeps_the_facts(tmp_path: Path) -> None:
    network = informed()
    save_network(network, tmp_path / "network.pt")
    larger = warm_start(tmp_path / "network.pt", network.options, 96)
    assert (larger.metadata, larger.size_px) == (SPEC, 96)


def test_an_ensemble_hands_facts_on_to_members_that_take_them(tmp_path: Path) -> None:
    first, second, plain = informed(seed=1), informed(seed=2), small_network("cnn", SIZE)
    ensemble = Ensemble([plain, first, second]).eval()
    assert ensemble.metadata == SPEC
    with torch.no_grad():
        logit = ensemble(images(), facts())[0]
        own = [plain(images())[0], *(member(images(), facts())[0] for member in (first, second))]
        torch.testing.assert_close(logit, torch.stack(own).mean(dim=0))
        save_network(ensemble, tmp_path / "network.pt")
        assert torch.equal(load_network(tmp_path / "network.pt")(images(), facts())[0], logit)


def test_members_that_take_different_facts_are_no_ensemble() -> None:
    with pytest.raises(ValueError, match="take the same"):
        Ensemble([informed(), fuse(small_network("cnn", SIZE), MetadataSpec(("age",)))])


def test_an_ensemble_has_no_features_to_modulate() -> None:
    with pytest.raises(RecipeError, match="no features of its own"):
        fuse(Ensemble([small_network("cnn", SIZE), small_network("cnn", SIZE)]), SPEC)


def test_networks_of_the_picture_alone_pass_over_facts() -> None:
    network = small_network("cnn", SIZE)
    assert network.metadata is None and len(network.example_inputs()) == 1
    with torch.no_grad():
        assert torch.equal(network(images(), facts())[0], network(images())[0])


def test_every_prunable_network_can_be_fused() -> None:
    for name in zoo.NAMES:
        if zoo.traits_of(name).prunable:
            assert hasattr(fuse(small_network(name, SIZE), SPEC).head, "classifier")
