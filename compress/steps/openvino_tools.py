"""What the OpenVINO steps share: reading models, saving them the same way twice, finding the head."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import onnx

from compress.steps.graph import load_graph
from compress.steps.quantize_features import counting_nodes, formula_nodes
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME, METADATA_NAME, ModelFiles
from runtime.backends.quiet import import_openvino
from runtime.errors import BackendMissingError, StepError

if TYPE_CHECKING:
    from runtime.backends.ov import OpenVinoBackend

MODEL_FILE = "model.xml"
WEIGHTS_FILE = "model.bin"


def load_openvino() -> ModuleType:
    """The library, its telemetry shut out. Raises BackendMissingError."""
    try:
        return import_openvino()
    except ImportError as error:
        raise BackendMissingError("openvino is not installed", 'run pip install "ulna[openvino]"') from error


def version() -> str:
    """Of the library, without its build number."""
    return str(load_openvino().__version__).split("-", 1)[0]


def read_model(path: Path) -> Any:
    """An ov.Model from an ONNX graph, or from an IR whose .bin lies beside its .xml. Raises StepError."""
    try:
        if path.suffix == ".xml":
            return load_openvino().Core().read_model(str(path))
        load_graph(path)  # its refusal is clearer than openvino's, which guesses at other formats
        with _log_level_kept():
            return load_openvino().convert_model(str(path))
    except (StepError, BackendMissingError):
        raise
    except Exception as error:  # the converter raises a class of its own, straight from Exception
        raise StepError(f"openvino cannot read {path.name}: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def _log_level_kept() -> Iterator[None]:
    """The converter lets nothing below an error be logged any more, by anyone in this process."""
    root = logging.getLogger()
    level = root.level
    try:
        yield
    finally:
        root.setLevel(level)


def save(model: Any, folder: Path) -> Path:
    """Write `model.xml` and `model.bin` with the weights in full precision.

    What the tools note about themselves in the model (versions, conversion parameters, absolute paths) is
    left out, so that the same model gives the same bytes.
    """
    path = folder / MODEL_FILE
    for key in list(model.get_rt_info()):
        del model.get_rt_info()[key]
    model.set_friendly_name("ulna")
    _rename_numbered(model)
    load_openvino().save_model(model, str(path), compress_to_fp16=False)
    return path


def _rename_numbered(model: Any) -> None:
    """The numbers in names that openvino makes up count everything the process has done before."""
    for index, operation in enumerate(model.get_ordered_ops()):
        kind = operation.get_type_name()
        if kind == "Constant" or re.search(r"_\d+$", operation.get_friendly_name()):
            operation.set_friendly_name(f"{kind}_{index}")


def open_ir(path: Path) -> OpenVinoBackend:
    """An IR from its .xml, as a backend."""
    from runtime.backends.ov import OpenVinoBackend

    return OpenVinoBackend(ModelFiles(path.read_bytes(), path.with_suffix(".bin").read_bytes()))


def require_contract(model: Any) -> None:
    """Raises StepError unless the model takes `image` and gives `logit` and `map`."""
    names = {name for port in (*model.inputs, *model.outputs) for name in port.get_names()}
    missing = [name for name in (INPUT_NAME, LOGIT_NAME, MAP_NAME) if name not in names]
    if missing:
        raise StepError(f"the openvino model has no {', '.join(missing)}, it has {', '.join(sorted(names))}")


def head_operations(model: Any) -> tuple[str, ...]:
    """Friendly names of the operations from the last convolution over the map to the logit."""
    classifier = model.output(MAP_NAME).get_node().input_value(0).get_node()
    while classifier.get_type_name() not in _CONVOLUTIONS:
        if not classifier.inputs():
            raise StepError(f"no convolution computes {MAP_NAME!r}", "the head must be a 1x1 convolution")
        classifier = classifier.input_value(0).get_node()
    names, inside = [], set()
    for operation in model.get_ordered_ops():
        fed = any(value.get_node().get_friendly_name() in inside for value in operation.input_values())
        if operation.get_friendly_name() == classifier.get_friendly_name() or fed:
            inside.add(operation.get_friendly_name())
            if operation.get_type_name() != "Result":
                names.append(operation.get_friendly_name())
    return tuple(names)


def metadata_operations(model: Any) -> tuple[str, ...]:
    """Friendly names of the operations that a patient's facts have a part in: see graph.metadata_nodes."""
    inside = {
        port.get_node().get_friendly_name() for port in model.inputs if METADATA_NAME in port.get_names()
    }
    found = []
    for operation in model.get_ordered_ops():
        if any(value.get_node().get_friendly_name() in inside for value in operation.input_values()):
            inside.add(operation.get_friendly_name())
            if operation.get_type_name() != "Result":
                found.append(operation.get_friendly_name())
    return tuple(found)


def float_operations(model: Any) -> tuple[str, ...]:
    """Friendly names of the arithmetic that no convolution feeds: of scans, attention and routing.

    NNCF would quantize it and gain nothing: see graph.float_sums. A layer's own bias is not meant.
    """
    return tuple(
        operation.get_friendly_name()
        for operation in model.get_ordered_ops()
        if operation.get_type_name() in _ARITHMETIC and not _is_of_layer(operation)
    )


def formula_operations(model: Any, source: onnx.ModelProto) -> tuple[str, ...]:
    """Friendly names of all operations of a graph with formulas but those that count; () for a network's.

    source: the graph that the model was read from; its convolutions keep their names. Raises StepError where
    nothing would be left to quantize: see quantize_features.formula_nodes.
    """
    if not formula_nodes(source):
        return ()
    counting = counting_nodes(source)
    return tuple(
        operation.get_friendly_name()
        for operation in model.get_ordered_ops()
        if operation.get_type_name() not in _DATA and operation.get_friendly_name() not in counting
    )


def _is_of_layer(operation: Any) -> bool:
    """Whether it adds the bias of a matrix product, or works on what a convolution made."""
    makers = [value.get_node() for value in operation.input_values()]
    is_bias = {"MatMul", "Constant"} == {maker.get_type_name() for maker in makers}
    return is_bias or any(_is_convolved(maker) for maker in makers)


def _is_convolved(node: Any) -> bool:
    """Whether a convolution made it, or what it was summed, cut off, pooled, enlarged or joined of."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        kind, name = node.get_type_name(), node.get_friendly_name()
        if kind in _CONVOLUTIONS:
            return True
        if kind in _SEEN_THROUGH and name not in seen:
            waiting += [value.get_node() for value in node.input_values()]
        seen.add(name)
    return False


def count_operations(model: Any) -> dict[str, Any]:
    """nodes by type, and the share of convolutions and matrix products whose data is quantized."""
    operations = model.get_ordered_ops()
    kinds = [operation.get_type_name() for operation in operations]
    compute = [item for item in operations if item.get_type_name() in _COMPUTE]
    quantized = sum(_reads_quantized(item) for item in compute)
    return {
        "nodes": {kind: kinds.count(kind) for kind in sorted(set(kinds)) if kind != "Constant"},
        "node_count": len(kinds) - kinds.count("Constant"),
        "compute_nodes": len(compute),
        "quantized_share": round(quantized / len(compute), 4) if compute else 0.0,
    }


_DATA = ("Constant", "Parameter", "Result")
_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_SEEN_THROUGH = ("Add", "AvgPool", "Clamp", "Concat", "Interpolate", "MaxPool", "Multiply", "ReLU", "Relu")
_ARITHMETIC = ("Add", "Divide", "Multiply", "Power", "ReduceMean", "ReduceSum", "Sqrt", "Subtract")
_COMPUTE = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
_TRANSPARENT = ("Concat", "Interpolate", "MaxPool", "Pad", "Reshape", "Transpose")


def _reads_quantized(operation: Any) -> bool:
    node = operation.input_value(0).get_node()
    while node.get_type_name() in _TRANSPARENT:
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "FakeQuantize")
