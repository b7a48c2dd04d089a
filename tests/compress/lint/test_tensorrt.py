"""Each rule of TensorRT on a graph with its defect; where the parser is installed, what it makes of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.lint import ERROR, WARNING, Answer, LintContext, lint
from compress.lint.ask import ask_tensorrt
from compress.lint.tensorrt_support import NEWEST_OPSET_LIMIT, OLDEST_OPSET_LIMIT, WITHOUT_IMPORTER
from compress.lint.tensorrt_types import require_tensorrt_graph
from runtime.errors import StepError
from runtime.trt_build.library import make_logger, network_flags
from tests.compress.lint import small
from tests.compress.lint.small import constant, layer, model, of_rule, pair, rules
from tests.compress.steps import graphs

ASKED = LintContext(answer=Answer("a parser that takes all"))
node = helper.make_node


def one_pair(zero: np.generic, scale: float = 0.1, opset: int = 17) -> onnx.ModelProto:
    """image -> Q -> DQ -> Relu -> map."""
    constants = [constant("s", np.float32(scale)), constant("z", zero)]
    return model([*pair("image", "x"), node("Relu", ["x"], ["map"], "relu")], constants, opset)


def imported_types(graph: onnx.ModelProto) -> dict[str, str]:
    """The type that the parser of TensorRT for RTX gives each layer's output."""
    trt = pytest.importorskip("tensorrt_rtx")
    log = make_logger(trt)
    builder = trt.Builder(log)
    network = builder.create_network(network_flags(trt))
    parser = trt.OnnxParser(network, log)
    assert parser.parse(graph.SerializeToString())
    layers = (network.get_layer(number) for number in range(network.num_layers))
    return {item.name: item.get_output(0).dtype.name for item in layers}


def test_signed_zero_points_of_zero_pass() -> None:
    assert lint(one_pair(np.int8(0)), "tensorrt") == ()
    assert lint(graphs.residual(), "tensorrt") == ()


@pytest.mark.parametrize(
    ("graph", "rule", "expected"),
    [
        (one_pair(np.uint8(128)), "tensorrt-zero-point", "QuantizeLinear x_Q: zero point of type UINT8"),
        (one_pair(np.uint8(0)), "tensorrt-zero-point", "DequantizeLinear x_DQ: zero point of type UINT8"),
        (one_pair(np.int8(3)), "tensorrt-zero-point", "QuantizeLinear x_Q: the zero point is not 0"),
        (one_pair(np.int8(0), scale=0.0), "tensorrt-scale", "a scale is not positive"),
        (one_pair(np.int8(0), opset=12), "tensorrt-old-opset", "opset 12, needs at least 13"),
    ],
    ids=["unsigned", "unsigned zero", "shifted", "no scale", "old opset"],
)
def test_what_tensorrt_would_misread_is_an_error_at_its_node(
    graph: onnx.ModelProto, rule: str, expected: str
) -> None:
    found = lint(graph, "tensorrt")
    assert rules(found) == {rule}
    assert {finding.severity for finding in found} == {ERROR}
    assert any(expected in finding.line for finding in found)
    with pytest.raises(StepError, match="TensorRT would misread"):
        require_tensorrt_graph(graph)


def test_unsigned_pairs_are_really_imported_as_signed_ones() -> None:
    assert imported_types(one_pair(np.uint8(0)))["x_Q"] == "INT8"


@pytest.mark.parametrize("zero", [np.uint8(128), np.int8(3)], ids=["unsigned", "shifted"])
def test_shifted_zero_points_are_really_refused(zero: np.generic) -> None:
    pytest.importorskip("tensorrt_rtx")
    answer = ask_tensorrt(one_pair(zero))
    assert answer is not None and answer.engine.startswith("tensorrt")
    assert [refusal.node for refusal in answer.refusals] == ["QuantizeLinear x_Q"]
    assert "zero point" in answer.refusals[0].reason


def test_a_missing_zero_point_means_unsigned() -> None:
    nodes = [
        node("QuantizeLinear", ["image", "s"], ["q"], "implicit"),
        node("DequantizeLinear", ["q", "s"], ["x"]),
        node("Relu", ["x"], ["map"]),
    ]
    found = lint(model(nodes, [constant("s", np.float32(0.1))]), "tensorrt")
    assert [finding.line for finding in found] == [
        "QuantizeLinear implicit: output of type UINT8, must be INT8"
    ]


def test_zero_points_in_constant_nodes_are_seen() -> None:
    graph = one_pair(np.int8(0))
    value = constant("value", np.uint8(7))
    del graph.graph.initializer[1]
    graph.graph.node.insert(0, node("Constant", [], ["z"], value=value))
    assert len(lint(graph, "tensorrt")) == 2


def test_zero_points_that_are_computed_are_refused() -> None:
    graph = one_pair(np.int8(0))
    del graph.graph.initializer[1]
    graph.graph.node.insert(0, node("Cast", ["image"], ["z"], to=TensorProto.INT8))
    assert any("not a constant" in finding.message for finding in lint(graph, "tensorrt"))


def int32_bias() -> onnx.ModelProto:
    extra = [
        node("DequantizeLinear", ["bq", "s"], ["b"], "the_bias"),
        constant("bq", np.arange(small.FILTERS, dtype=np.int32)),
    ]
    return layer(extra, small.SIGNED, bias="b")


def test_int32_biases_are_refused_by_the_lint_and_by_the_parser() -> None:
    found = lint(int32_bias(), "tensorrt")
    assert of_rule(found, "tensorrt-type") == [("DequantizeLinear the_bias", ERROR)]
    assert "tensorrt-bias-pair" not in rules(found)
    pytest.importorskip("tensorrt_rtx")
    answer = ask_tensorrt(int32_bias())
    assert answer is not None and "DequantizeLinear the_bias" in [item.node for item in answer.refusals]


@pytest.mark.parametrize(
    ("operator", "domain", "rule"),
    [
        ("QLinearConv", "", "tensorrt-integer-operator"),
        ("QLinearAdd", "com.microsoft", "tensorrt-domain"),
    ],
)
def test_operators_that_tensorrt_does_not_know_are_refused(operator: str, domain: str, rule: str) -> None:
    odd = model([node(operator, ["image"], ["map"], "odd", domain=domain)])
    odd.opset_import.extend([helper.make_opsetid(domain, 1)] if domain else [])
    assert of_rule(lint(odd, "tensorrt", ASKED), rule) == [(f"{operator} odd", ERROR)]


def test_scales_for_each_channel_of_an_activation_are_an_error() -> None:
    weight, constants = small.weights()
    nodes = [*pair("image", "x", "cs", "cz"), weight, small.conv("x", "map")]
    found = lint(model(nodes, [*small.BY_CHANNEL, *constants]), "tensorrt")
    assert of_rule(found, "tensorrt-activation-per-channel") == [("QuantizeLinear x_Q", ERROR)]


def test_scales_along_the_input_channels_of_weights_are_an_error() -> None:
    found = lint(layer((), small.SIGNED, scales=small.CHANNELS, axis=1), "tensorrt")
    assert of_rule(found, "tensorrt-weight-axis") == [("Conv conv", ERROR)]
    assert "tensorrt-weight-axis" not in rules(lint(layer((), small.SIGNED), "tensorrt"))


def test_one_scale_for_all_weights_is_a_warning() -> None:
    found = lint(layer((), small.SIGNED, scales=1), "tensorrt")
    assert of_rule(found, "tensorrt-weight-per-tensor") == [("Conv conv", WARNING)]


def test_whole_numbers_that_nobody_dequantizes_are_an_error() -> None:
    nodes = [
        node("QuantizeLinear", ["image", "s", "z"], ["q"], "open"),
        node("MaxPool", ["q"], ["p"], kernel_shape=[2, 2]),
        node("Abs", ["p"], ["a"], "reader"),
        node("DequantizeLinear", ["a", "s", "z"], ["map"], "end"),
    ]
    found = lint(model(nodes, small.SIGNED), "tensorrt")
    expected = [("QuantizeLinear open", ERROR), ("DequantizeLinear end", ERROR)]
    assert of_rule(found, "tensorrt-unpaired") == expected


def test_a_network_that_answers_in_whole_numbers_is_an_error() -> None:
    graph = model([node("QuantizeLinear", ["image", "s", "z"], ["map"], "open")], small.SIGNED)
    assert of_rule(lint(graph, "tensorrt"), "tensorrt-unpaired") == [("QuantizeLinear open", ERROR)]
    assert imported_types(graph)["open"] == "INT8"


def test_pooling_between_the_two_of_a_pair_is_fine() -> None:
    nodes = [
        node("QuantizeLinear", ["image", "s", "z"], ["q"]),
        node("MaxPool", ["q"], ["p"], kernel_shape=[2, 2]),
        node("DequantizeLinear", ["p", "s", "z"], ["x"]),
        node("Relu", ["x"], ["map"]),
    ]
    assert lint(model(nodes, small.SIGNED), "tensorrt") == ()


def residual(identity: str, summand: str) -> onnx.ModelProto:
    """A block of 4 channels: Relu -> pair -> convolution, summed with what the two names say."""
    square = np.full((small.CHANNELS, small.CHANNELS, 3, 3), 0.1, np.float32)
    weight, constants = small.weights(small.CHANNELS, like=square)
    nodes = [
        weight,
        node("Relu", ["image"], ["r"]),
        *pair("r", "x"),
        small.conv("x", "y"),
        *(pair("y", "yd") if summand == "yd" else []),
        node("Add", [summand, identity], ["sum"], "sum"),
        node("Relu", ["sum"], ["map"]),
    ]
    return model(nodes, [*small.SIGNED, *constants])


@pytest.mark.parametrize(
    ("identity", "summand", "expected"),
    [
        ("x", "y", []),
        ("r", "y", [("Add sum", WARNING)]),
        ("x", "yd", [("Add sum", WARNING)]),
        ("r", "yd", [("Add sum", WARNING)]),
    ],
    ids=["as the guide says", "identity in float", "pair behind the convolution", "both wrong"],
)
def test_residual_sums_fuse_with_a_pair_on_the_identity_alone(
    identity: str, summand: str, expected: list[tuple[str, str]]
) -> None:
    assert of_rule(lint(residual(identity, summand), "tensorrt"), "tensorrt-residual") == expected


def test_a_pair_before_the_output_is_a_warning() -> None:
    found = lint(layer((), small.SIGNED), "tensorrt")
    assert of_rule(found, "tensorrt-output-pair") == [("map", WARNING)]


def test_a_bias_in_eight_bits_is_a_warning() -> None:
    extra = [*pair("b", "bd"), constant("b", np.ones(small.FILTERS, np.float32))]
    found = lint(layer(extra, small.SIGNED, bias="bd"), "tensorrt")
    assert of_rule(found, "tensorrt-bias-pair") == [("Conv conv", WARNING)]


@pytest.mark.parametrize(
    ("opset", "expected"),
    [
        (OLDEST_OPSET_LIMIT, set()),
        (NEWEST_OPSET_LIMIT, {"tensorrt-opset-of-boxes"}),
        (NEWEST_OPSET_LIMIT + 1, {"tensorrt-new-opset"}),
    ],
)
def test_operator_sets_newer_than_parsers_take_are_named(opset: int, expected: set[str]) -> None:
    assert rules(lint(model([node("Relu", ["image"], ["map"])], opset=opset), "tensorrt")) == expected


def test_only_the_batch_may_be_free() -> None:
    graph = model([node("Relu", ["image"], ["map"])], shape=["n", 4, "h", 8])
    assert of_rule(lint(graph, "tensorrt"), "tensorrt-dynamic-shape") == [("image", ERROR)]


def in_type(kind: int, value: np.generic) -> onnx.ModelProto:
    nodes = [
        node("Cast", ["image"], ["wide"], to=kind),
        node("Mul", ["wide", "factor"], ["product"], "times"),
        node("Cast", ["product"], ["map"], to=TensorProto.FLOAT),
    ]
    return model(nodes, [constant("factor", value)])


def test_doubles_are_an_error_since_they_are_imported_as_floats() -> None:
    graph = in_type(TensorProto.DOUBLE, np.float64(2))
    assert of_rule(lint(graph, "tensorrt"), "tensorrt-double") == [("Mul times", ERROR)]
    assert imported_types(graph)["times"] == "FLOAT"


def test_arithmetic_in_int64_is_a_warning() -> None:
    found = lint(in_type(TensorProto.INT64, np.int64(2)), "tensorrt")
    assert of_rule(found, "tensorrt-int64") == [("Mul times", WARNING)]


def test_arithmetic_on_shapes_and_places_is_fine() -> None:
    nodes = [
        node("Shape", ["image"], ["shape"]),
        node("Mul", ["shape", "one"], ["same"]),
        node("Reshape", ["image", "same"], ["flat"]),
        node("ArgMax", ["image"], ["place"], axis=1),
        node("Add", ["place", "zero"], ["index"]),
        node("GatherElements", ["flat", "index"], ["map"], axis=1),
    ]
    graph = model(nodes, [constant("one", np.int64(1)), constant("zero", np.int64(0))])
    assert lint(graph, "tensorrt") == ()


def odd_operators() -> onnx.ModelProto:
    return model([node("Det", ["image"], ["d"], "odd"), node("Unique", ["d"], ["map"], "odder")])


def test_operators_without_importer_are_known_where_nobody_can_be_asked() -> None:
    found = lint(odd_operators(), "tensorrt")
    assert of_rule(found, "tensorrt-operator") == [("Det odd", ERROR), ("Unique odder", ERROR)]


def test_the_parser_itself_is_asked_where_it_is_installed() -> None:
    pytest.importorskip("tensorrt_rtx")
    found = lint(odd_operators(), "tensorrt", LintContext(answer=ask_tensorrt(odd_operators())))
    assert of_rule(found, "refused-by-engine") == [("Det odd", ERROR), ("Unique odder", ERROR)]
    assert all(finding.engine.startswith("tensorrt") for finding in found)


def test_the_list_of_operators_is_the_parsers_own() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    log = make_logger(trt)
    builder = trt.Builder(log)
    network = builder.create_network(network_flags(trt))
    parser = trt.OnnxParser(network, log)
    assert not [name for name in WITHOUT_IMPORTER if parser.supports_operator(name)]


def test_a_node_that_a_rule_has_named_is_not_named_again_by_the_parser() -> None:
    pytest.importorskip("tensorrt_rtx")
    graph = one_pair(np.int8(3))
    found = lint(graph, "tensorrt", LintContext(answer=ask_tensorrt(graph)))
    assert rules(found) == {"tensorrt-zero-point"}


def test_weights_in_another_file_are_an_error() -> None:
    graph = layer((), small.SIGNED)
    tensor = graph.graph.initializer[2]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    found = lint(graph, "tensorrt")
    assert of_rule(found, "tensorrt-external-data") == [(tensor.name, ERROR)]
    assert any("weights.bin" in finding.message for finding in found)
