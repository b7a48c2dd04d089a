"""From a bundle's graph back to a network that answers alike and can learn."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from compress.improve.recover import Proof, prove, recover
from compress.options.prune import PruneOptions
from compress.pruning.cut import prune_network
from compress.steps.compile_ort import optimise
from compress.steps.export_onnx import to_onnx
from compress.steps.origin import read_origin
from compress.zoo.base import EvidenceHead, FractureNet
from compress.zoo.ensemble import Ensemble
from compress.zoo.options import ModelOptions
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError
from tests.compress.networks import FAMILIES, random_network, small_network, spots

SAMPLES = spots(12, 64, seed=1)
IMAGES = SAMPLES.tensors


def shipped(network: FractureNet, folder: Path, told: bool = True) -> bytes:
    """As a bundle holds it: exported with features, then optimised. told: whether it says what it is."""
    model = to_onnx(network, with_features=True)
    if not told:
        del model.metadata_props[:]
    (folder / "exported.onnx").write_bytes(model.SerializeToString())
    optimise(folder / "exported.onnx", folder / "model.onnx")
    return (folder / "model.onnx").read_bytes()


def proved(network: FractureNet, graph: bytes) -> Proof:
    return prove(network, OrtBackend(ModelFiles(graph)), IMAGES)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_answers_as_its_graph_does(name: str, tmp_path: Path) -> None:
    network = small_network(name)
    network.head.rescale(1.7, -0.3)
    graph = shipped(network, tmp_path)
    found = recover(graph, network.options, IMAGES)
    proof = proved(found, graph)
    assert max(proof.logit, proof.evidence) < 1e-3
    assert proof.images == len(IMAGES)
    assert found.options == network.options
    assert found.state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize("name", ["cnn", "efficientnet_lite0", "resnet18"])
def test_a_pruned_network_has_the_channels_of_its_graph(name: str, tmp_path: Path) -> None:
    network = small_network(name)
    prune_network(network, PruneOptions(ratio=0.3, iterations=1), SAMPLES)
    graph = shipped(network, tmp_path)
    found = recover(graph, network.options, IMAGES)
    proof = proved(found, graph)
    assert max(proof.logit, proof.evidence) < 1e-3
    assert [p.shape for p in found.parameters()] == [p.shape for p in network.parameters()]


def test_an_ensemble_comes_back_with_its_members_and_scale(tmp_path: Path) -> None:
    ensemble = Ensemble([small_network("cnn"), small_network("vit")]).eval()
    ensemble.head.rescale(0.6, 0.2)
    graph = shipped(ensemble, tmp_path)
    found = recover(graph, ensemble.options, IMAGES)
    assert [member.options.name for member in found.members] == ["cnn", "vit"]
    assert proved(found, graph).logit < 1e-3


def test_normalisations_stand_where_the_images_are_and_nothing_jumps_when_training_begins(
    tmp_path: Path,
) -> None:
    network = small_network("cnn")
    found = recover(shipped(network, tmp_path), network.options, IMAGES)
    seen: list[torch.Tensor] = []
    layer = next(layer for layer in found.modules() if isinstance(layer, nn.BatchNorm2d))
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch = torch.from_numpy(IMAGES)
    with torch.no_grad():
        before = found.eval()(batch)[0]
        after = found.train()(batch)[0]
    hook.remove()
    assert layer.running_mean is not None
    torch.testing.assert_close(after, before, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(seen[0].mean(dim=(0, 2, 3)), layer.running_mean, atol=1e-3, rtol=0.2)


def test_the_graph_of_an_older_version_is_read_by_the_recipes_word(tmp_path: Path) -> None:
    network = small_network("cnn")
    network.head.rescale(2.5, 0.4)
    graph = shipped(network, tmp_path, told=False)
    found = recover(graph, network.options, IMAGES)
    assert proved(found, graph).logit < 1e-3
    assert isinstance(found.head, EvidenceHead) and isinstance(network.head, EvidenceHead)
    assert found.head.sharpness == pytest.approx(network.head.sharpness, rel=1e-3)


def test_a_graph_without_the_networks_weights_is_refused_with_all_that_is_missing(tmp_path: Path) -> None:
    graph = shipped(small_network("cnn"), tmp_path, told=False)
    with pytest.raises(StepError, match=r"conv1\.weight") as caught:
        recover(graph, ModelOptions("resnet18"), IMAGES)
    assert "--from RUN" in caught.value.hint


def test_another_networks_answers_are_no_proof(tmp_path: Path) -> None:
    graph = shipped(small_network("cnn"), tmp_path)
    with pytest.raises(StepError, match="does not answer as the bundle's graph does"):
        proved(random_network("cnn", 64, seed=3), graph)


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(StepError, match="no ONNX model"):
        recover(b"\x00 nothing", ModelOptions("cnn"), IMAGES)


def test_a_graph_names_no_file_of_the_machine_that_made_it() -> None:
    network = small_network("cnn")
    network.options = ModelOptions("cnn", weights="/secret/somebody/weights.pth")
    model = to_onnx(network)
    origin = read_origin(model)
    assert origin is not None and origin.network["size_px"] == 64
    assert b"somebody" not in model.SerializeToString()


def test_a_description_of_another_version_is_refused() -> None:
    model = onnx.ModelProto()
    entry = model.metadata_props.add()
    entry.key, entry.value = "ulna.network", '{"schema": 99}'
    with pytest.raises(StepError, match="schema 99"):
        read_origin(model)
