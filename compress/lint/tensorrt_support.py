"""TensorRT: what its parser takes. Where it is installed it was asked (LintContext.answer), else by lists."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from compress.lint import inputs
from compress.lint.context import LintContext
from compress.lint.finding import ERROR, WARNING, Finding, Kind
from compress.lint.graph import STANDARD_DOMAINS, Graph, label
from compress.lint.tensorrt_types import ENGINE

OLDEST_OPSET_LIMIT = 17
"""Of TensorRT 8.5, which JetPack 5 brings."""
NEWEST_OPSET_LIMIT = 24
"""What the documents of TensorRT 10.15 and 11.2 name. The parser does not look: it imports any number."""
WITHOUT_IMPORTER = (
    "AffineGrid", "Bernoulli", "BitCast", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor",
    "CenterCropPad", "Col2Im", "Compress", "ConcatFromSequence", "CumProd", "DFT", "DeformConv", "Det",
    "ImageDecoder", "MaxRoiPool", "MaxUnpool", "MelWeightMatrix", "Multinomial",
    "NegativeLogLikelihoodLoss", "Optional", "OptionalGetElement", "OptionalHasElement", "RegexFullMatch",
    "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
    "SequenceLength", "SequenceMap", "SoftmaxCrossEntropyLoss", "SplitToSequence", "StringConcat",
    "StringNormalizer", "StringSplit", "SwiGLU", "TfIdfVectorizer", "Unique",
)  # fmt: skip
"""Operators of which OnnxParser.supports_operator of TensorRT for RTX 1.7 says no, integer ones apart."""
_ARITHMETIC = (
    "Abs", "Add", "Conv", "Div", "Exp", "Gemm", "Log", "MatMul", "Max", "Mean", "Min", "Mod", "Mul", "Neg",
    "Pow", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Sqrt", "Sub", "Sum",
)  # fmt: skip
_INDEXED = {
    "ConstantOfShape": (0,), "Expand": (1,), "Gather": (1,), "GatherElements": (1,), "GatherND": (1,),
    "OneHot": (0, 1), "Pad": (1,), "Range": (0, 1, 2), "Reshape": (1,), "Resize": (3,),
    "ScatterElements": (1,), "ScatterND": (1,), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,),
    "Tile": (1,), "TopK": (1,), "Unsqueeze": (1,),
}  # fmt: skip
"""Inputs that say where or how many."""
_OPSET = Kind("tensorrt-new-opset", ERROR, ENGINE, "export with the operator set of export_onnx.OPSET")
_OPSET_OF_BOXES = Kind("tensorrt-opset-of-boxes", WARNING, ENGINE, _OPSET.remedy)
_DYNAMIC = Kind("tensorrt-dynamic-shape", ERROR, ENGINE, "export with a fixed image size")
_DOUBLE = Kind("tensorrt-double", ERROR, ENGINE, "cast to float before the operator, and train that way")
_INT64 = Kind("tensorrt-int64", WARNING, ENGINE, "compute in float, or in INT32")
_EXTERNAL = Kind("tensorrt-external-data", ERROR, ENGINE, "save the model with its weights inside")
_OPERATOR = Kind("tensorrt-operator", ERROR, ENGINE, "replace the operator, or leave this target out")


def new_opset(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Newer operators may mean something else than the importer thinks."""
    if graph.opset > NEWEST_OPSET_LIMIT:
        message = (
            f"opset {graph.opset}: the parser is documented up to {NEWEST_OPSET_LIMIT} and does not check"
        )
        yield _OPSET.at("graph", message)
    elif graph.opset > OLDEST_OPSET_LIMIT:
        message = f"opset {graph.opset}: a box with TensorRT 8.5 parses up to {OLDEST_OPSET_LIMIT}"
        yield _OPSET_OF_BOXES.at("graph", message)


def dynamic_shapes(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """The build plan's profile is for one image size."""
    return inputs.free_dimensions(graph, _DYNAMIC)


def external_data(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """The parser is given bytes."""
    return inputs.external_data(graph, _EXTERNAL)


def wide_numbers(graph: Graph, _: LintContext) -> Iterator[Finding]:
    """Doubles are imported as floats without a word; INT64 has no fast kernel, and before TensorRT 10 became
    INT32. Arithmetic on shapes and places is not meant.
    """
    for node in graph.of_kind(*_ARITHMETIC):
        types = {graph.types.get(name, 0) for name in (*node.input, *node.output)}
        if onnx.TensorProto.DOUBLE in types:
            yield _DOUBLE.at(label(node), "computes in double, which is imported as float")
        elif graph.types.get(node.output[0]) == onnx.TensorProto.INT64 and not _is_index(graph, node):
            yield _INT64.at(label(node), "computes in INT64")


def operators_without_importer(graph: Graph, context: LintContext) -> Iterator[Finding]:
    """Where the parser could not be asked itself."""
    if context.answer is not None:
        return
    for node in graph.nodes:
        if node.domain in STANDARD_DOMAINS and node.op_type in WITHOUT_IMPORTER:
            yield _OPERATOR.at(label(node), "the parser has no importer for this operator")


def _is_index(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether all that becomes of it says where or how many."""
    waiting, seen = [node], set()
    while waiting:
        maker = waiting.pop()
        if graph.outputs.intersection(maker.output):
            return False
        for reader in graph.readers_of(maker):
            places = _INDEXED.get(reader.op_type, ())
            values = [name for place, name in enumerate(reader.input) if place not in places]
            if not set(maker.output).intersection(values):
                continue
            if graph.types.get(reader.output[0]) != onnx.TensorProto.INT64:
                return False
            if reader.output[0] not in seen:
                seen.add(reader.output[0])
                waiting.append(reader)
    return True


RULES = (
    new_opset,
    dynamic_shapes,
    external_data,
    wide_numbers,
    operators_without_importer,
)
