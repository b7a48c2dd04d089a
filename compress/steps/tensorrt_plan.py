"""What an engine is built from, as data: read by the compiler here, or by whoever builds on the device."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx

from compress.lint.tensorrt_types import require_tensorrt_graph
from compress.steps.graph import load_graph, summarize
from compress.steps.probe import input_size, metadata_width
from compress.steps.sparse import has_sparse_layers
from compress.steps.stand_in import PLAN_FILE, SOURCE_FILE
from runtime.backends.base import INPUT_NAME, METADATA_NAME
from runtime.trt_build.spec import EngineSpec

ENGINE_FILE = "model.engine"
DEFAULT_CAPABILITIES = ("sm75", "sm80", "sm86", "sm89", "sm120")
"""Turing to Blackwell: what a clinic's workstation may hold. Only TensorRT for RTX builds for several."""


@dataclass(frozen=True)
class TensorRtOptions:
    """capabilities: GPU families that `tensorrt_rtx` builds for. library: "auto", "device" to leave
    the build to the box, or one of the two by name.

    max_batch: the engine takes batches of 1 to this many, tuned for 1. timeout_s: of one build.
    """

    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    library: str = "auto"
    max_batch: int = 4
    timeout_s: float = 1800.0


@dataclass(frozen=True)
class BuildPlan:
    """Everything that decides what the engine computes.

    precision: "int8" for a Q/DQ graph, "fp16" for one of halves, else "fp32". sparse: whether 2:4 zeros may
    be skipped. tf32: always off, since it was not gated with it. commands: how to build by hand where Ulna's
    toolchain is not installed, one a tool.
    """

    onnx: str
    onnx_sha256: str
    precision: str
    opset: int
    shapes: dict[str, dict[str, list[int]]]
    capabilities: tuple[str, ...]
    engine: str
    commands: dict[str, str]
    strongly_typed: bool = True
    tf32: bool = False
    sparse: bool = False
    schema: int = 1

    @property
    def spec(self) -> EngineSpec:
        """What the builder is told."""
        shapes = {
            name: {end: tuple(shape) for end, shape in ends.items()} for name, ends in self.shapes.items()
        }
        return EngineSpec(shapes, self.precision, self.sparse, self.capabilities)

    def write(self, folder: Path) -> Path:
        """As `plan.json` in `folder`."""
        path = folder / PLAN_FILE
        path.write_text(json.dumps(asdict(self), indent=2, sort_keys=True), encoding="utf-8")
        return path


def make_plan(source: Path, folder: Path, options: TensorRtOptions) -> BuildPlan:
    """Copy the graph into `folder` as `source.onnx` and say how it is built.

    Raises StepError for a graph that TensorRT would refuse or misread.
    """
    model = load_graph(source)
    require_tensorrt_graph(model)
    data = source.read_bytes()
    (folder / SOURCE_FILE).write_bytes(data)
    summary = summarize(model)
    size = input_size(source)
    inputs = {INPUT_NAME: [1, size, size]}
    width = metadata_width(model)
    if width:
        inputs[METADATA_NAME] = [width]
    shapes = {
        name: {end: [batch, *shape] for end, batch in _batches(options.max_batch)}
        for name, shape in inputs.items()
    }
    sparse = has_sparse_layers(model)
    precision = "int8" if "QuantizeLinear" in summary.nodes else "fp16" if _has_halves(model) else "fp32"
    return BuildPlan(
        onnx=SOURCE_FILE,
        onnx_sha256=hashlib.sha256(data).hexdigest(),
        precision=precision,
        opset=max(summary.domains.values()),
        shapes=shapes,
        capabilities=options.capabilities,
        engine=ENGINE_FILE,
        commands=_commands(precision, shapes, sparse),
        sparse=sparse,
    )


def _has_halves(model: onnx.ModelProto) -> bool:
    return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)


def _batches(max_batch: int) -> tuple[tuple[str, int], ...]:
    return ("min", 1), ("opt", 1), ("max", max_batch)


def _commands(precision: str, shapes: dict[str, dict[str, list[int]]], sparse: bool) -> dict[str, str]:
    ranges = " ".join(
        f"--{end}Shapes="
        + ",".join(f"{name}:{'x'.join(map(str, ends[end]))}" for name, ends in shapes.items())
        for end in shapes[INPUT_NAME]
    )
    files = f"--onnx={SOURCE_FILE} --saveEngine={ENGINE_FILE}"
    # Before TensorRT 10 a Q/DQ or FP16 graph needed the flag; from 10 on its own types decide.
    old = "" if precision == "fp32" else f" --{precision}"
    ranges += " --sparsity=enable" if sparse else ""
    return {
        "tensorrt 8 and 9": f"trtexec {files} {ranges} --noTF32{old}",
        "tensorrt 10 and later": f"trtexec {files} {ranges} --noTF32 --stronglyTyped",
        "tensorrt_rtx": f"tensorrt_rtx {files} {ranges} --noTF32",
    }
