"""TensorRT, classic (`tensorrt`) and for RTX (`tensorrt_rtx`): one API under two names. NVIDIA GPUs only."""

from __future__ import annotations

import functools
import importlib
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends import feeds as feed_checks
from runtime.backends.base import BackendOptions, ModelFiles, TensorInfo
from runtime.backends.cuda import Cuda, require_gpu
from runtime.errors import BackendError, DeviceUnavailableError, InferenceError

_DEFAULTS = BackendOptions(device="gpu")
_KEPT_MESSAGES = 8
_LOAD_HINT = "an engine runs on the TensorRT version and GPU family it was built for; compile it again"


def version(engine: str) -> str:
    """Of the library `tensorrt` or `tensorrt_rtx`."""
    return str(importlib.import_module(engine).__version__)


def devices(engine: str) -> tuple[str, ...]:
    """("gpu",) where an NVIDIA driver finds one."""
    try:
        require_gpu()
    except DeviceUnavailableError:
        return ()
    return ("gpu",)


class TensorRtBackend:
    """One serialised engine; `engine` is "tensorrt" or "tensorrt_rtx", `main` the engine's bytes.

    Raises BackendError for bytes that are no engine for this version, DeviceUnavailableError where there is
    no NVIDIA GPU.
    """

    device = "gpu"
    _engine: Any
    _context: Any

    def __init__(self, engine: str, files: ModelFiles, options: BackendOptions = _DEFAULTS) -> None:
        if options.device != "gpu":
            raise DeviceUnavailableError(
                f"{engine} runs on NVIDIA GPUs only, not on {options.device!r}", 'ask for the device "gpu"'
            )
        self.name = engine
        self._library = importlib.import_module(engine)
        self._log = logger(engine)
        self._lock = threading.Lock()
        self._log.messages.clear()
        runtime = self._library.Runtime(self._log)
        if options.dla_core is not None:
            runtime.DLA_core = options.dla_core
        self._refuse_malformed(runtime, files.main)
        self._cuda: Cuda | None = Cuda()
        try:
            self._load(runtime, files.main)
        except BaseException:
            self._cuda.close()
            raise

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` wants."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` gives."""
        return self._outputs

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        """Run once; see Backend.infer. A batch outside the engine's optimization profile is refused."""
        with self._lock:
            if self._cuda is None:
                raise InferenceError(f"{self.name}: the backend is closed")
            checked = feed_checks.check(self.name, self._inputs, feeds)
            self._cuda.activate()
            for name, array in checked.items():
                self._bind_input(self._cuda, name, array)
            results = {info.name: self._bind_output(self._cuda, info) for info in self._outputs}
            if not self._context.execute_async_v3(self._cuda.stream):
                raise InferenceError(f"{self.name} failed: {self._last_error()}")
            for name, array in results.items():
                self._cuda.copy_out(array, self._cuda.buffer(name, array.nbytes))
            self._cuda.synchronize()
            return {name: array.astype(np.float32, copy=False) for name, array in results.items()}

    def close(self) -> None:
        """Free the engine and its memory; see Backend.close."""
        with self._lock:
            if self._cuda is not None:
                self._context = self._engine = None
                self._cuda.close()
                self._cuda = None

    def _refuse_malformed(self, runtime: Any, data: bytes) -> None:
        """Tell bytes that are no engine from an engine that lacks its GPU; older versions cannot say."""
        if not hasattr(runtime, "get_engine_validity"):
            return
        _, diagnostics = runtime.get_engine_validity(data)
        if diagnostics & int(self._library.EngineInvalidityDiagnostics.MALFORMED_ENGINE):
            raise BackendError(f"{self.name} cannot load the model: the bytes are no engine", _LOAD_HINT)

    def _load(self, runtime: Any, data: bytes) -> None:
        self._engine = runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise BackendError(f"{self.name} cannot load the model: {self._last_error()}", _LOAD_HINT)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"{self.name} cannot run the model: {self._last_error()}", _LOAD_HINT)
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = self._library.TensorIOMode.INPUT
        self._inputs = tuple(self._info(n) for n in names if self._engine.get_tensor_mode(n) == is_input)
        self._outputs = tuple(self._info(n) for n in names if self._engine.get_tensor_mode(n) != is_input)

    def _info(self, name: str) -> TensorInfo:
        shape = tuple(None if size < 0 else int(size) for size in self._engine.get_tensor_shape(name))
        return TensorInfo(
            name, shape, str(np.dtype(self._library.nptype(self._engine.get_tensor_dtype(name))))
        )

    def _bind_input(self, cuda: Cuda, name: str, array: NDArray[np.generic]) -> None:
        if not self._context.set_input_shape(name, array.shape):
            raise InferenceError(
                f"{self.name}: shape {array.shape} of input {name} is outside the engine's profile"
            )
        address = cuda.buffer(name, array.nbytes)
        cuda.copy_in(address, array)
        self._context.set_tensor_address(name, address)

    def _bind_output(self, cuda: Cuda, info: TensorInfo) -> NDArray[np.generic]:
        shape = tuple(self._context.get_tensor_shape(info.name))
        if any(size < 0 for size in shape):
            raise InferenceError(f"{self.name}: the shape of output {info.name} depends on its values")
        array = np.empty(shape, np.dtype(info.dtype))
        self._context.set_tensor_address(info.name, cuda.buffer(info.name, array.nbytes))
        return array

    def _last_error(self) -> str:
        return self._log.messages[-1] if self._log.messages else "no reason given"


def open_model(engine: str, files: ModelFiles, options: BackendOptions) -> TensorRtBackend:
    """What the registry calls."""
    return TensorRtBackend(engine, files, options)


@functools.cache
def logger(engine: str) -> Any:
    """One logger a library and process: TensorRT keeps the first it is given and ignores later ones."""
    library: Any = importlib.import_module(engine)
    base: Any = library.ILogger

    class Log(base):  # type: ignore[misc]  # the base class is known at run time only
        """Keeps the last errors instead of printing them, so that exceptions can say why."""

        def __init__(self) -> None:
            base.__init__(self)
            self.messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)

        def log(self, severity: Any, message: str) -> None:
            if severity in (base.ERROR, base.INTERNAL_ERROR):
                self.messages.append(feed_checks.reason(RuntimeError(message)))

    return Log()
