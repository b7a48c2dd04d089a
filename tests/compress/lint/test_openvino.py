"""Each rule of OpenVINO on a graph with its defect, and in which precision the CPU plugin really runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from compress.lint import ERROR, WARNING, LintContext, lint
from compress.lint.ask import ask_openvino, read_for_openvino
from tests.compress.lint import small
from tests.compress.lint.small import layer, of_rule, rules

ov = pytest.importorskip("openvino")
ops = ov.opset13
CHANNELS, SIDE = 4, 8
INT8 = ("i8", "u8")


def image(sizes: tuple[int, ...] = (-1, CHANNELS, SIDE, SIDE)) -> Any:
    return ops.parameter(list(sizes), np.float32, name="image")


def fake(data: Any, ends: Any = 2.0, levels: int = 256) -> Any:
    """FakeQuantize over [-ends, ends]; ends: one, or one a channel."""
    high = np.asarray(ends, np.float32)
    high = high.reshape(1, -1, 1, 1) if high.ndim else high
    low, top = (ops.constant(value) for value in (-high, high))
    return ops.fake_quantize(data, low, top, low, top, levels)


def conv(data: Any, levels: int = 255, inputs: int = CHANNELS) -> Any:
    weights = np.random.default_rng(1).normal(size=(CHANNELS, inputs, 3, 3)).astype(np.float32)
    high = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    low, top = ops.constant(-high), ops.constant(high)
    fixed = ops.fake_quantize(ops.constant(weights), low, top, low, top, levels)
    return ops.convolution(data, fixed, [1, 1], [1, 1], [1, 1], [1, 1])


def depthwise(data: Any) -> Any:
    weights = ops.constant(np.full((CHANNELS, 1, 1, 3, 3), 0.1, np.float32))
    fixed = ops.fake_quantize(weights, *(ops.constant(np.float32(end)) for end in (-1, 1, -1, 1)), 255)
    return ops.group_convolution(data, fixed, [1, 1], [1, 1], [1, 1], [1, 1])


def model(result: Any, *inputs: Any) -> Any:
    return ov.Model([result], list(inputs), "test")


def precisions(made: Any, kind: str) -> list[str]:
    """In which the CPU plugin runs the operations of a kind, in order."""
    running = ov.Core().compile_model(made, "CPU").get_runtime_model()
    info = [item.get_rt_info() for item in running.get_ordered_ops()]
    return [text(item["runtimePrecision"]) for item in info if text(item["layerType"]) == kind]


def text(value: Any) -> str:
    return str(getattr(value, "value", value))


def test_eight_bits_everywhere_are_clean_and_really_run_so() -> None:
    given = image()
    made = model(conv(fake(given)), given)
    assert lint(made, "openvino") == ()
    assert precisions(made, "Convolution")[0] in INT8


@pytest.mark.parametrize(
    ("activation", "weights"), [(65536, 255), (256, 16)], ids=["16-bit activation", "4-bit weights"]
)
def test_other_levels_really_run_in_float(activation: int, weights: int) -> None:
    given = image()
    made = model(conv(fake(given, levels=activation), levels=weights), given)
    found = lint(made, "openvino")
    assert [(item.rule, item.severity) for item in found] == [("openvino-levels", WARNING)]
    assert precisions(made, "Convolution")[0] not in INT8


def test_a_range_for_each_channel_really_keeps_a_convolution_in_float() -> None:
    given = image()
    made = model(conv(fake(given, (1, 2, 0.5, 3))), given)
    assert rules(lint(made, "openvino")) == {"openvino-activation-per-channel"}
    assert precisions(made, "Convolution")[0] not in INT8


def test_a_range_for_each_channel_is_fine_before_a_depthwise_convolution_or_where_all_are_the_same() -> None:
    given = image()
    assert lint(model(depthwise(fake(given, (1, 2, 0.5, 3))), given), "openvino") == ()
    assert lint(model(conv(fake(given, (1, 1, 1, 1))), given), "openvino") == ()


def residual(identity_quantized: bool) -> tuple[Any, Any]:
    given = image()
    before = ops.relu(conv(fake(given)))
    quantized = fake(before, 4.0)
    branch = fake(conv(quantized))
    total = ops.add(branch, quantized if identity_quantized else before, name="sum")
    return model(conv(fake(ops.relu(total), 4.0)), given), total


def test_a_residual_sum_with_a_float_identity_really_runs_in_float() -> None:
    half, _ = residual(identity_quantized=False)
    assert of_rule(lint(half, "openvino"), "openvino-half-quantized") == [("Add sum", WARNING)]
    assert not set(INT8).intersection(precisions(half, "Eltwise"))
    whole, _ = residual(identity_quantized=True)
    assert lint(whole, "openvino") == ()
    assert set(precisions(whole, "Eltwise")) <= set(INT8)


def joined(both: bool, behind: bool) -> Any:
    given = image()
    first = fake(ops.relu(conv(fake(given))), 4.0)
    second = ops.relu(conv(first))
    parts = [first, fake(second, 4.0) if both else second]
    join = ops.concat(parts, 1, name="join")
    return model(conv(fake(join, 4.0) if behind else join, inputs=2 * CHANNELS), given)


def test_a_join_of_which_one_branch_is_in_float_really_runs_in_float() -> None:
    half = joined(both=False, behind=False)
    assert of_rule(lint(half, "openvino"), "openvino-half-quantized") == [("Concat join", WARNING)]
    assert not set(INT8).intersection(precisions(half, "Concatenation"))


@pytest.mark.parametrize(("both", "behind"), [(True, False), (False, True)], ids=["branches", "result"])
def test_a_join_is_fine_where_its_branches_or_its_result_are_quantized(both: bool, behind: bool) -> None:
    made = joined(both, behind)
    assert lint(made, "openvino") == ()
    assert set(precisions(made, "Concatenation")) <= set(INT8)


@pytest.mark.parametrize(("sizes", "clean"), [((-1, 4, 8, 8), True), ((-1, 4, -1, 8), False)])
def test_only_the_batch_may_be_free(sizes: tuple[int, ...], clean: bool) -> None:
    given = image(sizes)
    given.output(0).get_tensor().set_names({"image"})
    found = lint(model(ops.relu(given), given), "openvino")
    assert of_rule(found, "openvino-dynamic-shape") == ([] if clean else [("image", WARNING)])


def test_pairs_of_an_onnx_graph_are_read_as_openvino_reads_them() -> None:
    converted, answer = read_for_openvino(layer())
    assert answer.refusals == ()
    assert lint(converted, "openvino", LintContext(answer=answer)) == ()


def test_operators_that_its_frontend_does_not_convert_are_all_named() -> None:
    node = helper.make_node
    nodes = [node("Det", ["image"], ["d"], "odd"), node("MelWeightMatrix", ["d"] * 5, ["m"], "odder")]
    converted, answer = read_for_openvino(small.model([*nodes, node("Relu", ["m"], ["map"])]))
    found = lint(converted, "openvino", LintContext(answer=answer))
    expected = [("Det odd", ERROR), ("MelWeightMatrix odder", ERROR)]
    assert of_rule(found, "refused-by-engine") == expected


def test_the_plugin_is_asked_about_its_own_graphs() -> None:
    given = image()
    assert ask_openvino(model(conv(fake(given)), given)).refusals == ()
