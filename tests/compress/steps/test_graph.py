from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.steps.graph import (
    drop_unused_domains,
    head_nodes,
    lint_for_tensorrt,
    load_graph,
    name_nodes,
    require_tensorrt_graph,
    summarize,
)
from runtime.errors import StepError
from tests.compress.steps import graphs


def quantized_layer(zero_point: np.ndarray, scale: float = 0.1, opset: int = 17) -> onnx.ModelProto:
    """image -> Q -> DQ -> map."""
    constants = [
        numpy_helper.from_array(np.array(scale, np.float32), "scale"),
        numpy_helper.from_array(zero_point, "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"], name="quantize_it"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["map"], name="dequantize_it"),
    ]
    return model_of(nodes, constants, opset)


def model_of(nodes, constants=(), opset=17, domains=()):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "test",
        [value("image", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [value("map", TensorProto.FLOAT, None)],
        list(constants),
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=imports)


def test_a_float_graph_counts_its_nodes_and_no_quantized_share():
    summary = summarize(graphs.residual())
    assert summary.nodes["Conv"] == summary.compute_nodes > 5
    assert summary.quantized_share == 0
    assert summary.node_count == sum(summary.nodes.values())


def test_the_head_runs_from_the_last_convolution_to_the_logit():
    model = graphs.residual()
    names = head_nodes(model)
    kinds = [node.op_type for node in model.graph.node if node.name in names]
    assert kinds[0] == "Conv"
    assert kinds.count("Conv") == 1
    assert {"ReduceMax", "Exp", "ReduceMean", "Log"} <= set(kinds)
    assert "Relu" not in kinds


def test_a_graph_without_a_map_has_no_head():
    with pytest.raises(StepError, match="must compute"):
        head_nodes(model_of([helper.make_node("Relu", ["image"], ["other"])]))


def test_nodes_without_names_get_different_ones():
    model = graphs.residual()
    for node in model.graph.node:
        node.name = ""
    model.graph.node[0].name = "Conv_2"
    name_nodes(model)
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)
    assert model.graph.node[0].name == "Conv_2"


def test_operator_sets_that_no_node_uses_are_dropped():
    nodes = [helper.make_node("Gelu", ["image"], ["map"], domain="com.microsoft")]
    model = model_of(nodes, domains=("com.microsoft", "ai.onnx.ml"))
    drop_unused_domains(model)
    assert {item.domain for item in model.opset_import} == {"", "com.microsoft"}


def test_bytes_that_are_no_graph_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff\xfe no graph")
    with pytest.raises(StepError, match=r"model\.onnx is no ONNX graph"):
        load_graph(path)


def test_signed_zero_points_of_zero_pass_for_tensorrt():
    assert lint_for_tensorrt(quantized_layer(np.array(0, np.int8))) == ()
    assert lint_for_tensorrt(graphs.residual()) == ()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (quantized_layer(np.array(128, np.uint8)), "QuantizeLinear quantize_it: zero point of type UINT8"),
        (quantized_layer(np.array(0, np.uint8)), "DequantizeLinear dequantize_it: zero point of type UINT8"),
        (quantized_layer(np.array(3, np.int8)), "QuantizeLinear quantize_it: the zero point is not 0"),
        (quantized_layer(np.array(0, np.int8), scale=0.0), "a scale is not positive"),
        (quantized_layer(np.array(0, np.int8), opset=12), "opset 12, needs at least 13"),
    ],
    ids=["unsigned", "unsigned zero", "shifted", "no scale", "old opset"],
)
def test_what_tensorrt_would_misread_is_named_with_its_node(model, expected):
    assert any(expected in line for line in lint_for_tensorrt(model))
    with pytest.raises(StepError, match="TensorRT would misread"):
        require_tensorrt_graph(model)


def test_a_missing_zero_point_means_unsigned():
    constants = [numpy_helper.from_array(np.array(0.1, np.float32), "scale")]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale"], ["q"], name="implicit"),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["map"]),
    ]
    assert lint_for_tensorrt(model_of(nodes, constants)) == (
        "QuantizeLinear implicit: output of type UINT8, must be INT8",
    )


def test_zero_points_in_constant_nodes_are_seen():
    zero = numpy_helper.from_array(np.array(7, np.uint8), "value")
    model = quantized_layer(np.array(0, np.int8))
    del model.graph.initializer[1]
    model.graph.node.insert(0, helper.make_node("Constant", [], ["zero"], value=zero))
    assert len(lint_for_tensorrt(model)) == 2


def test_zero_points_that_are_computed_are_refused():
    model = quantized_layer(np.array(0, np.int8))
    del model.graph.initializer[1]
    model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["zero"], to=TensorProto.INT8))
    assert any("not a constant" in line for line in lint_for_tensorrt(model))


def test_quantized_biases_are_refused():
    constants = [
        numpy_helper.from_array(np.array(0.1, np.float32), "scale"),
        numpy_helper.from_array(np.arange(4, dtype=np.int32), "bias"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["bias", "scale"], ["b"], name="the_bias"),
        helper.make_node("Add", ["image", "b"], ["map"]),
    ]
    expected = ("DequantizeLinear the_bias: values of type INT32, must be INT8",)
    assert lint_for_tensorrt(model_of(nodes, constants)) == expected


@pytest.mark.parametrize(("operator", "domain"), [("QLinearConv", ""), ("QLinearAdd", "com.microsoft")])
def test_operators_that_tensorrt_does_not_know_are_refused(operator, domain):
    node = helper.make_node(operator, ["image"], ["map"], name="odd", domain=domain)
    assert lint_for_tensorrt(model_of([node]))[0].startswith(f"{operator} odd: ")
