"""FP16 graphs for TensorRT: typed, close to the float graph, and built as such."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compress.steps.compile_tensorrt import compile_tensorrt
from compress.steps.export_onnx import to_onnx
from compress.steps.graph import head_nodes, load_graph
from compress.steps.half_precision import halve, to_half
from compress.steps.ort_tools import prepare
from compress.steps.tensorrt_plan import TensorRtOptions
from runtime.errors import StepError
from tests.compress.networks import FAMILIES, random_network
from tests.compress.steps import graphs


def exported(name, folder):
    path = folder / "float.onnx"
    path.write_bytes(to_onnx(random_network(name, graphs.SIZE_PX)).SerializeToString())
    return path


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("densenet121", "resnet50")])
def test_every_family_answers_in_halves_nearly_as_in_single_precision(name, tmp_path):
    output = halve(exported(name, tmp_path), tmp_path, graphs.calibration())
    assert output.facts["fidelity"]["map_snr_db"] > 30
    weights = [tensor for tensor in load_graph(tmp_path / "model.onnx").graph.initializer if tensor.dims]
    assert onnx.TensorProto.FLOAT16 in {tensor.data_type for tensor in weights}


def test_doors_and_head_stay_in_single_precision(tmp_path):
    source = exported("cnn", tmp_path)
    half = to_half(prepare(source))
    doors = {item.name: item.type.tensor_type.elem_type for item in (*half.graph.input, *half.graph.output)}
    assert set(doors.values()) == {onnx.TensorProto.FLOAT}
    kept = set(head_nodes(prepare(source)))
    tensors = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    for node in half.graph.node:
        if node.op_type == "Conv":
            wanted = onnx.TensorProto.FLOAT if node.name in kept else onnx.TensorProto.FLOAT16
            assert tensors[node.input[1]] == wanted, node.name


def test_the_given_graph_is_not_changed(tmp_path):
    model = prepare(exported("cnn", tmp_path))
    before = model.SerializeToString()
    to_half(model)
    assert model.SerializeToString() == before


def test_weights_that_no_half_holds_are_refused_by_name(tmp_path):
    source = exported("cnn", tmp_path)
    model = load_graph(source)
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(np.full(tuple(tensor.dims), 1e6, np.float32), tensor.name))
    source.write_bytes(model.SerializeToString())
    with pytest.raises(StepError, match=f"weights beyond 65504 cannot be halves: .*{tensor.name}"):
        halve(source, tmp_path, graphs.calibration())
    assert not (tmp_path / "model.onnx").exists()


def test_tensorrt_builds_it_by_its_own_types(tmp_path):
    pytest.importorskip("tensorrt_rtx")
    halve(exported("cnn", tmp_path), tmp_path, graphs.calibration())
    options = TensorRtOptions(library="tensorrt_rtx", capabilities=("sm89",))
    output = compile_tensorrt(tmp_path / "model.onnx", tmp_path, options)
    assert output.facts["precision"] == "fp16"
    assert output.facts["layers"]["CAST"] > 0
    assert json.loads((tmp_path / "plan.json").read_text())["commands"]["tensorrt 8 and 9"].endswith("--fp16")
