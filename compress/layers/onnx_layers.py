"""The tensors of an ONNX graph, computed node by node in ONNX Runtime.

Node by node as the standard defines them, without fusion (compress.steps.stand_in): so the comparison shows
what quantizing costs on every machine alike. What this processor's integer kernels add to that is in the
compile step's facts (`kernels`).
"""

from __future__ import annotations

import copy
from collections.abc import Collection

import onnx

from compress.layers.base import INPUT, Feed, LayerTensor, Tap, Values
from compress.steps.stand_in import StandInBackend
from runtime.backends.base import TensorInfo
from runtime.errors import StepError

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


class OnnxLayers:
    """See base.LayeredModel. Raises StepError for a graph whose types cannot be inferred."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._behind = _behind_pairs(model.graph)
        self._moved = _moved_by_inputs(model.graph)
        self._floats = _float_names(model)

    @property
    def tensors(self) -> tuple[LayerTensor, ...]:
        """See base.LayeredModel. What a pair makes counts as the tensor before it, and is not listed."""
        before = {after: name for name, after in self._behind.items()}
        found = [LayerTensor(item.name, INPUT) for item in self.inputs]
        for node in self._model.graph.node:
            if node.op_type not in (QUANTIZE, DEQUANTIZE):
                moved = [before.get(name, name) for name in node.input if name in self._moved]
                found += [
                    LayerTensor(name, node.op_type, tuple(dict.fromkeys(moved))) for name in node.output
                ]
        usable = self._moved & self._floats
        return tuple(tensor for tensor in found if tensor.name in usable)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """See base.LayeredModel."""
        weights = {item.name for item in self._model.graph.initializer}
        return tuple(_info(item) for item in self._model.graph.input if item.name not in weights)

    @property
    def quantized(self) -> bool:
        """See base.LayeredModel."""
        return any(node.op_type == QUANTIZE for node in self._model.graph.node)

    def tap(self, names: Collection[str]) -> Tap:
        """See base.LayeredModel."""
        sources = {name: self._behind.get(name, name) for name in names}
        inputs = {item.name for item in self._model.graph.input}
        backend = StandInBackend(_with_outputs(self._model, set(sources.values()) - inputs))

        def run(feed: Feed) -> Values:
            found = {**feed, **backend.infer(feed)}
            return {name: found[source] for name, source in sources.items()}

        return run


def _behind_pairs(graph: onnx.GraphProto) -> dict[str, str]:
    """Tensor -> what a pair of quantize and dequantize makes of it."""
    after = {node.input[0]: node.output[0] for node in graph.node if node.op_type == DEQUANTIZE}
    return {
        node.input[0]: after[node.output[0]]
        for node in graph.node
        if node.op_type == QUANTIZE and node.output[0] in after
    }


def _moved_by_inputs(graph: onnx.GraphProto) -> set[str]:
    """Names of the inputs and of all that is computed from them: no weights, no folded constants."""
    moved = {item.name for item in graph.input} - {item.name for item in graph.initializer}
    for node in graph.node:  # a valid graph is in topological order
        if moved.intersection(node.input):
            moved.update(name for name in node.output if name)
    return moved


def _float_names(model: onnx.ModelProto) -> set[str]:
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception as error:  # its InferenceError is not part of onnx's public interface
        raise StepError(f"the types of the graph cannot be inferred: {error}") from error
    known = (*graph.input, *graph.value_info, *graph.output)
    return {item.name for item in known if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}


def _info(item: onnx.ValueInfoProto) -> TensorInfo:
    shape = tuple(size.dim_value or None for size in item.type.tensor_type.shape.dim)
    return TensorInfo(item.name, shape, "float32")


def _with_outputs(model: onnx.ModelProto, names: set[str]) -> bytes:
    """The graph with these tensors, and only these, as its outputs."""
    tapped = copy.deepcopy(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in sorted(names)
    )
    return bytes(tapped.SerializeToString())
