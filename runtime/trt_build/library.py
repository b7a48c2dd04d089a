"""What differs between generations of TensorRT's Python API: 8.6, 10.3 (JetPack 6), 11, TensorRT for RTX.

Nothing is used that the oldest of them lacks without a look whether it is there.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from runtime.trt_build.spec import EngineSpec

KEPT_LINES = 50
_LINE_LENGTH = 500


def make_logger(trt: Any) -> Any:
    """A logger that prints nothing: `messages` are warnings and errors, `tail` the last lines of any kind.

    Verbose ones are dropped: there are thousands, and they say what the builder tried.
    """
    kinds = {
        trt.ILogger.INFO: "info",
        trt.ILogger.WARNING: "warning",
        trt.ILogger.ERROR: "error",
        trt.ILogger.INTERNAL_ERROR: "internal error",
    }

    class Log(trt.ILogger):  # type: ignore[misc]  # the base class is known at run time only
        """Keeps what matters."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: list[tuple[str, str]] = []
            self.tail: deque[tuple[str, str]] = deque(maxlen=KEPT_LINES)

        def log(self, severity: Any, message: str) -> None:
            if severity not in kinds:
                return
            line = kinds[severity], " ".join(message.split())[:_LINE_LENGTH]
            self.tail.append(line)
            if kinds[severity] != "info":
                self.messages.append(line)

    return Log()


def network_flags(trt: Any) -> int:
    """The types of the graph decide. TensorRT 8 did not have this; from 11 on it is the only way."""
    known = getattr(trt, "NetworkDefinitionCreationFlag", None)
    flag = getattr(known, "STRONGLY_TYPED", getattr(known, "EXPLICIT_BATCH", None))
    return 0 if flag is None else 1 << int(flag)


def make_config(trt: Any, builder: Any, spec: EngineSpec) -> Any:
    """The builder's configuration. Raises ValueError for what the library or the machine does not have."""
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "TF32"):  # not what was gated
        config.clear_flag(trt.BuilderFlag.TF32)
    if _is_weakly_typed(trt) and spec.precision != "fp32":
        config.set_flag(getattr(trt.BuilderFlag, spec.precision.upper()))
    if spec.sparse:
        config.set_flag(trt.BuilderFlag.SPARSE_WEIGHTS)
    if spec.workspace_bytes:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, spec.workspace_bytes)
    config.add_optimization_profile(_profile(builder, spec))
    if _is_rtx(trt):
        _set_capabilities(trt, config, spec.capabilities)
    elif hasattr(trt, "HardwareCompatibilityLevel"):
        # An engine for this GPU alone is the faster one, and no other GPU will see it.
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.NONE
    if spec.dla_core is not None:
        _set_dla(trt, builder, config, spec.dla_core)
    return config


def has_timing_cache(trt: Any) -> bool:
    """Whether timings of kernels can be kept: TensorRT for RTX takes none, its calls for it do nothing."""
    return hasattr(trt, "ITimingCache") and not _is_rtx(trt)


def dla_cores(builder: Any) -> int:
    """Deep-learning accelerators that the library finds beside the GPU."""
    return max(0, int(getattr(builder, "num_DLA_cores", 0)))


def describe(error: Any) -> str:
    """A parser's error in one line. Older versions know the number of the node only."""
    name = error.node_name() if hasattr(error, "node_name") else f"number {error.node()}"
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    return f"{operator} {name}: {' '.join(error.desc().split())}".strip()


def _is_rtx(trt: Any) -> bool:
    return str(trt.__name__) == "tensorrt_rtx"


def _is_weakly_typed(trt: Any) -> bool:
    known = getattr(trt, "NetworkDefinitionCreationFlag", None)
    return hasattr(known, "EXPLICIT_BATCH") and not hasattr(known, "STRONGLY_TYPED")


def _profile(builder: Any, spec: EngineSpec) -> Any:
    profile = builder.create_optimization_profile()
    for name, ends in spec.shapes.items():
        # An accelerator takes one size only.
        low, high = ("min", "max") if spec.dla_core is None else ("opt", "opt")
        profile.set_shape(name, ends[low], ends["opt"], ends[high])
    return profile


def _set_capabilities(trt: Any, config: Any, names: tuple[str, ...]) -> None:
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        known = getattr(trt.ComputeCapability, name.upper(), None)
        if known is None or not config.set_compute_capability(known, index):
            raise ValueError(f"{trt.__name__} {trt.__version__} cannot build for {name}")


def _set_dla(trt: Any, builder: Any, config: Any, core: int) -> None:
    # Without this look the library would build for the GPU and say nothing.
    found = dla_cores(builder)
    if core >= found:
        raise ValueError(f"no DLA core {core}: {trt.__name__} finds {found} on this machine")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
