"""A TensorRT engine where one can be built, else the graph with its build plan, left to the device.

Classic `tensorrt` builds for the GPU in this machine and needs it. `tensorrt_rtx` builds ahead of time for
families of desktop GPUs on any host (not for Jetson, whose own software brings `tensorrt`). An engine built
ahead of time has not been executed here, and its facts say so.
"""

from __future__ import annotations

import ctypes
import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.artifact import STATUS_DEFERRED, StepOutput
from compress.steps.graph import load_graph, summarize
from compress.steps.stand_in import PLAN_FILE, SOURCE_FILE
from compress.steps.tensorrt_plan import ENGINE_FILE, BuildPlan, TensorRtOptions, make_plan
from runtime.errors import (
    BackendError,
    BackendMissingError,
    DeviceUnavailableError,
    RecipeError,
    StepError,
)
from runtime.trt_build.builder import BuildResult
from runtime.trt_build.process import BuildJob, build
from runtime.trt_build.spec import LIBRARIES

ON_DEVICE = "device"
_DEFAULTS = TensorRtOptions()
_SHOWN_ERRORS = 3


def compile_tensorrt(source: Path, folder: Path, options: TensorRtOptions = _DEFAULTS) -> StepOutput:
    """Write `model.engine`, or `source.onnx` to be built on the device, with `plan.json` into `folder`.

    A family of GPUs that lacks what the graph needs is left out, and named in the facts with TensorRT's
    reason. Raises StepError for a graph that TensorRT takes for none of them, with the node; RecipeError for
    options that make no sense; BackendMissingError or DeviceUnavailableError for a library that was asked for
    by name.
    """
    _check(options)
    plan = make_plan(source, folder, options)
    plan.write(folder)
    library = choose_library(options.library)
    if library is None:
        asked = options.library == ON_DEVICE
        return _deferred(folder, plan, "as asked" if asked else "no TensorRT library can build on this host")
    result = _run_build(library, folder, plan, options.timeout_s)
    refused: dict[str, str] = {}
    if result.errors and library == "tensorrt_rtx" and len(plan.capabilities) > 1:
        refused = _refusals(library, folder, plan, options.timeout_s)
        left = tuple(name for name in plan.capabilities if name not in refused)
        if left and refused:
            plan = make_plan(source, folder, replace(options, capabilities=left))
            plan.write(folder)
            result = _run_build(library, folder, plan, options.timeout_s)
    if result.errors:
        raise StepError(
            f"{library} {result.version} refuses the graph: {_shown(result)}", "see the node it names"
        )
    facts = _facts(library, folder, plan, result) | {"refused_capabilities": refused}
    return StepOutput(ENGINE_FILE, library, facts=facts)


def _refusals(library: str, folder: Path, plan: BuildPlan, timeout_s: float) -> dict[str, str]:
    """Families of GPUs that lack what the graph needs, each with TensorRT's reason: one must not cost all."""
    found = {}
    for name in plan.capabilities:
        result = _run_build(library, folder, replace(plan, capabilities=(name,)), timeout_s)
        if result.errors:
            found[name] = _shown(result)
    return found


def _shown(result: BuildResult) -> str:
    return "; ".join(result.errors[:_SHOWN_ERRORS])


def choose_library(wanted: str = "auto", gpu: bool | None = None) -> str | None:
    """Classic TensorRT where it and a GPU are, TensorRT for RTX where it is, else None: on the device.

    Raises BackendMissingError or DeviceUnavailableError where the one asked for cannot build here.
    """
    has_gpu = gpu_count() > 0 if gpu is None else gpu
    if wanted == ON_DEVICE:
        return None
    if wanted == "auto":
        usable = (name for name in LIBRARIES if _installed(name) and (has_gpu or name != "tensorrt"))
        return next(usable, None)
    if not _installed(wanted):
        raise BackendMissingError(
            f"{wanted} is not installed",
            'run pip install "ulna[tensorrt]" for tensorrt_rtx; tensorrt comes with the device\'s software',
        )
    if wanted == "tensorrt" and not has_gpu:
        raise DeviceUnavailableError(
            "tensorrt builds on an NVIDIA GPU only, none is here", "use tensorrt_rtx"
        )
    return wanted


def gpu_count() -> int:
    """NVIDIA GPUs that the driver sees; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _run_build(library: str, folder: Path, plan: BuildPlan, timeout_s: float) -> BuildResult:
    """Build in a child, the engine into `folder`. Raises StepError when that crashes or takes too long."""
    job = BuildJob(library, (folder / SOURCE_FILE).read_bytes(), plan.spec)
    try:
        with tempfile.TemporaryDirectory() as work:
            built = build(job, Path(work), timeout_s)
    except BackendError as error:
        raise StepError(str(error), error.hint) from error
    if built.engine:
        (folder / ENGINE_FILE).write_bytes(built.engine)
    return built.result


def _check(options: TensorRtOptions) -> None:
    choices = ("auto", ON_DEVICE, *LIBRARIES)
    if options.library not in choices:
        raise RecipeError(f"no library {options.library!r}", f"libraries: {', '.join(choices)}")
    known = capabilities()
    unknown = [name for name in options.capabilities if known and name not in known]
    if unknown or not options.capabilities:
        raise RecipeError(
            f"no compute capability {', '.join(unknown) or 'given'}", f"capabilities: {', '.join(known)}"
        )
    if options.max_batch < 1:
        raise RecipeError(f"max_batch must be at least 1, got {options.max_batch}")


def capabilities() -> tuple[str, ...]:
    """Those that the installed TensorRT for RTX builds for; () where it is not installed."""
    if not _installed("tensorrt_rtx"):
        return ()
    names = importlib.import_module("tensorrt_rtx").ComputeCapability.__members__
    return tuple(sorted((name.lower() for name in names if name.startswith("SM")), key=lambda n: int(n[2:])))


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _deferred(folder: Path, plan: BuildPlan, reason: str) -> StepOutput:
    facts = {**_common_facts(plan, folder), "size_bytes": (folder / SOURCE_FILE).stat().st_size}
    facts |= {"reason": reason, "commands": plan.commands}
    return StepOutput(SOURCE_FILE, "onnx", (PLAN_FILE,), facts, STATUS_DEFERRED)


def _facts(library: str, folder: Path, plan: BuildPlan, result: BuildResult) -> dict[str, Any]:
    engine = folder / ENGINE_FILE
    built_for = list(plan.capabilities) if library == "tensorrt_rtx" else ["the GPU of this machine"]
    return {
        **_common_facts(plan, folder),
        "size_bytes": engine.stat().st_size,
        "engine_sha256": result.engine_sha256,
        "versions": {library: result.version},
        "capabilities": built_for,
        "layers": result.layers,
        "tensors": result.tensors,
        "build_peak_memory_bytes": result.peak_memory_bytes,
        "messages": list(result.messages),
        # The same plan gives engines of other bytes: the builder does not promise to be reproducible.
        "reproducible": False,
        "executed_here": False,
    }


def _common_facts(plan: BuildPlan, folder: Path) -> dict[str, Any]:
    graph = summarize(load_graph(folder / SOURCE_FILE))
    return {
        "precision": plan.precision,
        "onnx_sha256": plan.onnx_sha256,
        "shapes": plan.shapes,
        "strongly_typed": plan.strongly_typed,
        "tf32": plan.tf32,
        "sparse": plan.sparse,
        "opset": plan.opset,
        **graph.to_json(),
    }
