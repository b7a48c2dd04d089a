"""A network that looks at the mirror image too: one answer for left and right, in torch and in graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from compress import zoo
from compress.improve.recover import prove, recover
from compress.lint import lint
from compress.options.prune import PruneOptions
from compress.options.target import TargetOptions
from compress.pruning.cut import prune_network
from compress.steps.calibration import CalibrationData
from compress.steps.compile_tensorrt import compile_tensorrt
from compress.steps.export_onnx import export, to_onnx
from compress.steps.graph import load_graph
from compress.steps.openvino_tools import open_ir
from compress.steps.quantize import quantize
from compress.steps.tensorrt_plan import TensorRtOptions
from compress.steps.train import warm_start
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import cost_of
from compress.zoo.ensemble import Ensemble
from compress.zoo.fused import fuse
from compress.zoo.options import ModelOptions
from compress.zoo.watched import WatchedNet
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import RecipeError
from tests.compress.networks import FAMILIES, small_network, spots
from tests.compress.steps import graphs
from tests.facts import SPEC

SIZE = 64
DEEP = ("densenet121", "resnet50")
"""As graphs they hold nothing that is not in another family too, and take as long as all of these."""
SAMPLES = spots(40, SIZE, seed=3)
IMAGES = torch.from_numpy(SAMPLES.tensors[:3])
CALIBRATION = CalibrationData(graphs.images(32, seed=5, size_px=SIZE), tuple(f"case-{n}" for n in range(32)))
UNSEEN = graphs.images(8, seed=6, size_px=SIZE)


def mirroring(network: FractureNet) -> FractureNet:
    network.options = replace(network.options, mirror=True)
    return network


def answers(network: FractureNet, images: Tensor = IMAGES, facts: Tensor | None = None) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return tuple(network(images, facts))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_picture_and_its_mirror_image_get_the_mean_of_both_answers(name: str) -> None:
    network = small_network(name, SIZE)
    (logit, evidence), (other, reflected) = answers(network), answers(network, IMAGES.flip(-1))
    mirroring(network)
    wanted = (logit + other) / 2, (evidence + reflected.flip(-1)) / 2
    torch.testing.assert_close(answers(network), wanted, atol=1e-5, rtol=1e-5)
    left, right = answers(network), answers(network, IMAGES.flip(-1))
    torch.testing.assert_close(left, (right[0], right[1].flip(-1)), atol=1e-5, rtol=1e-5)


def test_in_training_it_looks_once_and_at_the_picture_alone() -> None:
    torch.manual_seed(0)
    plain = answers(small_network("cnn", SIZE).train())
    torch.manual_seed(0)
    torch.testing.assert_close(answers(mirroring(small_network("cnn", SIZE)).train()), plain)


def test_both_looks_are_told_the_same_facts() -> None:
    network = fuse(small_network("cnn", SIZE), SPEC)
    torch.nn.init.normal_(network.head.modulation.scale.weight, std=0.3)  # type: ignore[union-attr, arg-type]
    facts = torch.rand(3, SPEC.width, generator=torch.Generator().manual_seed(2))
    one, other = answers(network, IMAGES, facts), answers(network, IMAGES.flip(-1), facts)
    torch.testing.assert_close(answers(mirroring(network), IMAGES, facts)[0], (one[0] + other[0]) / 2)


def test_an_ensemble_of_networks_that_mirror_is_not_mirrored_once_more(tmp_path: Path) -> None:
    members = [mirroring(small_network(name, SIZE)) for name in ("cnn", "ann")]
    save_network(Ensemble(members).eval(), tmp_path / "network.pt")
    options = ModelOptions("ensemble", weights=str(tmp_path / "network.pt"))
    torch.testing.assert_close(answers(zoo.build(options, SIZE)), answers(Ensemble(members).eval()))
    with pytest.raises(RecipeError, match="mirror image themselves"):
        zoo.build(replace(options, mirror=True), SIZE)


@pytest.mark.parametrize("mirror", [True, False])
def test_a_warm_start_looks_as_its_recipe_says(mirror: bool, tmp_path: Path) -> None:
    network = small_network("cnn", SIZE)
    network.options = replace(network.options, mirror=not mirror)
    save_network(network, tmp_path / "network.pt")
    begun = warm_start(tmp_path / "network.pt", replace(network.options, mirror=mirror), SIZE)
    assert begun.options.mirror is mirror


def test_the_work_is_counted_twice_and_the_weights_once() -> None:
    plain, both = cost_of(small_network("cnn", SIZE)), cost_of(mirroring(small_network("cnn", SIZE)))
    assert (both.macs, both.parameters) == (2 * plain.macs, plain.parameters)


@pytest.mark.parametrize("members", [1, 2])
def test_features_of_a_mirror_image_are_those_of_the_picture(members: int) -> None:
    networks = [mirroring(small_network("cnn", SIZE)) for _ in range(members)]
    watched = WatchedNet(networks[0] if members == 1 else mirroring(Ensemble(networks).eval()))
    with torch.no_grad():
        one, other = watched(IMAGES)[2], watched(IMAGES.flip(-1))[2]
    assert one.shape[0] == len(IMAGES) and one.std(dim=0).max() > 0
    torch.testing.assert_close(one, other)


def test_it_comes_back_from_its_file_and_from_its_graph(tmp_path: Path) -> None:
    network = mirroring(small_network("efficientnet_lite0", SIZE))
    save_network(network, tmp_path / "network.pt")
    torch.testing.assert_close(answers(load_network(tmp_path / "network.pt")), answers(network))
    graph = to_onnx(network, with_features=True).SerializeToString()
    found = recover(graph, network.options, SAMPLES.tensors)
    assert found.options.mirror
    assert prove(found, OrtBackend(ModelFiles(graph)), SAMPLES.tensors).logit < 1e-3


@pytest.mark.parametrize("name", ["cnn", "efficientnet_lite0"])
def test_pruning_thins_out_a_network_that_mirrors_as_one_that_does_not(name: str) -> None:
    plain, both = small_network(name, SIZE), mirroring(small_network(name, SIZE))
    options = PruneOptions(ratio=0.3, iterations=1, importance="group_norm")
    for network in (plain, both):
        prune_network(network, options, SAMPLES)
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in (plain, both)]
    assert shapes[0] == shapes[1]
    assert cost_of(both).macs == 2 * cost_of(plain).macs


@pytest.mark.parametrize("name", [one for one in FAMILIES if one not in DEEP])
def test_every_family_exports_with_both_looks_in_one_graph(name: str, tmp_path: Path) -> None:
    save_network(mirroring(small_network(name, SIZE)), tmp_path / "network.pt")
    facts = export(tmp_path / "network.pt", tmp_path, SAMPLES.tensors, with_features=True).facts
    assert max(facts["parity"].values()) < 1e-3


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "tensorrt"])
def test_eight_bits_keep_the_answer_and_its_symmetry(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(mirroring(small_network("cnn", SIZE))).SerializeToString())
    (tmp_path / "int8").mkdir()
    quantize(path, tmp_path / "int8", CALIBRATION, TargetOptions(engine))
    if engine == "openvino":
        backend = open_ir(tmp_path / "int8" / "model.xml")
    else:
        backend = OrtBackend(ModelFiles((tmp_path / "int8" / "model.onnx").read_bytes()))
    wanted = OrtBackend(ModelFiles(path.read_bytes())).infer({"image": UNSEEN})
    got = backend.infer({"image": UNSEEN})
    mirrored = backend.infer({"image": np.ascontiguousarray(UNSEEN[:, :, :, ::-1])})
    assert np.abs(wanted["logit"] - got["logit"]).max() < 0.1 * float(np.ptp(wanted["map"]))
    np.testing.assert_allclose(got["logit"], mirrored["logit"], atol=1e-4)


@pytest.mark.slow
def test_tensorrt_compiles_both_looks(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(mirroring(small_network("efficientnet_lite0", SIZE)), True).SerializeToString())
    for name in ("int8", "engine"):
        (tmp_path / name).mkdir()
    quantize(path, tmp_path / "int8", CALIBRATION, TargetOptions("tensorrt"))
    assert lint(load_graph(tmp_path / "int8" / "model.onnx"), "tensorrt") == ()
    options = TensorRtOptions(library="tensorrt_rtx", capabilities=("sm89",))
    assert (
        compile_tensorrt(tmp_path / "int8" / "model.onnx", tmp_path / "engine", options).facts["precision"]
        == "int8"
    )
