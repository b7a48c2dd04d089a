"""Asks the installed engines about a graph: what they refuse, which operator sets they load."""

from __future__ import annotations

import functools
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnx import TensorProto, helper

from compress.lint.context import Answer, LintContext, Refusal
from compress.lint.graph import label
from compress.steps import openvino_tools
from compress.steps.compile_tensorrt import choose_library
from runtime import machine
from runtime.errors import StepError

_TIMEOUT_S = 300.0
_NO_IMPORTER = "false"
"""All that TensorRT's parser says of an operator that it has no importer for."""
_NEWEST_IR = 10
_OPSETS_AHEAD = 8


def context_for(model: onnx.ModelProto, target: str) -> LintContext:
    """This machine, and what the target's engine says of the graph where it is installed and can be asked."""
    here = machine.describe()
    limit = newest_opset() if target == "onnxruntime" else None
    answer = ask_tensorrt(model) if target == "tensorrt" else None
    return LintContext(here.architecture, here.cpu_flags, limit, answer)


@functools.cache
def newest_opset() -> int:
    """The newest operator set that the installed ONNX Runtime loads, found by loading."""
    known = onnx.defs.onnx_opset_version()
    return next(version for version in range(known + _OPSETS_AHEAD, 0, -1) if _loads(version))


def ask_tensorrt(model: onnx.ModelProto) -> Answer | None:
    """What the parser of the library that would build refuses; None where none can build here.

    Raises StepError where it crashes or takes too long.
    """
    library = choose_library()
    if library is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        graph, answer = Path(folder) / "model.onnx", Path(folder) / "answer.json"
        graph.write_bytes(model.SerializeToString())
        command = [sys.executable, "-m", "compress.lint.ask_tensorrt", library, str(graph), str(answer)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise StepError(f"{library} took longer than {_TIMEOUT_S:g} s to read the graph") from error
        if done.returncode != 0 or not answer.is_file():
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise StepError(f"{library} ended with code {done.returncode}: {lines[-1]}")
        table: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    refusals = tuple(Refusal(*_of_node(model, number, words)) for number, words in table["refusals"])
    return Answer(f"{library} {table['version']}", refusals)


def read_for_openvino(model: onnx.ModelProto) -> tuple[Any, Answer]:
    """OpenVINO's own form of the graph, as far as its frontend converts it, and what it does not take.

    Raises BackendMissingError, StepError for what is no graph.
    """
    openvino_tools.load_openvino()
    from openvino.frontend import FrontEndManager

    frontend = FrontEndManager().load_by_framework("onnx")
    try:
        converted = frontend.convert_partially(frontend.load(io.BytesIO(model.SerializeToString())))
    except Exception as error:  # the frontend raises classes of its own, straight from Exception
        raise StepError(f"openvino cannot read the graph: {' '.join(str(error).split())}") from error
    return converted, ask_openvino(converted)


def ask_openvino(model: Any) -> Answer:
    """The operations that neither its frontend nor its CPU plugin knows."""
    library = openvino_tools.load_openvino()
    engine = f"openvino {openvino_tools.version()}"
    unknown = [item for item in model.get_ordered_ops() if "ONNX_META_type" in item.get_attributes()]
    if unknown:
        refusals = (_unconverted(item) for item in unknown)
        return Answer(engine, tuple(refusals))
    taken = library.Core().query_model(model, "CPU")
    return Answer(
        engine,
        tuple(
            Refusal(f"{item.get_type_name()} {item.get_friendly_name()}", "the CPU plugin does not run it")
            for item in model.get_ordered_ops()
            if item.get_friendly_name() not in taken
        ),
    )


def _unconverted(operation: Any) -> Refusal:
    kind = operation.get_attributes()["ONNX_META_type"]
    return Refusal(
        f"{kind} {operation.get_friendly_name()}", "the ONNX frontend does not convert this operator"
    )


def _of_node(model: onnx.ModelProto, number: int, words: str) -> tuple[str, str]:
    reason = "the parser has no importer for this operator" if words == _NO_IMPORTER else words
    nodes = model.graph.node
    return (label(nodes[number]) if 0 <= number < len(nodes) else "graph"), reason


def _loads(opset: int) -> bool:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", value[:1], value[1:])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_NEWEST_IR, producer_name="ulna"
    )
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    except Exception:  # the library raises classes of its own, all straight from Exception
        return False
    return True
