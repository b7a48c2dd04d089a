"""Builds one engine in a process of its own: a Request on standard input, a BuildResult on standard output.

A process of its own because TensorRT keeps the first logger a process gives it, may print past it, may take
all the memory there is, and may take the process down. The files lie in the folder that the request names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime import child, machine, strict
from runtime.trt_build import library as api
from runtime.trt_build.progress import make_monitor, telling
from runtime.trt_build.spec import EngineSpec

ONNX_FILE = "model.onnx"
ENGINE_FILE = "model.engine"
TIMING_FILE = "timing.cache"
PROGRESS_PIPE = "progress"


@dataclass(frozen=True)
class Request:
    """What the child is told. folder: holds the graph, whose digest is `onnx_sha256`; takes the engine."""

    library: str
    folder: str
    onnx_sha256: str
    spec: EngineSpec


@dataclass(frozen=True)
class BuildResult:
    """How a build went; a refusal is a result too, with `errors`.

    layers: of the network, by kind. tensors: inputs and outputs, each with its type and shape. dla_layers:
    how many of the layers the accelerator takes; the GPU has the others. messages: warnings and errors. log:
    the last lines of all kinds. seconds: from the library's start to the engine.
    """

    version: str
    errors: tuple[str, ...] = ()
    engine_sha256: str = ""
    layers: dict[str, int] = field(default_factory=dict)
    tensors: dict[str, Any] = field(default_factory=dict)
    dla_layers: int = 0
    messages: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0


def main() -> None:
    """The child: a Request in, a BuildResult out."""
    child.answer(lambda question: dataclasses.asdict(_reply(strict.build(Request, question, "request"))))


def _reply(request: Request) -> BuildResult:
    started = time.monotonic()
    trt = importlib.import_module(request.library)
    log = api.make_logger(trt)
    with telling(Path(request.folder) / PROGRESS_PIPE) as say:
        result = _build(trt, log, request, make_monitor(trt, say))
    return dataclasses.replace(
        result,
        messages=_lines(log.messages)[: api.KEPT_LINES],
        log=_lines(log.tail),
        seconds=round(time.monotonic() - started, 3),
        peak_memory_bytes=machine.peak_memory_bytes(),
    )


def _build(trt: Any, log: Any, request: Request, monitor: Any) -> BuildResult:
    folder, version = Path(request.folder), str(trt.__version__)
    builder = trt.Builder(log)
    network = builder.create_network(api.network_flags(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(_graph(folder, request.onnx_sha256)):
        errors = (api.describe(parser.get_error(index)) for index in range(parser.num_errors))
        return BuildResult(version, tuple(errors) or ("the graph cannot be read",))
    try:
        config = api.make_config(trt, builder, request.spec)
    except ValueError as error:
        return BuildResult(version, (str(error),))
    if monitor is not None:
        config.progress_monitor = monitor
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    taken = 0 if request.spec.dla_core is None else sum(map(config.can_run_on_DLA, layers))
    engine = _serialized(trt, builder, network, config, folder / TIMING_FILE)
    if engine is None:
        errors = (text for severity, text in log.messages if severity != "warning")
        return BuildResult(version, tuple(errors) or ("no reason",), dla_layers=taken)
    (folder / ENGINE_FILE).write_bytes(engine)
    return BuildResult(
        version,
        engine_sha256=hashlib.sha256(engine).hexdigest(),
        layers=dict(sorted(Counter(_word(layer.type) for layer in layers).items())),
        tensors=_tensors(network),
        dla_layers=taken,
    )


def _graph(folder: Path, sha256: str) -> bytes:
    data = (folder / ONNX_FILE).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SystemExit("the graph to be built has changed on its way to the builder")
    return data


def _serialized(trt: Any, builder: Any, network: Any, config: Any, timing: Path) -> bytes | None:
    """The engine's bytes; kernels that were timed before are not timed again."""
    cached = api.has_timing_cache(trt)
    if cached:
        cache = config.create_timing_cache(timing.read_bytes() if timing.is_file() else b"")
        config.set_timing_cache(cache, False)  # of this very GPU and version, or it is ignored
    engine = builder.build_serialized_network(network, config)
    if engine is not None and cached:
        timing.write_bytes(bytes(config.get_timing_cache().serialize()))
    return None if engine is None else bytes(engine)


def _tensors(network: Any) -> dict[str, Any]:
    tensors = [*map(network.get_input, range(network.num_inputs))]
    tensors += [*map(network.get_output, range(network.num_outputs))]
    return {tensor.name: [_word(tensor.dtype), list(tensor.shape)] for tensor in tensors}


def _word(member: Any) -> str:
    return str(member).rsplit(".", 1)[-1]


def _lines(messages: Any) -> tuple[str, ...]:
    return tuple(f"{severity}: {text}" for severity, text in messages)


if __name__ == "__main__":
    main()
