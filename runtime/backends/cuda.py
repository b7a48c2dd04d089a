"""The few calls of the CUDA driver that TensorRT needs, and what the GPU is, through ctypes.

The driver's own library rather than the CUDA runtime: it comes with every NVIDIA driver, on a desktop, in a
container and on a Jetson, so there is no second library whose version must fit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DeviceUnavailableError, InferenceError

LIBRARY = "libcuda.so.1"
_DEVICE_INDEX = 0
_NON_BLOCKING_STREAM = 1
_NAME_BYTES = 256
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_HINT = "run this on a machine with an NVIDIA GPU and its driver, or choose another engine"

_ErrorKind = Callable[[str, str], Exception]

# Argument types are given so that ctypes cannot cut a 64-bit device address to 32 bits.
_SIGNATURES: dict[str, list[Any]] = {
    "cuInit": [c_uint],
    "cuGetErrorString": [c_int, c_void_p],
    "cuDeviceGetCount": [c_void_p],
    "cuDeviceGet": [c_void_p, c_int],
    "cuDeviceGetName": [c_char_p, c_int, c_int],
    "cuDeviceGetAttribute": [c_void_p, c_int, c_int],
    "cuDriverGetVersion": [c_void_p],
    "cuDevicePrimaryCtxRetain": [c_void_p, c_int],
    "cuDevicePrimaryCtxRelease_v2": [c_int],
    "cuCtxSetCurrent": [c_void_p],
    "cuStreamCreate": [c_void_p, c_uint],
    "cuStreamDestroy_v2": [c_void_p],
    "cuStreamSynchronize": [c_void_p],
    "cuMemAlloc_v2": [c_void_p, c_size_t],
    "cuMemFree_v2": [c_uint64],
    "cuMemcpyHtoDAsync_v2": [c_uint64, c_void_p, c_size_t, c_void_p],
    "cuMemcpyDtoHAsync_v2": [c_void_p, c_uint64, c_size_t, c_void_p],
}


@dataclass(frozen=True)
class GpuFacts:
    """compute_capability: "8.7". driver: the version of CUDA that the driver speaks, "12.6"."""

    name: str
    compute_capability: str
    driver: str


def gpu_facts() -> GpuFacts:
    """Of the first NVIDIA GPU. Raises DeviceUnavailableError where there is no driver or no GPU."""
    library, device, version = require_gpu(), c_int(), c_int()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    setup = DeviceUnavailableError
    _call(library, "cuDeviceGet", byref(device), _DEVICE_INDEX, error=setup)
    _call(library, "cuDeviceGetName", name, _NAME_BYTES, device.value, error=setup)
    _call(library, "cuDriverGetVersion", byref(version), error=setup)
    capability = (
        _attribute(library, which, device.value) for which in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
    )
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return GpuFacts(name.value.decode("utf-8", "replace"), ".".join(map(str, capability)), driver)


class Cuda:
    """The first NVIDIA GPU: its primary context, one stream and named device buffers.

    Raises DeviceUnavailableError where there is no driver or no GPU, InferenceError when a call fails later.
    """

    def __init__(self) -> None:
        self._library = require_gpu()
        self._device, self._context, self._stream = c_int(), c_void_p(), c_void_p()
        self._buffers: dict[str, tuple[int, int]] = {}
        setup = DeviceUnavailableError
        self._call("cuDeviceGet", byref(self._device), _DEVICE_INDEX, error=setup)
        # The primary context is the one that TensorRT's own CUDA runtime uses.
        self._call("cuDevicePrimaryCtxRetain", byref(self._context), self._device.value, error=setup)
        try:
            self._call("cuCtxSetCurrent", self._context, error=setup)
            self._call("cuStreamCreate", byref(self._stream), _NON_BLOCKING_STREAM, error=setup)
        except DeviceUnavailableError:
            self._call("cuDevicePrimaryCtxRelease_v2", self._device.value)
            raise

    @property
    def stream(self) -> int:
        """The stream's handle, as TensorRT takes it."""
        return self._stream.value or 0

    def activate(self) -> None:
        """Make the context current in the calling thread; each thread has its own."""
        self._call("cuCtxSetCurrent", self._context)

    def buffer(self, name: str, size_bytes: int) -> int:
        """Device address of at least `size_bytes` under this name; grows, never shrinks."""
        address, capacity = self._buffers.get(name, (0, 0))
        if capacity >= size_bytes:
            return address
        self._free(name)
        fresh = c_uint64()
        self._call("cuMemAlloc_v2", byref(fresh), size_bytes)
        self._buffers[name] = (fresh.value, size_bytes)
        return fresh.value

    def copy_in(self, address: int, array: NDArray[np.generic]) -> None:
        """Queue a C-contiguous array's way to the device; keep it alive until `synchronize`."""
        self._call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self._stream)

    def copy_out(self, array: NDArray[np.generic], address: int) -> None:
        """Queue the way back into a C-contiguous array."""
        self._call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self._stream)

    def synchronize(self) -> None:
        """Wait until everything queued is done; errors of earlier calls may surface here."""
        self._call("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        """Give buffers, stream and context back."""
        self.activate()
        for name in tuple(self._buffers):
            self._free(name)
        self._call("cuStreamDestroy_v2", self._stream)
        self._call("cuDevicePrimaryCtxRelease_v2", self._device.value)

    def _free(self, name: str) -> None:
        address, _ = self._buffers.pop(name, (0, 0))
        if address:
            self._call("cuMemFree_v2", address)

    def _call(self, function: str, *arguments: Any, error: _ErrorKind = InferenceError) -> None:
        _call(self._library, function, *arguments, error=error)


def require_gpu() -> ctypes.CDLL:
    """The driver's library, ready to use. Raises DeviceUnavailableError without a driver or a GPU."""
    library = _load()
    _call(library, "cuInit", 0, error=DeviceUnavailableError)
    count = c_int()
    _call(library, "cuDeviceGetCount", byref(count), error=DeviceUnavailableError)
    if count.value < 1:
        raise DeviceUnavailableError("the NVIDIA driver finds no GPU", _HINT)
    return library


def _attribute(library: ctypes.CDLL, which: int, device: int) -> int:
    value = c_int()
    _call(library, "cuDeviceGetAttribute", byref(value), which, device, error=DeviceUnavailableError)
    return value.value


def _call(library: ctypes.CDLL, function: str, *arguments: Any, error: _ErrorKind) -> None:
    status = getattr(library, function)(*arguments)
    if status != 0:
        raise error(f"CUDA {function} failed: {_explain(library, status)} (error {status})", _HINT)


def _explain(library: ctypes.CDLL, status: int) -> str:
    text = c_char_p()
    library.cuGetErrorString(status, byref(text))
    return text.value.decode() if text.value else "unknown error"


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise DeviceUnavailableError(
            f"no NVIDIA driver on this machine: {LIBRARY} does not load", _HINT
        ) from error
    for function, arguments in _SIGNATURES.items():
        found = getattr(library, function)
        found.argtypes, found.restype = arguments, c_int
    return library
