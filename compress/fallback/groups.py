"""Which quantizers of a graph go back to float together: a computing node with those on its way in.

A group is named after its convolution or matrix product. To it belong its weights, the pairs of Q and DQ (or
the FakeQuantize) on its inputs, and those on the inputs of sums, joins and pools before it. A pair that
several such ways share belongs to the computing node that reads it itself, else to the first one behind it;
so every reading of a quantized tensor belongs to one group, and to no second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx

COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
FAKE_QUANTIZE = "FakeQuantize"
COMPUTING_IR = ("Convolution", "ConvolutionBackpropData", "GroupConvolution", "MatMul")


@dataclass(frozen=True)
class Reading:
    """Input number `index` of the node `node`: one reading of a quantized tensor."""

    node: str
    index: int


@dataclass(frozen=True)
class Group:
    """name: of the computing node. readings: of quantized activations that go back to float with it."""

    name: str
    operator: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Link:
    """A node as far as groups are concerned. pair: whether it is Q, DQ or FakeQuantize.

    quantized: numbers of the inputs that read a quantized activation.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    computing: bool = False
    pair: bool = False
    quantized: tuple[int, ...] = ()


def groups_of(links: Sequence[Link]) -> tuple[Group, ...]:
    """links: in topological order. Those with readings, in the order of their computing nodes."""
    owner = _owners(links)
    readings: dict[int, list[Reading]] = {}
    for number, link in enumerate(links):
        for index in link.quantized:
            own = number if link.computing else owner.get(link.inputs[index])
            if own is not None:
                readings.setdefault(own, []).append(Reading(link.name, index))
    return tuple(
        Group(links[number].name, links[number].operator, tuple(readings[number]))
        for number in sorted(readings)
    )


def onnx_groups(model: onnx.ModelProto) -> tuple[Group, ...]:
    """Of a graph with Q and DQ whose nodes have names."""
    makers = {output: node for node in model.graph.node for output in node.output}
    fixed = {"", *(tensor.name for tensor in model.graph.initializer)}
    fixed |= {name for name, node in makers.items() if node.op_type == "Constant"}
    return groups_of([_onnx_link(node, makers, fixed) for node in model.graph.node])


def openvino_groups(model: Any) -> tuple[Group, ...]:
    """Of an ov.Model with FakeQuantize."""
    moved = moved_by_inputs(model)
    return groups_of([_openvino_link(operation, moved) for operation in model.get_ordered_ops()])


def original_tensor(name: str, makers: dict[str, onnx.NodeProto]) -> str:
    """The float tensor behind DQ and Q; "" where there is none, as for weights kept as integers."""
    maker = makers.get(name)
    if maker is None or maker.op_type != DEQUANTIZE:
        return ""
    quantizer = makers.get(maker.input[0])
    return quantizer.input[0] if quantizer is not None and quantizer.op_type == QUANTIZE else ""


def moved_by_inputs(model: Any) -> set[str]:
    """Friendly names of the operations of an ov.Model in which its inputs have a part."""
    moved: set[str] = set()
    for operation in model.get_ordered_ops():
        sources = (value.get_node().get_friendly_name() for value in operation.input_values())
        if operation.get_type_name() == "Parameter" or any(name in moved for name in sources):
            moved.add(operation.get_friendly_name())
    return moved


def _owners(links: Sequence[Link]) -> dict[str, int]:
    """Tensor -> number of the computing node that its quantizer belongs to."""
    direct: dict[str, int] = {}
    behind: dict[str, int] = {}
    for number in range(len(links) - 1, -1, -1):
        link = links[number]
        if link.computing:
            direct |= dict.fromkeys(link.inputs, number)
            continue
        read = [direct[name] for name in link.outputs if name in direct]
        later = [behind[name] for name in link.outputs if name in behind]
        for name in link.inputs:
            if link.pair and read:
                _keep_first(direct, name, min(read))
            elif read or later:
                _keep_first(behind, name, min(read or later))
    return {**behind, **direct}


def _keep_first(table: dict[str, int], name: str, number: int) -> None:
    table[name] = min(number, table.get(name, number))


def _onnx_link(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto], fixed: set[str]) -> Link:
    pair = node.op_type in (QUANTIZE, DEQUANTIZE)
    quantized = tuple(
        index
        for index, name in enumerate(node.input)
        if not pair and original_tensor(name, makers) not in fixed
    )
    computing = node.op_type in COMPUTING
    return Link(node.name, node.op_type, tuple(node.input), tuple(node.output), computing, pair, quantized)


def _openvino_link(operation: Any, moved: set[str]) -> Link:
    kind = operation.get_type_name()
    sources = [value.get_node() for value in operation.input_values()]
    quantized = tuple(
        index
        for index, source in enumerate(sources)
        if source.get_type_name() == FAKE_QUANTIZE and source.get_friendly_name() in moved
    )
    return Link(
        operation.get_friendly_name(),
        kind,
        tuple(_port_name(value) for value in operation.input_values()),
        tuple(_port_name(port) for port in operation.outputs()),
        kind in COMPUTING_IR,
        kind == FAKE_QUANTIZE,
        () if kind == FAKE_QUANTIZE else quantized,
    )


def _port_name(port: Any) -> str:
    return f"{port.get_node().get_friendly_name()}:{port.get_index()}"
