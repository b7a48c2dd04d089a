"""Outlying channels move into the weights: no answer changes in float, and eight bits hold more of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from compress.fallback.mixed import open_mixer
from compress.layers.onnx_layers import OnnxLayers
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.export_onnx import to_onnx
from compress.steps.fidelity import compare_backends
from compress.steps.graph import head_nodes
from compress.steps.openvino_tools import open_ir
from compress.steps.ort_tools import prepare
from compress.steps.quantize import quantize
from compress.steps.smooth import factors, find_spots, smooth, smoothed_file
from compress.steps.stand_in import StandInBackend
from compress.zoo import build
from compress.zoo.base import EvidenceHead, FractureNet
from compress.zoo.options import ModelOptions
from runtime.errors import StepError

from . import graphs

_SIZE_PX, _SMALL_PX = 64, 16
_PIXELS = _SMALL_PX**2
_OUTLIER, _TIMES = 3, 40.0
_EXACT_DB = 90.0
_DEPTH = 6
ENGINES = ("onnxruntime", "openvino", "tensorrt")
alphas = st.floats(0.01, 1.0)


@functools.cache
def images_of(size_px: int) -> CalibrationData:
    images = graphs.images(32, size_px=size_px)
    return CalibrationData(images, tuple(f"case-{n}" for n in range(len(images))))


@functools.cache
def transformer() -> onnx.ModelProto:
    """The zoo's vision transformer, narrow; one channel of every normalised token is far above all others."""
    torch.manual_seed(0)
    network = build(ModelOptions("vit", width=1 / 3), _SIZE_PX).eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.LayerNorm):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, std=0.1)
                layer.weight[_OUTLIER] *= _TIMES
                layer.bias[_OUTLIER] *= _TIMES
    return to_onnx(network)


def plain() -> onnx.ModelProto:
    """A convolution behind whose ReLU6 only the head comes."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 8, 3, 4), nn.ReLU6())
    return to_onnx(FractureNet(layers, EvidenceHead(8, 1.0), ModelOptions("cnn"), _SIZE_PX).eval())


def grouped(groups: int) -> onnx.ModelProto:
    """Convolutions with `groups` groups between others, with Relu and a pool between them."""
    torch.manual_seed(groups)
    layers = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, groups=groups),
        nn.ReLU(),
        nn.Conv2d(16, 8, 3, padding=1, bias=False),
        nn.ReLU(),
    )
    return to_onnx(FractureNet(layers, EvidenceHead(8, 1.0), ModelOptions("cnn"), _SIZE_PX).eval())


def products(transposed: bool, shared: bool) -> onnx.ModelProto:
    """image -> LayerNormalization of all pixels -> two Gemm -> their sum -> head. shared: of one weight."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(_PIXELS, _PIXELS)).astype(np.float32) for name in ("first", "second")}
    arrays |= {name: rng.uniform(0.1, 9, _PIXELS).astype(np.float32) for name in ("gain", "shift")}
    arrays |= {
        "kernel": np.ones((1, 1, 1, 1), np.float32),
        "square": np.array([-1, 1, _SMALL_PX, _SMALL_PX], np.int64),
    }
    names = ("first", "first") if shared else ("first", "second")
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], name="flatten"),
        helper.make_node("LayerNormalization", ["flat", "gain", "shift"], ["even"], name="norm", axis=-1),
        *(
            helper.make_node("Gemm", ["even", name], [f"out{n}"], name=f"gemm{n}", transB=int(transposed))
            for n, name in enumerate(names)
        ),
        helper.make_node("Add", ["out0", "out1"], ["sum"], name="add"),
        helper.make_node("Reshape", ["sum", "square"], ["grid"], name="reshape"),
        helper.make_node("Conv", ["grid", "kernel"], ["map"], name="head"),
        helper.make_node("GlobalMaxPool", ["map"], ["top"], name="top"),
        helper.make_node("Flatten", ["top"], ["logit"], name="logit"),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, _SMALL_PX, _SMALL_PX])]
    outputs = [
        helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n", 1]),
        helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 1, _SMALL_PX, _SMALL_PX]),
    ]
    held = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "products", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write(model: onnx.ModelProto, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(transformer(), tmp_path_factory.mktemp("vit"))


@functools.cache
def _prepared(path: Path) -> onnx.ModelProto:
    return prepare(path)


def same_db(before: onnx.ModelProto, after: onnx.ModelProto, calibration: CalibrationData) -> float:
    reference, candidate = (StandInBackend(model.SerializeToString()) for model in (before, after))
    fidelity = compare_backends(reference, candidate, calibration.tensors[:8])
    return min(fidelity.logit_snr_db, fidelity.map_snr_db)


@given(alphas)
@settings(max_examples=8, deadline=None)
def test_a_transformers_float_answers_stay_equal_to_rounding(vit: Path, alpha: float) -> None:
    model, calibration = _prepared(vit), images_of(_SIZE_PX)
    smoothed = smooth(model, calibration, alpha)
    assert smoothed.kinds["LayerNormalization"] == 2 * _DEPTH
    assert same_db(model, smoothed.model, calibration) > _EXACT_DB


@pytest.mark.parametrize("groups", [1, 2, 8])
@given(alpha=alphas)
@settings(max_examples=5, deadline=None)
def test_convolutions_answer_alike_with_any_number_of_groups(
    tmp_path_factory: pytest.TempPathFactory, groups: int, alpha: float
) -> None:
    model = prepare(write(grouped(groups), tmp_path_factory.mktemp("grouped")))
    smoothed = smooth(model, images_of(_SIZE_PX), alpha)
    assert (smoothed.kinds, smoothed.readers) == ({"Conv": 2}, 2)
    assert same_db(model, smoothed.model, images_of(_SIZE_PX)) > _EXACT_DB


@pytest.mark.parametrize("transposed", [False, True])
def test_gemm_behind_a_norm_answers_alike_and_both_readers_share_the_factors(transposed: bool) -> None:
    model = products(transposed, shared=False)
    smoothed = smooth(model, images_of(_SMALL_PX), 0.5)
    assert (smoothed.inputs, smoothed.readers) == (1, 2)
    assert same_db(model, smoothed.model, images_of(_SMALL_PX)) > _EXACT_DB


def test_weights_that_two_layers_share_are_left_for_the_graph_not_to_hold_them_twice() -> None:
    assert find_spots(products(transposed=False, shared=True)) == ()


def test_what_a_sum_or_the_head_reads_is_never_smoothed() -> None:
    model = graphs.residual()
    spots = find_spots(model)
    assert spots
    touched = {tensor for spot in spots for tensor in spot.tensors}
    for node in model.graph.node:
        if node.op_type == "Add" or node.name in head_nodes(model):
            assert touched.isdisjoint(node.input)
    assert touched.isdisjoint(item.name for item in model.graph.output)


def test_a_tensor_keeps_its_name_only_where_it_keeps_its_values(vit: Path) -> None:
    model, calibration = _prepared(vit), images_of(_SIZE_PX)
    before, after = OnnxLayers(model), OnnxLayers(smooth(model, calibration, 0.7).model)
    common = [item.name for item in before.tensors if item.name in {other.name for other in after.tensors}]
    renamed = len(before.tensors) - len(common)
    assert renamed >= 2 * _DEPTH
    feed = calibration.feed(0)
    wanted, got = before.tap(common)(feed), after.tap(common)(feed)
    for name in common:
        assert np.allclose(wanted[name], got[name], atol=1e-3 * (1 + np.abs(wanted[name]).max())), name


@dataclass(frozen=True)
class Halved:
    """The transformer quantized for an engine after smoothing at one half."""

    engine: str
    path: Path
    facts: dict[str, Any]


@pytest.fixture(scope="module", params=ENGINES)
def halved(request: pytest.FixtureRequest, vit: Path, tmp_path_factory: pytest.TempPathFactory) -> Halved:
    folder = tmp_path_factory.mktemp(request.param)
    output = quantize(vit, folder, images_of(_SIZE_PX), TargetOptions(request.param, smooth=0.5))
    return Halved(request.param, folder / output.main, output.facts)


def test_eight_bits_hold_more_of_a_transformer_with_an_outlying_channel(
    vit: Path, tmp_path: Path, halved: Halved
) -> None:
    rough = quantize(vit, tmp_path, images_of(_SIZE_PX), TargetOptions(halved.engine)).facts
    assert halved.facts["fidelity"]["map_snr_db"] > rough["fidelity"]["map_snr_db"] + 1
    facts = halved.facts["smooth"]
    assert (facts["alpha"], facts["behind"]["LayerNormalization"]) == (0.5, 2 * _DEPTH)
    assert facts["inputs"] == sum(facts["behind"].values())
    assert "smooth" not in rough


def test_layers_that_go_back_to_float_take_the_weights_of_the_smoothed_graph(
    vit: Path, tmp_path: Path, halved: Halved
) -> None:
    def all_in_float(source: Path, folder: Path) -> float:
        folder.mkdir()
        mixer = open_mixer(source, halved.path)
        path = folder / mixer.write([group.name for group in mixer.groups], folder).main
        candidate = open_ir(path) if path.suffix == ".xml" else StandInBackend(path.read_bytes())
        reference = StandInBackend(vit.read_bytes())
        return compare_backends(reference, candidate, images_of(_SIZE_PX).tensors[:8]).map_snr_db

    with smoothed_file(vit, images_of(_SIZE_PX), 0.5) as (smoothed, _):
        assert all_in_float(smoothed, tmp_path / "right") > 40
    if halved.engine == "openvino":
        with pytest.raises(StepError, match="the float model has no layer that makes"):
            all_in_float(vit, tmp_path / "wrong")
    else:
        assert all_in_float(vit, tmp_path / "wrong") < 20


def test_a_graph_in_which_nothing_can_be_smoothed_stays_as_it_is_and_the_step_says_so(
    tmp_path: Path,
) -> None:
    source, calibration = write(plain(), tmp_path), images_of(_SIZE_PX)
    with smoothed_file(source, calibration, 0.5) as (path, _):
        assert path == source
    made = {}
    for alpha in (0.0, 0.5):
        folder = tmp_path / str(alpha)
        folder.mkdir()
        facts = quantize(source, folder, calibration, TargetOptions("onnxruntime", smooth=alpha)).facts
        made[alpha] = (folder / "model.onnx").read_bytes()
    assert made[0.0] == made[0.5]
    assert facts["smooth"]["inputs"] == 0 and "nothing" in facts["smooth"]["why"]


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e2)), min_size=1, max_size=40),
    alphas,
)
def test_factors_are_positive_and_what_is_never_used_keeps_its_scale(
    channels: list[tuple[float, float]], alpha: float
) -> None:
    activations, weights = (np.array(side) for side in zip(*channels, strict=True))
    found = factors(activations, weights, alpha)
    assert np.isfinite(found).all() and (found > 0).all()
    assert (found[(activations == 0) | (weights == 0)] == 1).all()


def test_at_half_activations_and_weights_get_the_same_range() -> None:
    activations, weights = _magnitudes(0)
    scale = factors(activations, weights, 0.5)
    kept = activations / weights > np.quantile(activations / weights, 0.1)
    ratio = (activations / scale / (weights * scale))[kept]
    assert np.allclose(ratio, ratio[0])


def test_at_one_every_channel_gets_the_same_range_but_the_smallest_are_not_enlarged_without_end() -> None:
    activations, weights = _magnitudes(1)
    activations[7] = 1e-9
    even = activations / factors(activations, weights, 1.0)
    usual = activations >= np.quantile(activations, 0.1)
    assert np.allclose(even[usual], even.max())
    assert (even[~usual] < even.max()).all() and even[7] < 1e-6 * even.max()


def _magnitudes(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.lognormal(size=64), rng.lognormal(size=64)
