"""The part of classic TensorRT's Python API that the builder touches, of 8.6, 10.3 and 11; computes nothing.

A test copies this file to `tensorrt.py` on the child's module path (`install`). What a generation lacks is
missing here too, so that a use of it fails. Its "engine" is the list of what it was told, as JSON.
"""

from __future__ import annotations

import enum
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

__version__ = os.environ.get("FAKE_TENSORRT_VERSION", "10.3.0")
_MAJOR = int(__version__.split(".", maxsplit=1)[0])
_CORES = int(os.environ.get("FAKE_TENSORRT_DLA", "0"))
_DOES = os.environ.get("FAKE_TENSORRT_DOES", "build")


def install(
    folder: Path, patch: pytest.MonkeyPatch, version: str, dla_cores: int = 0, does: str = "build"
) -> None:
    """Make `import tensorrt` find this, here and in children."""
    shutil.copy(__file__, folder / "tensorrt.py")
    patch.syspath_prepend(str(folder))
    for name, value in (("VERSION", version), ("DLA", str(dla_cores)), ("DOES", does)):
        patch.setenv(f"FAKE_TENSORRT_{name}", value)


def _flags(name: str, members: str) -> Any:
    return enum.IntEnum(name, [(member, index) for index, member in enumerate(members.split())])


NetworkDefinitionCreationFlag = _flags(
    "NetworkDefinitionCreationFlag",
    {8: "EXPLICIT_BATCH", 10: "EXPLICIT_BATCH STRONGLY_TYPED"}.get(_MAJOR, "STRONGLY_TYPED"),
)
BuilderFlag = _flags(
    "BuilderFlag", "TF32 SPARSE_WEIGHTS GPU_FALLBACK" + (" FP16 INT8" if _MAJOR < 11 else "")
)
HardwareCompatibilityLevel = _flags("HardwareCompatibilityLevel", "NONE AMPERE_PLUS")
MemoryPoolType = _flags("MemoryPoolType", "WORKSPACE DLA_MANAGED_SRAM")
DeviceType = _flags("DeviceType", "GPU DLA")
LayerType = enum.Enum("LayerType", ["CONVOLUTION", "QUANTIZE"])
DataType = enum.Enum("DataType", ["FLOAT"])


class ILogger:
    INFO, WARNING, ERROR, INTERNAL_ERROR = range(4)


if _MAJOR >= 10:

    class IProgressMonitor:
        pass


class ITimingCache:
    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data + b"+"


class _Layer:
    __slots__ = ("type",)

    def __init__(self, kind: LayerType) -> None:
        self.type = kind


class _Tensor:
    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str) -> None:
        self.name, self.shape, self.dtype = name, (-1, 1), DataType.FLOAT


class _Network:
    __slots__ = ("flags", "graph")
    num_layers, num_inputs, num_outputs = 3, 1, 1

    def get_layer(self, index: int) -> _Layer:
        return _Layer(LayerType.QUANTIZE if index == 1 else LayerType.CONVOLUTION)

    def get_input(self, index: int) -> _Tensor:
        return _Tensor("image")

    def get_output(self, index: int) -> _Tensor:
        return _Tensor("logit")


class _Error:
    __slots__ = ()

    def node(self) -> int:
        return 7

    def desc(self) -> str:
        return "no importer\nfor it"


class OnnxParser:
    __slots__ = ("_network",)
    num_errors = 1

    def __init__(self, network: _Network, log: ILogger) -> None:
        self._network = network

    def parse(self, graph: bytes) -> bool:
        self._network.graph = graph
        return graph != b"not taken"

    def get_error(self, index: int) -> _Error:
        return _Error()


class _Profile:
    __slots__ = ("shapes",)

    def __init__(self) -> None:
        self.shapes: dict[str, list[Any]] = {}

    def set_shape(
        self, name: str, low: tuple[int, ...], middle: tuple[int, ...], high: tuple[int, ...]
    ) -> None:
        self.shapes[name] = [low, middle, high]


_CONFIG = ["DLA_core", "default_device_type", "hardware_compatibility_level", "flags", "pools", "profile"]


class _Config:
    __slots__ = (*_CONFIG, "cache", *(("progress_monitor",) if _MAJOR >= 10 else ()))

    def __init__(self) -> None:
        self.DLA_core, self.default_device_type = -1, DeviceType.GPU
        self.hardware_compatibility_level = HardwareCompatibilityLevel.AMPERE_PLUS
        self.flags, self.pools = {"TF32"}, {}
        self.profile: _Profile | None = None
        self.cache: ITimingCache | None = None

    def set_flag(self, flag: enum.IntEnum) -> None:
        self.flags.add(BuilderFlag(flag).name)

    def clear_flag(self, flag: enum.IntEnum) -> None:
        self.flags.discard(BuilderFlag(flag).name)

    def set_memory_pool_limit(self, pool: enum.IntEnum, size_bytes: int) -> None:
        self.pools[pool.name] = size_bytes

    def add_optimization_profile(self, profile: _Profile) -> int:
        self.profile = profile
        return 0

    def can_run_on_DLA(self, layer: _Layer) -> bool:  # noqa: N802  (TensorRT's own name)
        return layer.type is LayerType.CONVOLUTION

    def create_timing_cache(self, data: bytes) -> ITimingCache:
        return ITimingCache(data)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return not ignore_mismatch

    def get_timing_cache(self) -> ITimingCache:
        assert self.cache is not None
        return self.cache


class Builder:
    __slots__ = ("_log",)
    num_DLA_cores = _CORES  # noqa: N815  (as above)

    def __init__(self, log: Any) -> None:
        self._log = log

    def create_builder_config(self) -> _Config:
        return _Config()

    def create_network(self, flags: int) -> _Network:
        network = _Network()
        network.flags = [flag.name for flag in NetworkDefinitionCreationFlag if flags & (1 << int(flag))]
        return network

    def create_optimization_profile(self) -> _Profile:
        return _Profile()

    def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
        monitor = getattr(config, "progress_monitor", None)
        if monitor is not None:
            monitor.phase_start("Building engine", None, 2)
            monitor.step_complete("Building engine", 0)
        if _DOES == "hang":
            time.sleep(600)
        if _DOES in ("SIGSEGV", "SIGKILL"):
            os.kill(os.getpid(), signal.Signals[_DOES])
        if _DOES == "refuse":
            self._log.log(ILogger.ERROR, "no kernel takes\nlayer 3")
            return None
        if monitor is not None:
            monitor.phase_finish("Building engine")
        return json.dumps(_told(network, config)).encode()


def _told(network: _Network, config: _Config) -> dict[str, Any]:
    told = {name: getattr(config, name) for name in _CONFIG}
    told["flags"] = sorted(config.flags)
    told["profile"] = config.profile.shapes if config.profile else {}
    return {**told, "network": network.flags, "graph": len(network.graph)}
