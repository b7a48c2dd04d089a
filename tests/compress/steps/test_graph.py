from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from compress.steps.graph import (
    drop_unused_domains,
    head_nodes,
    load_graph,
    name_nodes,
    summarize,
)
from runtime.errors import StepError
from tests.compress.steps import graphs


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
