"""An ONNX graph as the rules read it: who makes a tensor, who reads it, what is constant or in a pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compress.lint.twin import kept_in_float

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
STANDARD_DOMAINS = ("", "ai.onnx")
MOVES = (
    "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Resize", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators that make no new values: what goes through them needs no range of its own."""


class Graph:
    """One model, indexed. Nodes inside of If and Loop are not looked into: no recipe makes any."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes: tuple[onnx.NodeProto, ...] = tuple(model.graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.outputs = frozenset(item.name for item in model.graph.output)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                values = [item.t for item in node.attribute if item.name == "value"]
                self._constants |= dict(zip(node.output, values, strict=False))

    @cached_property
    def readers(self) -> dict[str, tuple[onnx.NodeProto, ...]]:
        """The nodes that read each tensor."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def kept(self) -> frozenset[str]:
        """First outputs of the nodes that no recipe of ours quantizes: see compress.lint.twin."""
        return kept_in_float(self.model)

    @cached_property
    def is_quantized(self) -> bool:
        """Whether the graph holds a pair at all."""
        return any(node.op_type in (QUANTIZE, DEQUANTIZE) for node in self.nodes)

    @cached_property
    def opset(self) -> int:
        """Version of the standard operators, 0 where the model names none."""
        versions = (item.version for item in self.model.opset_import if item.domain in STANDARD_DOMAINS)
        return max(versions, default=0)

    @cached_property
    def types(self) -> dict[str, int]:
        """Element type of each tensor, as far as onnx can infer it."""
        graph = onnx.shape_inference.infer_shapes(self.model).graph
        values = (*graph.value_info, *graph.input, *graph.output)
        known = {item.name: item.type.tensor_type.elem_type for item in values}
        return known | {name: tensor.data_type for name, tensor in self._constants.items()}

    def of_kind(self, *kinds: str) -> Iterator[onnx.NodeProto]:
        """The nodes of these operators."""
        return (node for node in self.nodes if node.op_type in kinds and node.domain in STANDARD_DOMAINS)

    def tensor(self, name: str) -> onnx.TensorProto | None:
        """A constant, wherever it is kept."""
        return self._constants.get(name)

    def constants(self) -> Iterable[onnx.TensorProto]:
        """All of them."""
        return self._constants.values()

    def value(self, name: str) -> NDArray[Any] | None:
        """A constant's numbers; None for what is computed, or lies in another file."""
        tensor = self._constants.get(name)
        if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
            return None
        numbers: NDArray[Any] = numpy_helper.to_array(tensor)
        return numbers

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Of a constant."""
        tensor = self._constants.get(name)
        return None if tensor is None else tuple(tensor.dims)

    def source(self, name: str) -> str:
        """The tensor itself, or what it was quantized and dequantized from."""
        while (node := self.makers.get(name)) is not None and node.op_type in (QUANTIZE, DEQUANTIZE):
            name = node.input[0]
        return name

    def is_weight(self, name: str) -> bool:
        """Whether it is a constant, in a pair or not."""
        return self.source(name) in self._constants

    def is_dequantized(self, name: str) -> bool:
        """Whether DequantizeLinear made it, moved since or not."""
        node = self.makers.get(name)
        while node is not None and node.op_type in MOVES:
            node = self.makers.get(node.input[0])
        return node is not None and node.op_type == DEQUANTIZE

    def activations(self, node: onnx.NodeProto) -> tuple[str, ...]:
        """The inputs that are computed of the image."""
        return tuple(name for name in node.input if name and not self.is_weight(name))

    def readers_of(self, node: onnx.NodeProto) -> tuple[onnx.NodeProto, ...]:
        """Of its outputs."""
        return tuple(reader for name in node.output for reader in self.readers.get(name, ()))

    def scale_count(self, node: onnx.NodeProto) -> int:
        """How many scales a QuantizeLinear or DequantizeLinear has; 1 where they are not constant."""
        shape = self.shape(node.input[1])
        return int(np.prod(shape)) if shape else 1

    def is_kept(self, node: onnx.NodeProto) -> bool:
        """Whether no recipe of ours quantizes it."""
        return node.output[0] in self.kept


def label(node: onnx.NodeProto) -> str:
    """What findings call a node."""
    return f"{node.op_type} {node.name or node.output[0]}"


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """A whole number of a node."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)
