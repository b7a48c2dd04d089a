"""Writes and runs graphs in two precisions: a quantized one with some of its groups in float."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import onnx

from compress.artifact import Artifact, StepOutput
from compress.fallback.groups import Group, onnx_groups, openvino_groups
from compress.fallback.restore import restored_onnx
from compress.fallback.restore_openvino import restored_openvino
from compress.steps import openvino_tools
from compress.steps.chatter import collected
from compress.steps.graph import load_graph, summarize
from compress.steps.ort_tools import prepare
from compress.targets import Target
from runtime.backends.base import Backend

_IR = ".xml"
_MODEL_FILE = "model.onnx"


class Mixer(Protocol):
    """A quantized graph any of whose groups can go back to float."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """In the order of the graph."""
        ...

    def write(self, names: Collection[str], folder: Path) -> StepOutput:
        """The graph with these groups in float. Raises StepError for one that is not there."""
        ...


def open_mixer(exported: Path, quantized: Path) -> Mixer:
    """exported: the float graph from which `quantized` (ONNX, or an IR's .xml) was made. Raises StepError."""
    with collected():
        prepared = prepare(exported)
        if quantized.suffix == _IR:
            return _OpenVinoMixer(openvino_tools.read_model(quantized), _imported(prepared))
    return _OnnxMixer(load_graph(quantized), prepared)


@contextmanager
def mixed_backend(mixer: Mixer, names: Collection[str], target: Target) -> Iterator[Backend]:
    """The graph with these groups in float, run as the target runs it here before it is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        output = mixer.write(names, Path(folder))
        artifact = Artifact(
            "mixed", Path(folder), output.main, output.format, "", output.companions, facts=output.facts
        )
        backend = target.open(artifact).open_backend()
        try:
            yield backend
        finally:
            backend.close()


@dataclass(frozen=True)
class _OnnxMixer:
    quantized: onnx.ModelProto
    prepared: onnx.ModelProto

    @property
    def groups(self) -> tuple[Group, ...]:
        return onnx_groups(self.quantized)

    def write(self, names: Collection[str], folder: Path) -> StepOutput:
        model = restored_onnx(self.quantized, self.prepared, names)
        (folder / _MODEL_FILE).write_bytes(model.SerializeToString(deterministic=True))
        return StepOutput(_MODEL_FILE, "onnx", facts=summarize(model).to_json())


@dataclass(frozen=True)
class _OpenVinoMixer:
    quantized: Any
    plain: Any

    @property
    def groups(self) -> tuple[Group, ...]:
        return openvino_groups(self.quantized)

    def write(self, names: Collection[str], folder: Path) -> StepOutput:
        model = restored_openvino(self.quantized, self.plain, names)
        path = openvino_tools.save(model, folder)
        facts = openvino_tools.count_operations(model)
        return StepOutput(path.name, "openvino", (path.with_suffix(".bin").name,), facts)


def _imported(model: onnx.ModelProto) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _MODEL_FILE
        path.write_bytes(model.SerializeToString())
        return openvino_tools.read_model(path)
