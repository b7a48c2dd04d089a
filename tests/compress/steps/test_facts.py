"""The second input on its way through export, quantizers and compilers."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compress.options.target import TargetOptions
from compress.steps import openvino_tools
from compress.steps.calibration import CalibrationData
from compress.steps.compile_openvino import compile_openvino
from compress.steps.compile_ort import compile_ort
from compress.steps.compile_tensorrt import compile_tensorrt
from compress.steps.export_onnx import export, to_onnx
from compress.steps.fidelity import drawn_facts
from compress.steps.graph import load_graph, metadata_nodes, name_nodes
from compress.steps.quantize import quantize
from compress.steps.stand_in import StandInBackend
from compress.steps.tensorrt_plan import TensorRtOptions, make_plan
from compress.torch_backend import TorchBackend
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import save_network
from compress.zoo.fused import fuse
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, METADATA_NAME, Backend, ModelFiles
from runtime.backends.feeds import image_alone
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError
from tests.compress.networks import random_network
from tests.compress.steps import graphs
from tests.facts import SPEC

SIZE = graphs.SIZE_PX


@functools.cache
def network() -> FractureNet:
    fused = fuse(random_network("cnn", SIZE, width=0.5), SPEC)
    torch.manual_seed(3)
    for parameter in fused.head.modulation.parameters():  # type: ignore[union-attr]
        nn.init.normal_(parameter, std=0.3)
    return fused


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("facts")
    save_network(network(), folder / "network.pt")
    export(folder / "network.pt", folder, graphs.images(2), with_features=True)
    return folder / "model.onnx"


def facts(count: int) -> np.ndarray:
    return np.random.default_rng(4).random((count, SPEC.width)).astype(np.float32)


def calibration() -> CalibrationData:
    plain = graphs.calibration()
    return CalibrationData(plain.tensors, plain.case_ids, facts(len(plain)))


def shift(backend: Backend) -> np.ndarray:
    """How far facts move the logits of some images."""
    images = graphs.images(6, seed=8)
    logits = [
        np.concatenate(
            [backend.infer({INPUT_NAME: images[i : i + 1], METADATA_NAME: told[i : i + 1]})[LOGIT_NAME]
             for i in range(len(images))]
        )
        for told in (facts(6), np.zeros((6, SPEC.width), np.float32))
    ]  # fmt: skip
    return logits[0] - logits[1]


def test_the_exported_graph_takes_facts_and_repeats_torch(source: Path) -> None:
    exported = OrtBackend(ModelFiles(source.read_bytes()))
    assert {info.name: info.shape[1:] for info in exported.inputs} == {
        INPUT_NAME: (1, SIZE, SIZE),
        METADATA_NAME: (SPEC.width,),
    }
    expected = shift(TorchBackend(network()))
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(shift(exported), expected, atol=1e-4)


def test_a_network_of_the_picture_alone_has_one_input() -> None:
    graph = to_onnx(random_network("cnn", SIZE, width=0.5)).graph
    assert [item.name for item in graph.input] == [INPUT_NAME]


def test_what_facts_touch_stays_in_float_in_every_recipe(source: Path) -> None:
    model = load_graph(source)
    name_nodes(model)
    touched = set(metadata_nodes(model))
    assert {"Conv", "Mul", "Add"} <= {node.op_type for node in model.graph.node if node.name in touched}
    assert metadata_nodes(graphs.residual()) == ()


@pytest.mark.parametrize(
    ("engine", "least_db"), [("onnxruntime", 10.0), ("openvino", 10.0), ("tensorrt", 10.0)]
)
def test_a_quantized_graph_is_moved_by_facts_as_the_float_one(
    source: Path, tmp_path: Path, engine: str, least_db: float
) -> None:
    made = quantize(source, tmp_path, calibration(), TargetOptions(engine))
    assert made.facts["quantized_share"] > 0.5
    assert made.facts["fidelity"]["logit_snr_db"] > least_db
    assert any("modulation" in name for name in made.facts["float_nodes"])
    path = tmp_path / made.main
    backend = openvino_tools.open_ir(path) if path.suffix == ".xml" else StandInBackend(path.read_bytes())
    np.testing.assert_allclose(shift(backend), shift(TorchBackend(network())), atol=0.25)


@pytest.mark.parametrize("compiler", [compile_ort, compile_openvino])
def test_compiled_forms_are_proved_with_facts(source: Path, tmp_path: Path, compiler) -> None:
    made = compiler(source, tmp_path, graphs.images(4))
    assert made.facts["parity"]["logit_snr_db"] > 60
    path = tmp_path / made.main
    backend = (
        openvino_tools.open_ir(path) if path.suffix == ".xml" else OrtBackend(ModelFiles(path.read_bytes()))
    )
    np.testing.assert_allclose(shift(backend), shift(TorchBackend(network())), atol=1e-3)


def test_the_plan_of_an_engine_gives_both_inputs_a_range(source: Path, tmp_path: Path) -> None:
    plan = make_plan(source, tmp_path, TensorRtOptions(max_batch=4))
    assert plan.shapes[METADATA_NAME] == {"min": [1, 8], "opt": [1, 8], "max": [4, 8]}
    for command in plan.commands.values():
        assert f"--maxShapes=image:4x1x{SIZE}x{SIZE},metadata:4x8" in command


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed")
def test_tensorrt_compiles_both_inputs_ahead_of_time(source: Path, tmp_path: Path) -> None:
    options = TensorRtOptions(library="tensorrt_rtx", capabilities=("sm86",))
    made = compile_tensorrt(source, tmp_path, options)
    assert made.facts["tensors"][METADATA_NAME] == ["FLOAT", [-1, SPEC.width]]
    assert json.loads((tmp_path / "plan.json").read_text())["shapes"][METADATA_NAME]["max"] == [4, SPEC.width]


def test_features_by_which_strange_pictures_are_told_do_not_depend_on_facts(source: Path) -> None:
    backend = OrtBackend(ModelFiles(source.read_bytes()))
    images = graphs.images(2)
    alone = backend.infer(image_alone(backend.inputs, images))["features"]
    told = backend.infer({INPUT_NAME: images, METADATA_NAME: facts(2)})["features"]
    np.testing.assert_array_equal(alone, told)


def test_drawn_facts_begin_with_a_patient_of_whom_nothing_is_known(source: Path) -> None:
    drawn = drawn_facts(OrtBackend(ModelFiles(source.read_bytes())), 4)
    assert drawn is not None and drawn.shape == (4, SPEC.width)
    assert not drawn[0].any() and drawn[1:].any()
    assert drawn_facts(OrtBackend(ModelFiles(graphs.residual_bytes())), 4) is None


def test_calibration_keeps_images_and_facts_together() -> None:
    plain, told = graphs.calibration(64), facts(64)
    data = CalibrationData(plain.tensors, plain.case_ids, told)
    assert data.digest != plain.digest
    spread = data.spread(32)
    rows = [int(name.removeprefix("case-")) for name in spread.case_ids]
    assert len(rows) == 32 and rows != list(range(32))
    for row, feed in zip(rows, spread.feeds(), strict=True):
        assert np.array_equal(feed[INPUT_NAME][0], plain.tensors[row])
        assert np.array_equal(feed[METADATA_NAME][0], told[row])


@pytest.mark.parametrize("wrong", [facts(3), facts(32)[:, 0], np.full((32, 2), np.nan, np.float32)])
def test_facts_that_do_not_belong_to_the_images_are_refused(wrong: np.ndarray) -> None:
    plain = graphs.calibration()
    with pytest.raises(StepError, match="need facts"):
        CalibrationData(plain.tensors, plain.case_ids, wrong)


def test_the_graph_is_sound_onnx(source: Path) -> None:
    onnx.checker.check_model(load_graph(source), full_check=True)
