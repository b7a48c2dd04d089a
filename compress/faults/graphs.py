"""Mistakes as edits of a graph: between the picture and the network, or behind its outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_SOUND = "_sound"


def behind(graph: onnx.ModelProto, output: str, nodes: Sequence[onnx.NodeProto]) -> None:
    """Put `nodes` behind an output: they read `OUTPUT_sound` and write `OUTPUT`."""
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == output:
                    names[place] = output + _SOUND
    graph.graph.node.extend(nodes)


def before(graph: onnx.ModelProto, tensor: str, nodes: Sequence[onnx.NodeProto]) -> None:
    """Put `nodes` between a tensor and all who read it: they read it and write `TENSOR_altered`."""
    place = next(
        (i + 1 for i, node in enumerate(graph.graph.node) if tensor in node.output), 0
    )  # 0: an input of the graph
    for node in graph.graph.node:
        for slot, name in enumerate(node.input):
            if name == tensor:
                node.input[slot] = altered(tensor)
    for number, node in enumerate(nodes):
        graph.graph.node.insert(place + number, node)


def sound(output: str) -> str:
    """What an output is called before the nodes behind it."""
    return output + _SOUND


def altered(tensor: str) -> str:
    """What those who read a tensor read instead."""
    return f"{tensor}_altered"


def constant(graph: onnx.ModelProto, name: str, value: NDArray[np.generic] | float) -> str:
    """Add a float32 (or integer) constant; returns its name."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    graph.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def node(kind: str, inputs: Sequence[str], output: str, **attributes: object) -> onnx.NodeProto:
    """One operator with one output, named after it."""
    return helper.make_node(kind, list(inputs), [output], name=f"mistake_{output}", **attributes)
