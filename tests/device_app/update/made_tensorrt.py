"""TensorRT's Python API on a made-up GPU: builds like tests.runtime.trt_build.classic, and answers.

A test copies this file to `tensorrt.py` on the child's module path (`install`), beside a driver whose device
memory lies in the host. Its "engine" is the graph itself, which ONNX Runtime computes.
"""

from __future__ import annotations

import ctypes
import enum
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.runtime.backends.driver import compile_driver
from tests.runtime.trt_build import classic
from tests.runtime.trt_build.classic import *  # noqa: F403  (the builder's side of the API)

__version__ = classic.__version__
_REPOSITORY = Path(__file__).parents[3]
_TAG = 0x7F << 56  # on every address that the driver gives out

TensorIOMode = enum.Enum("TensorIOMode", ["INPUT", "OUTPUT"])


class MadeGpu:
    """What a test may do to the machine: `does` is what the next build does."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch
        (folder / "driver").mkdir(parents=True)
        self.driver = compile_driver(folder / "driver")
        patch.setenv("LD_LIBRARY_PATH", str(self.driver.parent))
        # For processes that are started without this one's module path, as the kiosk's worker is.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(_REPOSITORY)]))
        self.does("build")

    def does(self, what: str, version: str = "10.3.0") -> None:
        """build, refuse, hang, SIGKILL, SIGSEGV: see classic.py."""
        classic.install(self.folder, self._patch, version, does=what)
        shutil.copy(__file__, self.folder / "tensorrt.py")


class Builder(classic.Builder):
    __slots__ = ()

    def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
        told = super().build_serialized_network(network, config)
        return None if told is None else bytes(network.graph)


class Runtime:
    __slots__ = ("DLA_core",)

    def __init__(self, log: Any) -> None:
        self.DLA_core = -1

    def deserialize_cuda_engine(self, data: bytes) -> Any:
        return _Engine(onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]))


class _Engine:
    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.inputs = {one.name: one for one in session.get_inputs()}
        self.tensors = self.inputs | {one.name: one for one in session.get_outputs()}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else -1 for size in self.tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> type[np.float32]:
        return np.float32

    def create_execution_context(self) -> Any:
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(1 if size < 0 else size for size in self.engine.get_tensor_shape(name))

    def execute_async_v3(self, stream: int) -> bool:
        feeds = {name: self._memory(name, shape) for name, shape in self.shapes.items()}
        names = [name for name in self.engine.tensors if name not in feeds]
        for name, value in zip(names, self.engine.session.run(names, feeds), strict=True):
            self._memory(name, value.shape)[...] = value
        return True

    def _memory(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        kind = ctypes.c_float * math.prod(shape)
        return np.ctypeslib.as_array(kind.from_address(self.addresses[name] ^ _TAG)).reshape(shape)


def nptype(kind: type[np.float32]) -> type[np.float32]:
    return kind
