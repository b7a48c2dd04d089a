"""Graph passes on small hand-made graphs: what is folded, and what must not be."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.steps.export_passes import drop_unused, fold_padding, unshare_weights

IMAGE = np.random.default_rng(0).normal(size=(1, 1, 6, 6)).astype(np.float32)


def graph_of(pads: list[int], mode: str = "constant", fill: float = 0.0, extra: str = "") -> onnx.ModelProto:
    """image -> Pad -> Conv(pads 1 on top) -> out; `extra` adds a second reader of the padded image."""
    nodes = [
        helper.make_node("Pad", ["image", "pads", "fill"], ["padded"], mode=mode),
        helper.make_node("Conv", ["padded", "kernel"], ["out"], pads=[1, 0, 0, 0]),
    ]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)]
    if extra:
        nodes.append(helper.make_node("Relu", ["padded"], ["seen"]))
        outputs.append(helper.make_tensor_value_info("seen", TensorProto.FLOAT, None))
    weights = [
        numpy_helper.from_array(np.array(pads, np.int64), "pads"),
        numpy_helper.from_array(np.array(fill, np.float32), "fill"),
        numpy_helper.from_array(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), "kernel"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 6, 6])
    graph = helper.make_graph(nodes, "g", [image], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": IMAGE})[0]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_zero_padding_moves_into_the_convolution_and_adds_to_its_own() -> None:
    model = graph_of([0, 0, 0, 1, 0, 0, 2, 1])
    expected = run(model)
    fold_padding(model)
    drop_unused(model.graph)
    assert kinds(model) == ["Conv"]
    assert np.allclose(run(model), expected)
    assert [tensor.name for tensor in model.graph.initializer] == ["kernel"]


def test_padding_whose_size_is_computed_from_constants_is_folded_too() -> None:
    model = graph_of([0, 0, 0, 1, 0, 0, 2, 1])
    expected = run(model)
    model.graph.initializer[0].name = "stored"
    model.graph.node.insert(0, helper.make_node("Cast", ["stored"], ["pads"], to=TensorProto.INT64))
    fold_padding(model)
    drop_unused(model.graph)
    assert kinds(model) == ["Conv"]
    assert np.allclose(run(model), expected)


@pytest.mark.parametrize(
    "model",
    [
        graph_of([0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"),
        graph_of([0, 0, 1, 1, 0, 0, 1, 1], fill=1.0),
        graph_of([0, 0, -1, 0, 0, 0, 0, 0]),
        graph_of([0, 0, 1, 1, 0, 0, 1, 1], extra="second reader"),
    ],
    ids=["reflecting", "with ones", "cropping", "read by something else too"],
)
def test_a_pad_that_is_more_than_zeros_for_a_convolution_stays(model: onnx.ModelProto) -> None:
    expected = run(model)
    fold_padding(model)
    drop_unused(model.graph)
    assert "Pad" in kinds(model)
    assert np.allclose(run(model), expected)


def test_padding_that_the_input_decides_stays() -> None:
    model = graph_of([0, 0, 1, 1, 0, 0, 1, 1])
    model.graph.initializer.remove(model.graph.initializer[0])
    model.graph.input.append(helper.make_tensor_value_info("pads", TensorProto.INT64, [8]))
    fold_padding(model)
    assert kinds(model) == ["Pad", "Conv"]


def test_shared_weights_become_initializers_of_their_own() -> None:
    model = graph_of([0] * 8)
    model.graph.node.insert(0, helper.make_node("Identity", ["kernel"], ["kernel_again"]))
    model.graph.node[2].input[1] = "kernel_again"
    expected = run(model)
    unshare_weights(model.graph)
    assert "Identity" not in kinds(model)
    assert {"kernel", "kernel_again"} <= {tensor.name for tensor in model.graph.initializer}
    assert np.allclose(run(model), expected)
