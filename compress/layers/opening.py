"""From files and artifacts to networks that can be looked into."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from compress.artifact import Artifact
from compress.layers.base import LayeredModel
from compress.layers.onnx_layers import QUANTIZE, OnnxLayers
from compress.layers.openvino_layers import OpenVinoLayers
from compress.steps import openvino_tools
from compress.steps.chatter import collected
from compress.steps.graph import load_graph
from compress.steps.ort_tools import prepare
from compress.steps.stand_in import numerics_stand_in
from runtime.errors import StepError

ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
ENGINES = (ONNXRUNTIME, OPENVINO)
_IR = ".xml"


def open_layers(path: Path, engine: str = ONNXRUNTIME) -> LayeredModel:
    """An ONNX graph in the engine named, or an IR (.xml, its .bin beside it), which only OpenVINO runs.

    A float graph is prepared as before quantization, folded and fused, so that its tensors are those that the
    quantizer saw. Raises StepError, BackendMissingError.
    """
    if engine not in ENGINES:
        raise StepError(f"{engine!r} cannot be looked into", f"engines: {', '.join(ENGINES)}")
    if not path.is_file():
        raise StepError(f"{path} is no file", "name an ONNX graph, or the .xml of an OpenVINO model")
    with collected():
        if path.suffix == _IR:
            return OpenVinoLayers(openvino_tools.read_model(path))
        graph = load_graph(path)
        model = prepare(path) if _is_plain(graph) else graph
        return OnnxLayers(model) if engine == ONNXRUNTIME else OpenVinoLayers(_imported(model))


def open_pair(exported: Artifact, made: Artifact) -> tuple[LayeredModel, LayeredModel]:
    """The exported graph and what was quantized or compiled from it, both in the engine of the second.

    TensorRT's are run as the graph that it compiles. Raises StepError for what no such engine runs.
    """
    path = numerics_stand_in(made.folder) if made.format.startswith("tensorrt") else made.path
    engine = OPENVINO if path.suffix == _IR else ONNXRUNTIME
    return open_layers(exported.path, engine), open_layers(path, engine)


def _is_plain(model: onnx.ModelProto) -> bool:
    """Whether it is a float graph of standard operators, as an export is."""
    return all(node.domain in ("", "ai.onnx") and node.op_type != QUANTIZE for node in model.graph.node)


def _imported(model: onnx.ModelProto) -> object:
    """An ov.Model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return openvino_tools.read_model(path)
