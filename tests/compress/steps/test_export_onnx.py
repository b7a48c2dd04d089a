"""Export: the graph computes what the network computes, and is one that every engine and quantizer takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from compress import zoo
from compress.options.prune import PruneOptions
from compress.steps import export_onnx
from compress.steps.export_onnx import compare, export, fold_normalisation, to_onnx
from compress.steps.openvino_tools import open_ir, read_model, save
from compress.steps.prune import PruneData, prune
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.options import ModelOptions
from runtime.backends.base import BackendOptions, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import ExportMismatchError, StepError
from tests.compress.networks import (
    FAMILIES,
    PRUNABLE,
    networks_of_each_kind,
    random_network,
    small_network,
    spots,
)

SAMPLES = spots(4, 64, seed=1).tensors
PLAIN = ("cnn", "cnn_attention", "efficientnet_lite0", "resnet18", "resnet50", "unet")
"""Networks in which every normalisation follows a convolution, and nothing is reshaped."""


@dataclass(frozen=True)
class Exported:
    """A network and what its export gave."""

    network: FractureNet
    model: onnx.ModelProto
    content: bytes
    facts: dict[str, Any]


def exported(folder: Path, name: str = "cnn") -> tuple[onnx.ModelProto, dict[str, object]]:
    save_network(small_network(name), folder / "network.pt")
    output = export(folder / "network.pt", folder, SAMPLES)
    assert (output.main, output.format) == ("model.onnx", "onnx")
    return onnx.load(folder / output.main), output.facts


@pytest.fixture(scope="module", params=FAMILIES)
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A network of every family, exported once."""
    folder = tmp_path_factory.mktemp(request.param)
    model, facts = exported(folder, request.param)
    return Exported(small_network(request.param), model, (folder / "model.onnx").read_bytes(), facts)


def shape(value: onnx.ValueInfoProto) -> list[str | int]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_inputs_and_outputs_are_ulnas_with_a_free_batch(each: Exported) -> None:
    height, width = each.network.map_size()
    graph = each.model.graph
    assert {value.name: shape(value) for value in graph.input} == {"image": ["batch", 1, 64, 64]}
    assert {value.name: shape(value) for value in graph.output} == {
        "logit": ["batch", 1],
        "map": ["batch", 1, height, width],
    }
    assert {opset.domain: opset.version for opset in each.model.opset_import} == {"": 17}


def test_parity_is_reported_for_every_batch_size_and_feed(each: Exported) -> None:
    assert set(each.facts["parity"]) == {"1", "2", "5"}
    assert max(each.facts["parity"].values()) < 1e-4
    feeds = {key.split("/")[0] for key in each.facts["parity_by_feed"]}
    assert feeds == {"samples", "zeros", "ones", "noise"}


def test_the_graph_holds_its_sizes_and_computes_none(each: Exported) -> None:
    """Shape arithmetic is what engines and quantizers stumble over."""
    kinds = {node.op_type for node in each.model.graph.node}
    assert not {"Shape", "Gather", "ConstantOfShape", "Loop", "If", "Identity"} & kinds


def test_the_same_network_gives_the_same_bytes(each: Exported) -> None:
    again = small_network(each.network.options.name)
    assert to_onnx(again).SerializeToString(deterministic=True) == each.content


def test_openvino_computes_the_same(each: Exported, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(each.content)
    backend = open_ir(save(read_model(tmp_path / "model.onnx"), tmp_path))
    got = backend.infer({"image": SAMPLES})
    with torch.no_grad():
        expected = each.network(torch.from_numpy(SAMPLES))
    for name, value in zip(("logit", "map"), expected, strict=True):
        scale = max(1.0, float(value.abs().max()))
        np.testing.assert_allclose(got[name], value.numpy(), atol=1e-4 * scale)


@pytest.mark.parametrize("name", ["cnn", "vit", "ann", "unet"])
def test_a_network_of_three_channels_is_fed_gray_and_repeats_it_itself(name: str) -> None:
    network = small_network(name, channels=3)
    model = to_onnx(network)
    assert shape(model.graph.input[0]) == ["batch", 1, 64, 64]
    deviations = compare(network, model.SerializeToString(), SAMPLES)
    assert max(deviation.worst for deviation in deviations) < 1e-4


@pytest.mark.parametrize("options", [("efficientnet_lite0", 16), ("efficientnet_lite0", 8), ("unet", 2)])
def test_finer_maps_export_too(options: tuple[str, int]) -> None:
    torch.manual_seed(0)
    network = zoo.build(ModelOptions(options[0], map_stride=options[1]), 64)
    model = to_onnx(network)
    cells = 64 // options[1]
    assert shape(model.graph.output[1]) == ["batch", 1, cells, cells]
    deviations = compare(network, model.SerializeToString(), SAMPLES)
    assert max(deviation.worst for deviation in deviations) < 1e-4


@pytest.mark.parametrize("name", PLAIN)
def test_normalisation_and_padding_are_inside_the_convolutions(name: str) -> None:
    model = to_onnx(small_network(name))
    kinds = Counter(node.op_type for node in model.graph.node)
    assert not {"BatchNormalization", "Pad", "Reshape"} & set(kinds)
    weights = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert set(node.input[1:]) <= weights


def test_every_tensor_has_a_shape_and_every_convolution_weights_of_its_own(tmp_path: Path) -> None:
    model, _ = exported(tmp_path, "efficientnet_lite0")
    known = {value.name for value in [*model.graph.value_info, *model.graph.output]}
    assert {output for node in model.graph.node for output in node.output} <= known
    users = Counter(name for node in model.graph.node if node.op_type == "Conv" for name in node.input[1:])
    assert set(users.values()) == {1}


def test_convolutions_that_share_equal_weights_get_a_copy_each() -> None:
    """torch exports equal tensors once: here all biases are zero."""
    torch.manual_seed(0)
    model = to_onnx(zoo.build(random_network("cnn", 48).options, 48))
    weights = {tensor.name for tensor in model.graph.initializer}
    biases = [node.input[2] for node in model.graph.node if node.op_type == "Conv"]
    assert len(set(biases)) == len(biases)
    assert set(biases) <= weights


def test_the_graph_names_no_file_of_this_machine(tmp_path: Path) -> None:
    exported(tmp_path)
    content = (tmp_path / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert str(tmp_path).encode() not in content
    assert b".py" not in content


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "densenet121" else name for name in PRUNABLE],
)
def test_a_pruned_network_exports_too(tmp_path: Path, name: str) -> None:
    save_network(small_network(name), tmp_path / "whole.pt")
    images = PruneData(spots(16, 64, 2), spots(8, 64, 3))
    output = prune(tmp_path / "whole.pt", tmp_path, PruneOptions(ratio=0.2, iterations=1), images)
    facts = export(tmp_path / output.main, tmp_path, SAMPLES).facts
    assert max(facts["parity"].values()) < 1e-4


def test_a_graph_that_computes_something_else_is_refused_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_network(random_network("cnn", 64), tmp_path / "network.pt")
    other = to_onnx(random_network("cnn", 64, seed=5))
    monkeypatch.setattr(export_onnx, "to_onnx", lambda network, with_features=False: other)
    with pytest.raises(ExportMismatchError, match=r"differs from torch by \d.*allowed 0\.001.*batch"):
        export(tmp_path / "network.pt", tmp_path, SAMPLES)


def test_a_graph_that_answers_nan_is_refused(tmp_path: Path) -> None:
    network = random_network("cnn", 64)
    with torch.no_grad():
        network.head.classifier.bias.fill_(float("nan"))
    save_network(network, tmp_path / "network.pt")
    with pytest.raises(ExportMismatchError):
        export(tmp_path / "network.pt", tmp_path, SAMPLES)


@pytest.mark.parametrize("samples", [SAMPLES[:0], SAMPLES[:, :, :32, :32], np.zeros((2, 3, 64, 64))])
def test_samples_of_another_shape_are_refused(tmp_path: Path, samples: np.ndarray) -> None:
    save_network(random_network("cnn", 64), tmp_path / "network.pt")
    with pytest.raises(StepError, match="samples"):
        export(tmp_path / "network.pt", tmp_path, samples)


def test_folding_normalisation_changes_neither_the_answers_nor_the_network_given() -> None:
    for network in networks_of_each_kind(64):
        images = torch.randn(2, 1, 64, 64)
        layers = [type(module) for module in network.modules()]
        with torch.no_grad():
            expected = network(images)[1]
            got = fold_normalisation(network)(images)[1]
        assert torch.allclose(expected, got, atol=1e-4 * float(expected.abs().max()))
        assert [type(module) for module in network.modules()] == layers


def test_an_odd_input_size_exports(tmp_path: Path) -> None:
    """Padding is then symmetric in some layers that it is not in at even sizes."""
    network = random_network("efficientnet_lite0", 67)
    deviations = compare(network, to_onnx(network).SerializeToString(), spots(2, 67, 1).tensors)
    assert max(deviation.worst for deviation in deviations) < 1e-4


def test_the_file_runs_in_the_kiosks_engine_with_one_thread(tmp_path: Path) -> None:
    exported(tmp_path)
    backend = OrtBackend(ModelFiles((tmp_path / "model.onnx").read_bytes()), BackendOptions(threads=1))
    got = backend.infer({"image": SAMPLES})["logit"]
    with torch.no_grad():
        expected = load_network(tmp_path / "network.pt")(torch.from_numpy(SAMPLES))[0].numpy()
    assert np.allclose(got, expected, atol=1e-4)


def test_exporting_says_nothing_on_the_screen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    exported(tmp_path)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


@pytest.mark.parametrize("name", ["cnn", "vit", "unet"])
def test_features_are_a_third_output_that_repeats_torch(name: str, tmp_path: Path) -> None:
    save_network(random_network(name, 64), tmp_path / "network.pt")
    output = export(tmp_path / "network.pt", tmp_path, SAMPLES, with_features=True)

    backend = OrtBackend(ModelFiles((tmp_path / output.main).read_bytes()))
    assert [info.name for info in backend.outputs] == ["logit", "map", "features"]
    worst = max(deviations[2] for deviations in output.facts["parity_by_feed"].values())
    assert 0 < worst < 1e-3
