"""What is asked of a graph for more than one engine."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from compress.lint.finding import Finding, Kind
from compress.lint.graph import Graph


def external_data(graph: Graph, kind: Kind) -> Iterator[Finding]:
    """Weights in another file: engines get the bytes of one file, and a bundle's digest covers that one."""
    for tensor in graph.constants():
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = next((item.value for item in tensor.external_data if item.key == "location"), "?")
            yield kind.at(tensor.name, f"its numbers lie in another file, {place}")


def free_dimensions(graph: Graph, kind: Kind) -> Iterator[Finding]:
    """Inputs of which more than the batch is left open."""
    constant = {tensor.name for tensor in graph.constants()}
    for item in graph.model.graph.input:
        sizes = [dimension.dim_value for dimension in item.type.tensor_type.shape.dim]
        free = [axis for axis, size in enumerate(sizes) if axis > 0 and size <= 0]
        if free and item.name not in constant:
            yield kind.at(item.name, f"axes {free} have no fixed size, only the batch may be free")
