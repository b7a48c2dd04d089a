"""Graphs of one layer, each with the defect that its test names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from compress.lint import Finding

CHANNELS, FILTERS, SIDE = 4, 6, 8
_rng = np.random.default_rng(0)
WEIGHTS = _rng.normal(scale=0.1, size=(FILTERS, CHANNELS, 3, 3)).astype(np.float32)


def constant(name: str, value: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


SIGNED = (constant("s", np.float32(0.05)), constant("z", np.int8(0)))
UNSIGNED = (constant("s", np.float32(0.05)), constant("z", np.uint8(128)))
BY_CHANNEL = (
    constant("cs", np.array([0.05, 0.1, 0.02, 0.2], np.float32)),
    constant("cz", np.zeros(CHANNELS, np.int8)),
)


def model(nodes: list[NodeProto], constants: Any = (), opset: int = 17, shape: Any = None) -> onnx.ModelProto:
    """image (n, 4, 8, 8) -> map."""
    sizes = ["n", CHANNELS, SIDE, SIDE] if shape is None else shape
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "test",
        [value("image", TensorProto.FLOAT, sizes)],
        [value("map", TensorProto.FLOAT, None)],
        list(constants),
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def pair(source: str, name: str, scale: str = "s", zero: str = "z", axis: int = 1) -> list[NodeProto]:
    """source -> Q -> DQ -> name."""
    quantized = f"{name}_q"
    return [
        helper.make_node("QuantizeLinear", [source, scale, zero], [quantized], f"{name}_Q", axis=axis),
        helper.make_node("DequantizeLinear", [quantized, scale, zero], [name], f"{name}_DQ", axis=axis),
    ]


def conv(source: str, target: str, name: str = "conv", bias: str = "") -> NodeProto:
    """With weights "w"."""
    return helper.make_node("Conv", [source, "w", *([bias] if bias else [])], [target], name, pads=[1] * 4)


def weights(scales: int = FILTERS, axis: int = 0, largest: int = 64, like: Any = WEIGHTS) -> tuple[Any, ...]:
    """INT8 weights "w" with so many scales along an axis: (node, constants)."""
    quantized = np.clip(np.round(like / np.abs(like).max() * largest), -128, 127).astype(np.int8)
    shape = () if scales == 1 else (scales,)
    node = helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["w"], "weights", axis=axis)
    return node, (
        constant("wq", quantized),
        constant("ws", np.full(shape, 0.01, np.float32)),
        constant("wz", np.zeros(shape, np.int8)),
    )


def layer(extra: Any = (), scheme: Any = UNSIGNED, bias: str = "", **options: Any) -> onnx.ModelProto:
    """image -> pair -> convolution -> pair -> map. extra: what makes the bias, nodes and constants."""
    node, constants = weights(**options)
    nodes = [item for item in extra if isinstance(item, NodeProto)]
    others = [item for item in extra if isinstance(item, TensorProto)]
    return model(
        [*pair("image", "x"), node, *nodes, conv("x", "y", bias=bias), *pair("y", "map")],
        [*scheme, *constants, *others],
    )


def rules(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.rule for finding in findings}


def of_rule(findings: tuple[Finding, ...], rule: str) -> list[tuple[str, str]]:
    """(node, severity) of the findings of a rule."""
    return [(finding.node, finding.severity) for finding in findings if finding.rule == rule]


def save(graph: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    return path
