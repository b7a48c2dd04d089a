"""Pruning: the channels are gone, the network still runs, and what is said of it is so."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compress import zoo
from compress.recipe import IMPORTANCES, PruneOptions
from compress.steps.prune import estimate_statistics, prune
from compress.steps.train import train_network
from compress.training.history import auroc
from compress.training.loop import TrainRun, predict
from compress.training.options import TrainOptions
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import cost_of
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError, StepError
from tests.compress.networks import FAMILIES, PRUNABLE, random_network, small_network, spot_data, spots

OPTIONS = PruneOptions(ratio=0.3, iterations=2)
FIT = spots(32, 48, seed=1)


@dataclass(frozen=True)
class Pruned:
    """A folder with `whole.pt` and `network.pt`, and what the step said."""

    folder: Path
    facts: dict[str, Any]

    @property
    def before(self) -> FractureNet:
        return load_network(self.folder / "whole.pt")

    @property
    def after(self) -> FractureNet:
        return load_network(self.folder / "network.pt")


def pruned(folder: Path, options: PruneOptions = OPTIONS, name: str = "cnn") -> Pruned:
    save_network(small_network(name, 48), folder / "whole.pt")
    return Pruned(folder, prune(folder / "whole.pt", folder, options, FIT).facts)


@pytest.fixture(scope="module", params=PRUNABLE)
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pruned:
    """A network of every family that can be, pruned once."""
    return pruned(tmp_path_factory.mktemp(request.param), name=request.param)


def test_channels_are_really_gone_and_the_reloaded_network_runs(each: Pruned) -> None:
    before, after, facts = each.before, each.after, each.facts
    whole, rest = cost_of(before), cost_of(after)
    assert 0.6 * whole.macs < rest.macs <= 0.7 * whole.macs
    assert rest.parameters < whole.parameters
    assert (facts["macs_before"], facts["macs"]) == (whole.macs, rest.macs)
    assert (facts["parameters_before"], facts["parameters"]) == (whole.parameters, rest.parameters)
    assert (each.folder / "network.pt").stat().st_size < (each.folder / "whole.pt").stat().st_size
    with torch.no_grad():
        logit, evidence = after(torch.randn(3, 1, 48, 48))
    assert logit.shape == (3, 1)
    assert evidence.shape[2:] == before.map_size()
    assert torch.isfinite(logit).all()


def test_the_stated_channels_are_those_of_the_weights_and_multiples_of_round_to(each: Pruned) -> None:
    layers = dict(each.after.named_modules())
    channels = json.loads(json.dumps(each.facts))["channels"]
    shrunk = 0
    for layer_name, (before, left) in channels.items():
        assert layers[layer_name].weight.shape[0] == layers[layer_name].out_channels == left
        assert left == before or left % OPTIONS.round_to == 0
        shrunk += left < before
    assert shrunk > 3
    assert channels["head.classifier"] == [1, 1]


def test_depthwise_convolutions_stay_depthwise(each: Pruned) -> None:
    before, after = (
        [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
        for network in (each.before, each.after)
    )
    assert len(before) == len(after)
    assert all(m.groups == m.in_channels == m.out_channels == m.weight.shape[0] for m in after)


def test_a_pruned_network_saved_again_answers_the_same(each: Pruned, tmp_path: Path) -> None:
    after = each.after
    save_network(after, tmp_path / "again.pt")
    again = load_network(tmp_path / "again.pt")
    images = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(after(images)[0], again(images)[0])
        assert torch.equal(after(images)[1], again(images)[1])


def test_pruning_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        pruned(tmp_path / name, replace(OPTIONS, importance="taylor"))
        contents.append((tmp_path / name / "network.pt").read_bytes())
    assert contents[0] == contents[1]


def test_the_given_checkpoint_is_not_changed(tmp_path: Path) -> None:
    save_network(random_network("cnn", 48), tmp_path / "whole.pt")
    before = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "out").mkdir()
    prune(tmp_path / "whole.pt", tmp_path / "out", OPTIONS, FIT)
    assert (tmp_path / "whole.pt").read_bytes() == before


@pytest.mark.parametrize("importance", IMPORTANCES)
def test_dead_channels_go_first(tmp_path: Path, importance: str) -> None:
    network = random_network("cnn", 48)
    block = network.features[-1].first
    dead = range(0, 64, 4)
    with torch.no_grad():
        block[1].bias.uniform_(2, 3)  # so that no other channel is silent by chance
        for channel in dead:
            block[0].weight[channel] = 1e-4
            block[1].weight[channel] = 1e-4
            block[1].bias[channel] = 1e-4
            network.features[-1].second[0].weight[:, channel] = 1e-4
    alive = [block[1].bias[channel].item() for channel in range(64) if channel not in dead]
    save_network(network, tmp_path / "whole.pt")
    prune(tmp_path / "whole.pt", tmp_path, PruneOptions(0.002, importance, 8, 1), FIT)
    left = load_network(tmp_path / "network.pt").features[-1].first[1].bias.tolist()
    assert set(alive) <= set(left)
    assert len(left) == 56


def test_a_trained_network_is_of_use_right_after_pruning(tmp_path: Path) -> None:
    """Batch-norm statistics measured anew carry it; those of the whole network would not."""
    data = spot_data(fit=128)
    options = TrainOptions(epochs=6, batch_size=16, learning_rate=5e-3, box_weight=0.5)
    train_network(ModelOptions("cnn"), data, options, TrainRun(tmp_path, seed=1))
    (tmp_path / "pruned").mkdir()
    output = prune(tmp_path / "network.pt", tmp_path / "pruned", PruneOptions(ratio=0.3), data.fit)
    unseen = spots(60, 48, seed=9)
    network = load_network(tmp_path / "pruned" / output.main)
    assert auroc(predict(network, unseen), unseen.labels) > 0.8


def test_estimated_statistics_are_those_of_the_fit_images() -> None:
    network = random_network("cnn", 48)
    estimate_statistics(network, FIT)
    with torch.no_grad():
        stem = network.features[0][0](torch.from_numpy(FIT.tensors))
    assert torch.allclose(network.features[0][1].running_mean, stem.mean(dim=(0, 2, 3)), atol=1e-4)
    variance = stem.transpose(0, 1).flatten(1).var(dim=1)
    assert torch.allclose(network.features[0][1].running_var, variance, rtol=1e-2)
    assert network.features[0][1].momentum == 0.1
    assert not any(module.training for module in network.modules())


def test_a_ratio_beyond_what_the_network_can_lose_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot remove more") as caught:
        pruned(tmp_path, PruneOptions(ratio=0.99))
    assert "ratio" in caught.value.hint
    assert not (tmp_path / "network.pt").exists()


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in PRUNABLE])
def test_a_network_whose_channels_cannot_go_alone_is_refused(tmp_path: Path, name: str) -> None:
    save_network(small_network(name), tmp_path / "whole.pt")
    with pytest.raises(RecipeError, match=f"{name} cannot be pruned") as caught:
        prune(tmp_path / "whole.pt", tmp_path, OPTIONS, spots(16, 64, seed=1))
    assert "ratio = 0" in caught.value.hint
    assert not (tmp_path / "network.pt").exists()


def test_a_finer_map_survives_pruning(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = zoo.build(ModelOptions("efficientnet_lite0", map_stride=8), 64)
    save_network(whole, tmp_path / "whole.pt")
    prune(tmp_path / "whole.pt", tmp_path, OPTIONS, spots(16, 64, seed=1))
    after = load_network(tmp_path / "network.pt")
    assert cost_of(after).macs <= 0.7 * cost_of(whole).macs
    assert after.map_size() == (8, 8)


def test_pruning_says_nothing_on_the_screen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pruned(tmp_path)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_no_graph_is_kept_between_two_networks(tmp_path: Path) -> None:
    for seed in (1, 2):
        save_network(random_network("cnn", 48, seed), tmp_path / "whole.pt")
        output = prune(tmp_path / "whole.pt", tmp_path, OPTIONS, FIT)
        assert np.isfinite(predict(load_network(tmp_path / output.main), FIT)).all()
