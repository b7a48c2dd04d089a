"""Three small changes to an exported graph that torch's exporter leaves to others.

unshare_weights: equal weights are exported once and handed on by Identity; quantizers look for weights as
initializers of the layer itself. fold_padding: TensorFlow's SAME padding is asymmetric, which torch cannot
say in one layer and ONNX can; left apart, the Pad stands between a quantizer's Q/DQ pairs and costs a pass
over the whole activation. drop_unused: what nobody reads any more.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def unshare_weights(graph: onnx.GraphProto) -> None:
    """Give every user of a shared initializer a copy under a name of its own, in place."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Identity" and node.input[0] in weights]:
        copied = onnx.TensorProto()
        copied.CopyFrom(weights[node.input[0]])
        copied.name = node.output[0]
        graph.initializer.append(copied)
        graph.node.remove(node)


def fold_padding(model: onnx.ModelProto) -> None:
    """Move zero padding of height and width into the convolutions behind it, in place; other Pads stay."""
    graph = model.graph
    outputs = {output.name for output in graph.output}
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        users = [node for node in graph.node if pad.output[0] in node.input]
        foldable = all(user.op_type == "Conv" and user.input[0] == pad.output[0] for user in users)
        edges = _spatial_edges(model, pad)
        if edges is None or not foldable or pad.output[0] in outputs:
            continue
        for user in users:
            _add_padding(user, edges)
            user.input[0] = pad.input[0]
        graph.node.remove(pad)


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and initializers that no output depends on, in place."""
    needed = _ancestors(graph, [output.name for output in graph.output])
    used = {name for node in needed for name in node.input}
    kept_names = {node.output[0] for node in needed}
    for node in [node for node in graph.node if node.output[0] not in kept_names]:
        graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _spatial_edges(model: onnx.ModelProto, pad: onnx.NodeProto) -> list[int] | None:
    """[top, left, bottom, right], or None where the Pad does something else."""
    mode = next((attribute.s for attribute in pad.attribute if attribute.name == "mode"), b"constant")
    fill = _constant(model, pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(1)
    pads = _constant(model, pad.input[1])
    if mode != b"constant" or fill is None or fill.any() or pads is None or pads.shape != (8,):
        return None
    if pads[[0, 1, 4, 5]].any() or pads.min() < 0:
        return None
    edges: list[int] = pads[[2, 3, 6, 7]].tolist()
    return edges


def _constant(model: onnx.ModelProto, name: str) -> NDArray[np.generic] | None:
    """The value of a tensor that depends on no input of the graph, else None."""
    nodes = _ancestors(model.graph, [name])
    read = {name, *(given for node in nodes for given in node.input)}
    if read & {given.name for given in model.graph.input}:
        return None
    weights = [tensor for tensor in model.graph.initializer if tensor.name in read]
    if not nodes:
        weight: NDArray[np.generic] = numpy_helper.to_array(weights[0])
        return weight
    output = helper.make_empty_tensor_value_info(name)
    part = helper.make_model(
        helper.make_graph(nodes, "constant", [], [output], weights), opset_imports=model.opset_import
    )
    value: NDArray[np.generic] = ReferenceEvaluator(part).run(None, {})[0]
    return value


def _ancestors(graph: onnx.GraphProto, names: list[str]) -> list[onnx.NodeProto]:
    """The nodes that these tensors depend on, in the graph's order."""
    makers = {output: node for node in graph.node for output in node.output}
    wanted, found = list(names), set()
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None and node.output[0] not in found:
            found.add(node.output[0])
            wanted.extend(node.input)
    return [node for node in graph.node if node.output[0] in found]


def _add_padding(convolution: onnx.NodeProto, edges: list[int]) -> None:
    own = next((item for item in convolution.attribute if item.name == "pads"), None)
    before = list(own.ints) if own is not None else [0, 0, 0, 0]
    if own is not None:
        convolution.attribute.remove(own)
    summed = [int(a + b) for a, b in zip(before, edges, strict=True)]
    convolution.attribute.append(helper.make_attribute("pads", summed))
