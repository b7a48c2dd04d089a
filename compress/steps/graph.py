"""What an ONNX graph holds: counts for the record, its head, and what stays in float.

What a target's compiler would get wrong is said by compress.lint.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from runtime.backends.base import LOGIT_NAME, MAP_NAME, METADATA_NAME
from runtime.errors import StepError

_COMPUTE = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv")
_FED_BY = {"Add": any, "Concat": all}
"""How many of its inputs must come from convolutions for such a node to be quantized with them."""
_SEEN_THROUGH = ("Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "MaxPool", "Relu", "Resize")
_INTEGER_COMPUTE = ("QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger")


@dataclass(frozen=True)
class GraphSummary:
    """nodes: by operator. quantized_share: of convolutions and matrix products, those in int8.

    weights_bytes: of all initializers. domains: operator sets, {"": opset, "com.microsoft": 1}.
    """

    nodes: dict[str, int]
    node_count: int
    compute_nodes: int
    quantized_share: float
    domains: dict[str, int]
    weights_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def load_graph(path: Path) -> onnx.ModelProto:
    """Read a model with its weights inside. Raises StepError for anything else."""
    try:
        return onnx.load(str(path))
    except Exception as error:  # protobuf's DecodeError is not part of its public interface
        raise StepError(f"{path.name} is no ONNX graph: {error}") from error


def summarize(model: onnx.ModelProto) -> GraphSummary:
    """Count what is there."""
    graph = model.graph
    nodes = Counter(node.op_type for node in graph.node)
    dequantized = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    integer = sum(nodes[name] for name in _INTEGER_COMPUTE)
    floating = [node for node in graph.node if node.op_type in _COMPUTE]
    quantized = integer + sum(dequantized.issuperset(node.input[:2]) for node in floating)
    compute = integer + len(floating)
    return GraphSummary(
        nodes=dict(sorted(nodes.items())),
        node_count=len(graph.node),
        compute_nodes=compute,
        quantized_share=round(quantized / compute, 4) if compute else 0.0,
        domains={item.domain: item.version for item in model.opset_import},
        weights_bytes=sum(numpy_helper.to_array(tensor).nbytes for tensor in graph.initializer),
    )


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node without a name one, in place: quantizers are told by name what to leave alone."""
    taken = {node.name for node in model.graph.node}
    for index, node in enumerate(model.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{index}"
            while node.name in taken:
                node.name += "_"
            taken.add(node.name)


def drop_unused_domains(model: onnx.ModelProto) -> None:
    """Leave out operator sets that no node uses, in place: some parsers refuse what they do not know."""
    used = {"" if node.domain == "ai.onnx" else node.domain for node in model.graph.node} | {""}
    kept = [item for item in model.opset_import if ("" if item.domain == "ai.onnx" else item.domain) in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def head_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the nodes from the last convolution over the evidence map to the logit.

    They stay in float: eight bits over the whole range of logits is a step of about 0.05, which moves cases
    over a threshold, and these nodes cost next to nothing. Raises StepError where the graph has no such head.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    if MAP_NAME not in makers or LOGIT_NAME not in makers:
        raise StepError(f"the graph must compute {MAP_NAME!r} and {LOGIT_NAME!r}, got {sorted(makers)[-4:]}")
    classifier = _classifier(makers)
    after = _descendants(model.graph, classifier.output[0])
    return tuple(node.name for node in model.graph.node if node is classifier or node.output[0] in after)


def metadata_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the nodes that a patient's facts have a part in, the head too; () without such an input.

    They stay in float: a vector of zeros must change nothing, and eight bits would round it to something.
    """
    if METADATA_NAME not in {item.name for item in model.graph.input}:
        return ()
    touched = _descendants(model.graph, METADATA_NAME)
    return tuple(node.name for node in model.graph.node if touched.intersection(node.output))


def float_sums(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of sums and joins that no convolution feeds: of scans, attention and routing.

    Eight bits there buy no faster kernel, and a scan rounds its state anew at every step. Sums of residual
    blocks and joins of features stay with the convolutions around them.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    constant = {tensor.name for tensor in model.graph.initializer}
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type in _FED_BY
        and not _FED_BY[node.op_type](
            _is_convolved(name, makers) for name in node.input if name not in constant
        )
    )


def _is_convolved(name: str, makers: dict[str, onnx.NodeProto]) -> bool:
    """Whether a convolution made this tensor, or what it was pooled, cut off, enlarged or summed of."""
    waiting, seen = [name], set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or id(node) in seen:
            continue
        if node.op_type == "Conv":
            return True
        seen.add(id(node))
        waiting += node.input if node.op_type in _SEEN_THROUGH else ()
    return False


def _classifier(makers: dict[str, onnx.NodeProto]) -> onnx.NodeProto:
    """The convolution that computes the map, behind whatever only renames or reshapes it."""
    node = makers[MAP_NAME]
    while node.op_type not in ("Conv", "FusedConv"):
        if not node.input or node.input[0] not in makers:
            raise StepError(f"no convolution computes {MAP_NAME!r}", "the head must be a 1x1 convolution")
        node = makers[node.input[0]]
    return node


def _descendants(graph: onnx.GraphProto, name: str) -> set[str]:
    found = {name}
    for node in graph.node:  # a valid graph is in topological order
        if found.intersection(node.input):
            found.update(node.output)
    return found - {name}
