"""The parent's side of a build: a child builds, and however it ends is a result or a BackendError."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from runtime import child, strict
from runtime.errors import BackendError
from runtime.trt_build.builder import (
    ENGINE_FILE,
    ONNX_FILE,
    PROGRESS_PIPE,
    TIMING_FILE,
    BuildResult,
    Request,
)
from runtime.trt_build.progress import Listener, listening
from runtime.trt_build.spec import EngineSpec

_HINT = "see what else uses the machine's memory, allow more time, or leave this engine out"


@dataclass(frozen=True)
class BuildJob:
    """library: "tensorrt" or "tensorrt_rtx". onnx: the graph's verified bytes. timing_cache: of an earlier
    build with the same library on the same GPU.
    """

    library: str
    onnx: bytes
    spec: EngineSpec
    timing_cache: bytes = b""


@dataclass(frozen=True)
class Built:
    """engine: b"" where `result` has errors. timing_cache: b"" where the library keeps none."""

    result: BuildResult
    engine: bytes = b""
    timing_cache: bytes = b""


def build(job: BuildJob, folder: Path, timeout_s: float, progress: Listener | None = None) -> Built:
    """Build in a child, which works in `folder`: empty, the caller's own, removed by the caller.

    Raises BackendError where the child crashes, runs out of memory or time, or answers with what it has not
    made. What the library refuses is no error here: see `BuildResult.errors`.
    """
    (folder / ONNX_FILE).write_bytes(job.onnx)
    if job.timing_cache:
        (folder / TIMING_FILE).write_bytes(job.timing_cache)
    request = Request(job.library, str(folder), hashlib.sha256(job.onnx).hexdigest(), job.spec)
    result = _ask(request, timeout_s, progress)
    if result.errors:
        return Built(result)
    engine = _read(folder / ENGINE_FILE)
    if hashlib.sha256(engine).hexdigest() != result.engine_sha256:
        raise BackendError(f"{job.library} left another engine than the one it told of", _HINT)
    return Built(result, engine, _read(folder / TIMING_FILE))


def _ask(request: Request, timeout_s: float, progress: Listener | None) -> BuildResult:
    pipe = Path(request.folder) / PROGRESS_PIPE
    heard = contextlib.nullcontext() if progress is None else listening(pipe, progress)
    try:
        with heard:
            answer = child.ask("runtime.trt_build.builder", dataclasses.asdict(request), timeout_s)
        return strict.build(BuildResult, answer, "answer")
    except BackendError as error:
        raise BackendError(f"the build by {request.library} {error}", _HINT) from error


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
