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
from compress.options.prune import IMPORTANCES, PruneOptions
from compress.pruning.speed import against
from compress.pruning.statistics import estimate_statistics
from compress.pruning.two_four import is_two_four
from compress.steps.prune import PruneData, prune
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
FIT = PruneData(spots(32, 48, seed=1), spots(24, 48, seed=2))
LARGER = PruneData(spots(16, 64, seed=1), spots(16, 64, seed=2))


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
    images = PruneData(data.fit, data.calibration)
    output = prune(tmp_path / "network.pt", tmp_path / "pruned", PruneOptions(ratio=0.3), images)
    unseen = spots(60, 48, seed=9)
    network = load_network(tmp_path / "pruned" / output.main)
    assert auroc(predict(network, unseen), unseen.labels) > 0.8


def test_estimated_statistics_are_those_of_the_fit_images() -> None:
    network = random_network("cnn", 48)
    estimate_statistics(network, FIT.fit)
    with torch.no_grad():
        stem = network.features[0][0](torch.from_numpy(FIT.fit.tensors))
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
        prune(tmp_path / "whole.pt", tmp_path, OPTIONS, LARGER)
    assert "ratio = 0" in caught.value.hint
    assert not (tmp_path / "network.pt").exists()


def test_a_finer_map_survives_pruning(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = zoo.build(ModelOptions("efficientnet_lite0", map_stride=8), 64)
    save_network(whole, tmp_path / "whole.pt")
    prune(tmp_path / "whole.pt", tmp_path, OPTIONS, LARGER)
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
        assert np.isfinite(predict(load_network(tmp_path / output.main), FIT.fit)).all()


def test_a_share_of_the_parameters_can_be_the_target(tmp_path: Path) -> None:
    facts = pruned(tmp_path, replace(OPTIONS, target="parameters", ratio=0.4)).facts
    assert facts["parameters"] <= 0.6 * facts["parameters_before"]
    assert facts["parameters"] > 0.5 * facts["parameters_before"]


def test_in_the_scope_of_layers_every_group_loses_alike_and_globally_it_does_not(tmp_path: Path) -> None:
    spread = {}
    for scope in ("layer", "global"):
        (tmp_path / scope).mkdir()
        options = replace(OPTIONS, scope=scope, importance="taylor", round_to=4, iterations=1)
        channels = pruned(tmp_path / scope, options, "resnet18").facts["channels"].values()
        left = [after / before for before, after in channels if before >= 16]
        spread[scope] = max(left) - min(left)
    assert spread["layer"] <= 0.26 < spread["global"]


def test_in_several_rounds_no_group_falls_below_a_quarter_of_its_channels(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot remove more"):
        pruned(tmp_path, PruneOptions(ratio=0.97, iterations=8, round_to=1))


@dataclass
class Fixed:
    """A stopwatch that goes by the operations of the pruned network, with a floor as real machines have."""

    whole: int
    asked: int = 0

    def __call__(self, network: FractureNet) -> tuple[float, float, float]:
        self.asked += 1
        ratio = 0.4 + 0.6 * cost_of(network).macs / self.whole
        return 10.0, 10.0 * ratio, ratio


def test_a_time_is_reached_by_the_network_that_just_reaches_it(tmp_path: Path) -> None:
    save_network(random_network("cnn", 48), tmp_path / "whole.pt")
    timer = Fixed(cost_of(load_network(tmp_path / "whole.pt")).macs)
    options = replace(OPTIONS, target="latency", ratio=0.25, iterations=1)
    facts = prune(tmp_path / "whole.pt", tmp_path, options, FIT, timer=timer).facts
    ratio = timer(load_network(tmp_path / "network.pt"))[2]
    assert 0.70 < ratio <= 0.75
    fast = [seen["ratio"] for seen in facts["timed"] if seen["ratio"] <= 0.75]
    assert len(fast) < len(facts["timed"]), "some were too slow"
    assert max(fast) == pytest.approx(ratio)


def test_a_time_that_no_pruning_reaches_is_refused_with_what_was_reached(tmp_path: Path) -> None:
    save_network(random_network("cnn", 48), tmp_path / "whole.pt")
    timer = Fixed(cost_of(load_network(tmp_path / "whole.pt")).macs)
    options = replace(OPTIONS, target="latency", ratio=0.6, iterations=1)
    with pytest.raises(StepError, match=r"of 10.00 ms\), wanted at most 40%"):
        prune(tmp_path / "whole.pt", tmp_path, options, FIT, timer=timer)
    assert not (tmp_path / "network.pt").exists()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_time_is_really_measured_in_the_engine(tmp_path: Path, engine: str) -> None:
    network = random_network("cnn", 48)
    whole_ms, other_ms, ratio = against(network, engine)(network)
    assert min(whole_ms, other_ms, ratio) > 0


def test_a_group_that_cannot_spare_channels_keeps_them(tmp_path: Path) -> None:
    data = spot_data(fit=128)
    train = TrainOptions(epochs=6, batch_size=16, learning_rate=5e-3, box_weight=0.5)
    train_network(ModelOptions("cnn"), data, train, TrainRun(tmp_path, seed=1))
    options = PruneOptions(0.1, "taylor", 8, 1, tolerance=0.5)
    (tmp_path / "pruned").mkdir()
    images = PruneData(data.fit, data.calibration)
    facts = prune(tmp_path / "network.pt", tmp_path / "pruned", options, images).facts
    groups = {item["group"]: item for item in facts["sensitivity"]}
    assert any(item["spare"] == 0 for item in groups.values()) or any(
        rise > 0.5 for item in groups.values() for rise in item["rises"].values()
    )
    for name, item in groups.items():
        before, after = facts["channels"][name]
        assert before == item["channels"]
        assert after >= before * (1 - item["spare"]) - 1e-9
        assert all(rise <= 0.5 for share, rise in item["rises"].items() if float(share) <= item["spare"])


@pytest.mark.parametrize("ratio", [0.0, 0.3])
def test_two_of_four_weights_are_zero_where_that_is_asked_for(tmp_path: Path, ratio: float) -> None:
    found = pruned(tmp_path, replace(OPTIONS, ratio=ratio, sparsity="2:4"))
    layers = dict(found.after.named_modules())
    assert found.facts["sparse_layers"]
    for name in found.facts["sparse_layers"]:
        assert is_two_four(layers[name].weight.detach())
    channels = [after < before for before, after in found.facts["channels"].values()]
    assert any(channels) == (ratio > 0)
