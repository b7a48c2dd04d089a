"""Export: the graph computes what the network computes, and is one that every engine and quantizer takes."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from compress import zoo
from compress.recipe import PruneOptions
from compress.steps import export_onnx
from compress.steps.export_onnx import compare, export, fold_normalisation, to_onnx
from compress.steps.prune import prune
from compress.zoo.checkpoint import load_network, save_network
from runtime.backends.base import BackendOptions, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import ExportMismatchError, StepError
from tests.compress.networks import networks_of_each_kind, random_network, spots

SAMPLES = spots(4, 64, seed=1).tensors


def exported(folder: Path, name: str = "cnn") -> tuple[onnx.ModelProto, dict[str, object]]:
    save_network(random_network(name, 64), folder / "network.pt")
    output = export(folder / "network.pt", folder, SAMPLES)
    assert (output.main, output.format) == ("model.onnx", "onnx")
    return onnx.load(folder / output.main), output.facts


def shape(value: onnx.ValueInfoProto) -> list[str | int]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("name", zoo.NAMES)
def test_inputs_and_outputs_are_ulnas_with_a_free_batch(tmp_path: Path, name: str) -> None:
    model, _ = exported(tmp_path, name)
    height, width = random_network(name, 64).map_size()
    assert {value.name: shape(value) for value in model.graph.input} == {"image": ["batch", 1, 64, 64]}
    assert {value.name: shape(value) for value in model.graph.output} == {
        "logit": ["batch", 1],
        "map": ["batch", 1, height, width],
    }


@pytest.mark.parametrize("name", zoo.NAMES)
def test_parity_is_reported_for_every_batch_size_and_feed(tmp_path: Path, name: str) -> None:
    _, facts = exported(tmp_path, name)
    assert set(facts["parity"]) == {"1", "2", "5"}
    assert max(facts["parity"].values()) < 1e-4
    feeds = {key.split("/")[0] for key in facts["parity_by_feed"]}
    assert feeds == {"samples", "zeros", "ones", "noise"}


@pytest.mark.parametrize("name", zoo.NAMES)
def test_normalisation_and_padding_are_inside_the_convolutions(tmp_path: Path, name: str) -> None:
    model, facts = exported(tmp_path, name)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert not {"BatchNormalization", "Pad", "Identity", "Shape", "Reshape"} & set(kinds)
    assert facts["nodes"] == sum(kinds.values())
    weights = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert set(node.input[1:]) <= weights
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 17}


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


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_same_network_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    digests = set()
    for folder in (tmp_path / "one", tmp_path / "another"):
        folder.mkdir()
        exported(folder, name)
        digests.add(hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_graph_names_no_file_of_this_machine(tmp_path: Path) -> None:
    exported(tmp_path)
    content = (tmp_path / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert str(tmp_path).encode() not in content
    assert b".py" not in content


@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_pruned_network_exports_too(tmp_path: Path, name: str) -> None:
    save_network(random_network(name, 64), tmp_path / "whole.pt")
    output = prune(tmp_path / "whole.pt", tmp_path, PruneOptions(ratio=0.25, iterations=1), spots(16, 64, 2))
    facts = export(tmp_path / output.main, tmp_path, SAMPLES).facts
    assert max(facts["parity"].values()) < 1e-4


def test_a_graph_that_computes_something_else_is_refused_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_network(random_network("cnn", 64), tmp_path / "network.pt")
    other = to_onnx(random_network("cnn", 64, seed=5))
    monkeypatch.setattr(export_onnx, "to_onnx", lambda network: other)
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
    for network in networks_of_each_kind(48):
        images = torch.randn(2, 1, 48, 48)
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
