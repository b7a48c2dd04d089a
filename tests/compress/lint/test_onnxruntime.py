"""Each rule of ONNX Runtime on a graph with its defect, and what ONNX Runtime really makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from compress.lint import ERROR, WARNING, LintContext, lint
from compress.lint.ask import newest_opset
from compress.steps.compile_ort import optimise
from compress.steps.graph import load_graph
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import BackendError
from tests.compress.lint import small
from tests.compress.lint.small import constant, layer, model, of_rule, pair, rules
from tests.compress.steps import graphs

node = helper.make_node
X86 = LintContext("x86_64", ("avx2", "avx512_vnni"))
OLD_X86 = LintContext("x86_64", ("avx2",))
ARM = LintContext("aarch64", ("asimd",))


def fused(graph: onnx.ModelProto, folder: Path) -> list[str]:
    """Operators of the graph after ONNX Runtime's own optimisation."""
    optimise(small.save(graph, folder), folder / "fused.onnx")
    return [item.op_type for item in load_graph(folder / "fused.onnx").graph.node]


class Images(CalibrationDataReader):
    """Four batches of images."""

    def __init__(self) -> None:
        self._feeds = iter([{"image": graphs.images(1, seed)} for seed in range(4)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def quantized(folder: Path, **options: Any) -> onnx.ModelProto:
    """The residual network by ONNX Runtime's quantizer with options of our choice."""
    source = small.save(graphs.residual(), folder)
    quantize_static(str(source), str(folder / "q.onnx"), Images(), quant_format=QuantFormat.QDQ, **options)
    return load_graph(folder / "q.onnx")


def test_a_layer_with_all_its_pairs_is_clean_and_really_fused(tmp_path: Path) -> None:
    bias = [
        node("DequantizeLinear", ["bq", "bs"], ["b"], axis=0),
        constant("bq", np.arange(small.FILTERS, dtype=np.int32)),
        constant("bs", np.full(small.FILTERS, 0.0005, np.float32)),
    ]
    graph = layer(bias, bias="b")
    assert lint(graph, "onnxruntime", X86) == ()
    assert "QLinearConv" in fused(graph, tmp_path)


def test_the_wrong_options_of_its_own_quantizer_are_named(tmp_path: Path) -> None:
    wrong = quantized(tmp_path, activation_type=QuantType.QInt8, per_channel=False)
    found = rules(lint(wrong, "onnxruntime", X86))
    assert {"onnxruntime-signed-activations", "onnxruntime-weight-per-tensor"} <= found
    assert "onnxruntime-signed-activations" not in rules(lint(wrong, "onnxruntime", ARM))


def test_eight_bit_weights_are_named_where_the_processor_saturates(tmp_path: Path) -> None:
    full = layer(largest=127)
    assert of_rule(lint(full, "onnxruntime", OLD_X86), "onnxruntime-saturation") == [("Conv conv", WARNING)]
    assert lint(full, "onnxruntime", X86) == ()
    assert lint(layer(largest=64), "onnxruntime", OLD_X86) == ()


def test_scales_for_each_channel_of_an_activation_really_fail_at_the_first_image() -> None:
    weight, constants = small.weights()
    zero = constant("cz", np.full(small.CHANNELS, 128, np.uint8))
    nodes = [*pair("image", "x", "cs", "cz"), weight, small.conv("x", "y"), *pair("y", "map")]
    graph = model(nodes, [small.BY_CHANNEL[0], zero, *small.UNSIGNED, *constants])
    found = lint(graph, "onnxruntime", X86)
    assert of_rule(found, "onnxruntime-activation-per-channel") == [("QuantizeLinear x_Q", ERROR)]
    require_failure(graph)


def test_scales_along_the_input_channels_of_weights_really_fail_at_the_first_image() -> None:
    graph = layer(scales=small.CHANNELS, axis=1)
    found = lint(graph, "onnxruntime", X86)
    assert of_rule(found, "onnxruntime-weight-axis") == [("Conv conv", ERROR)]
    require_failure(graph)


def require_failure(graph: onnx.ModelProto) -> None:
    image = np.zeros((1, small.CHANNELS, small.SIDE, small.SIDE), np.float32)
    with pytest.raises(BackendError):
        OrtBackend(ModelFiles(graph.SerializeToString())).infer({"image": image})


def computed_bias() -> onnx.ModelProto:
    extra = [
        node("ReduceMean", ["image"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
        node("Mul", ["mean", "ones"], ["b"]),
        constant("ones", np.ones(small.FILTERS, np.float32)),
    ]
    return layer(extra, bias="b")


def eight_bit_bias() -> onnx.ModelProto:
    extra = [
        node("DequantizeLinear", ["bq", "s"], ["b"]),
        constant("bq", np.arange(small.FILTERS, dtype=np.uint8)),
    ]
    return layer(extra, bias="b")


@pytest.mark.parametrize("make", [computed_bias, eight_bit_bias])
def test_a_convolution_whose_bias_is_no_int32_really_stays_in_float(make: Any, tmp_path: Path) -> None:
    found = lint(make(), "onnxruntime", X86)
    assert of_rule(found, "onnxruntime-float-bias") == [("Conv conv", WARNING)]
    assert "QLinearConv" not in fused(make(), tmp_path)


def test_a_node_left_out_between_pairs_is_really_quantized_all_the_same(tmp_path: Path) -> None:
    nodes = [*pair("image", "x"), small.conv("x", "y"), *pair("y", "map")]
    graph = model(nodes, [*small.UNSIGNED, constant("w", small.WEIGHTS)])
    found = lint(graph, "onnxruntime", X86)
    assert of_rule(found, "onnxruntime-weights-quantized-by-itself") == [("Conv conv", ERROR)]
    assert "QLinearConv" in fused(graph, tmp_path)


def test_a_product_with_float_weights_really_stays_in_float(tmp_path: Path) -> None:
    nodes = [*pair("image", "x"), node("MatMul", ["x", "w"], ["y"], "product"), *pair("y", "map")]
    graph = model(nodes, [*small.UNSIGNED, constant("w", np.ones((small.SIDE, 5), np.float32))])
    found = lint(graph, "onnxruntime", X86)
    assert of_rule(found, "onnxruntime-island") == [("MatMul product", WARNING)]
    assert "MatMul" in fused(graph, tmp_path)


def cut_layer(zero: np.generic) -> onnx.ModelProto:
    """image -> pair -> convolution -> Relu -> pair with that zero point -> Erf -> map."""
    weight, constants = small.weights()
    nodes = [
        *pair("image", "x"),
        weight,
        small.conv("x", "y"),
        node("Relu", ["y"], ["r"]),
        *pair("r", "c", zero="cut"),
        node("Erf", ["c"], ["map"]),
    ]
    return model(nodes, [*small.UNSIGNED, *constants, constant("cut", zero)])


def test_a_relu_that_the_range_does_not_cut_really_keeps_the_convolution_in_float(tmp_path: Path) -> None:
    found = lint(cut_layer(np.uint8(7)), "onnxruntime", X86)
    assert of_rule(found, "onnxruntime-island") == [("Conv conv", WARNING)]
    assert "QLinearConv" not in fused(cut_layer(np.uint8(7)), tmp_path)
    assert lint(cut_layer(np.uint8(0)), "onnxruntime", X86) == ()
    assert "QLinearConv" in fused(cut_layer(np.uint8(0)), tmp_path)


def residual(other: str) -> onnx.ModelProto:
    """Convolution -> pair -> sum with "x", quantized, or "image", not -> pair -> Erf -> map."""
    square = np.full((small.CHANNELS, small.CHANNELS, 3, 3), 0.1, np.float32)
    weight, constants = small.weights(small.CHANNELS, like=square)
    nodes = [
        *pair("image", "x"),
        weight,
        small.conv("x", "y"),
        *pair("y", "yd"),
        node("Add", ["yd", other], ["sum"], "sum"),
        *pair("sum", "sd"),
        node("Erf", ["sd"], ["map"]),
    ]
    return model(nodes, [*small.UNSIGNED, *constants])


def test_a_residual_sum_with_one_quantized_input_really_stays_in_float(tmp_path: Path) -> None:
    found = lint(residual("image"), "onnxruntime", X86)
    assert of_rule(found, "onnxruntime-residual") == [("Add sum", WARNING)]
    assert "QLinearAdd" not in fused(residual("image"), tmp_path)
    assert lint(residual("x"), "onnxruntime", X86) == ()
    assert "QLinearAdd" in fused(residual("x"), tmp_path)


def test_pairs_around_an_operator_without_integer_kernel_are_named(tmp_path: Path) -> None:
    graph = model([*pair("image", "x"), node("Erf", ["x"], ["y"], "erf"), *pair("y", "map")], small.UNSIGNED)
    found = lint(graph, "onnxruntime", X86)
    expected = [("QuantizeLinear x_Q", WARNING), ("QuantizeLinear map_Q", WARNING)]
    assert of_rule(found, "onnxruntime-idle-pair") == expected
    assert "Erf" in fused(graph, tmp_path)


def test_the_newest_operator_set_is_what_the_installed_version_loads() -> None:
    limit = newest_opset()
    context = LintContext(opset_limit=limit)
    newest, newer = (model([node("Relu", ["image"], ["map"])], opset=limit + more) for more in (0, 1))
    assert lint(newest, "onnxruntime", context) == ()
    OrtBackend(ModelFiles(newest.SerializeToString())).close()
    found = lint(newer, "onnxruntime", context)
    assert of_rule(found, "onnxruntime-opset") == [("graph", ERROR)]
    with pytest.raises(BackendError):
        OrtBackend(ModelFiles(newer.SerializeToString()))


def test_weights_in_another_file_are_an_error() -> None:
    graph = layer()
    tensor = graph.graph.initializer[2]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    assert of_rule(lint(graph, "onnxruntime", X86), "onnxruntime-external-data") == [(tensor.name, ERROR)]
