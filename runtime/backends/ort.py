"""ONNX Runtime: CPU, or an NVIDIA GPU where the GPU build is installed, by CUDA or by TensorRT."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from runtime.backends import feeds as feed_checks
from runtime.backends.base import BackendOptions, ModelFiles, TensorInfo
from runtime.errors import BackendError, DeviceUnavailableError, InferenceError
from runtime.machine import usable_cores

NAME = "onnxruntime"
_TENSORRT = "TensorrtExecutionProvider"
_PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider", "tensorrt": _TENSORRT}
# Types as they stand in the graph, so that what was gated is what runs. No engine is kept: the provider would
# load one from a disk without a look at who has made it.
_TENSORRT_OPTIONS = {
    "trt_int8_enable": "1",
    "trt_fp16_enable": "0",
    "trt_engine_cache_enable": "0",
    "trt_timing_cache_enable": "0",
}
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
_ERRORS_ONLY = 3
_DEFAULTS = BackendOptions()


def version(engine: str = NAME) -> str:
    """Of the library."""
    return str(onnxruntime.__version__)


def devices(engine: str = NAME) -> tuple[str, ...]:
    """Those that the library can use here."""
    available = onnxruntime.get_available_providers()
    return tuple(device for device, provider in _PROVIDERS.items() if provider in available)


class OrtBackend:
    """One model in ONNX Runtime. `main` is a graph as .onnx or .ort bytes with its weights inside.

    Raises DeviceUnavailableError for a device that is not there, BackendError for bytes that are no model.
    """

    name = NAME

    def __init__(self, files: ModelFiles, options: BackendOptions = _DEFAULTS) -> None:
        provider = _provider(options.device)
        self.device = options.device
        self._session: onnxruntime.InferenceSession | None = _session(files.main, provider, options)
        used = self._session.get_providers()
        if used[0] != provider:
            raise DeviceUnavailableError(
                f"onnxruntime was asked for {provider} and uses {used[0]}",
                "install the driver and CUDA libraries that this onnxruntime wants",
            )
        self._inputs = tuple(map(_info, self._session.get_inputs()))
        self._outputs = tuple(map(_info, self._session.get_outputs()))

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` wants."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` gives."""
        return self._outputs

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        """Run once; see Backend.infer."""
        session = self._session  # kept here, so that a close in another thread cannot take it away midway
        if session is None:
            raise InferenceError(f"{NAME}: the backend is closed")
        checked = feed_checks.check(NAME, self._inputs, feeds)
        names = [info.name for info in self._outputs]
        try:
            results = session.run(names, checked)
        except Exception as error:  # the library raises classes of its own, all straight from Exception
            raise InferenceError(f"{NAME} failed: {feed_checks.reason(error)}") from error
        # A graph may hand an input through as an output: copied, so that the caller owns what it gets.
        return {name: np.array(value, np.float32) for name, value in zip(names, results, strict=True)}

    def close(self) -> None:
        """Free the session; see Backend.close."""
        self._session = None


def _provider(device: str) -> str:
    provider = _PROVIDERS.get(device)
    if provider is None:
        raise DeviceUnavailableError(
            f"onnxruntime knows no device {device!r}", f"devices: {', '.join(_PROVIDERS)}"
        )
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise DeviceUnavailableError(
            f"onnxruntime {version()} has no {provider}; it has {', '.join(available)}",
            "use the CPU, or install onnxruntime-gpu on a machine with an NVIDIA GPU",
        )
    return provider


def _session(model: bytes, provider: str, options: BackendOptions) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    try:
        return onnxruntime.InferenceSession(
            model,
            session_options(options),
            providers=[provider],
            provider_options=[_TENSORRT_OPTIONS if provider == _TENSORRT else {}],
        )
    except Exception as error:  # the library raises classes of its own, all straight from Exception
        raise feed_checks.cannot_load(NAME, error) from error


def session_options(options: BackendOptions) -> onnxruntime.SessionOptions:
    """For one image at a time on a small machine that has other things to do."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    settings.intra_op_num_threads = options.threads or usable_cores()
    settings.inter_op_num_threads = 1
    settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # A plan of all buffers for one shape costs 16 MiB and gains a hundredth of the time at most.
    settings.enable_mem_pattern = False
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Threads that spin while they wait take the cores from screens and receivers of the kiosk, and gain two
    # hundredths of the time. The memory arena stays on: without it an inference takes a third longer and more
    # memory. Both measured by benchmarks.engine_settings (docs/performance.md).
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # A graph may name files beside it for its weights, and from bytes "beside it" is the current folder:
    # nobody checked what lies there. This folder cannot exist, so such a graph is refused.
    settings.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    if options.device != "cpu":
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return settings


def _info(node: onnxruntime.NodeArg) -> TensorInfo:
    if node.type not in _DTYPES:
        raise BackendError(f"{NAME}: tensor {node.name} has type {node.type}, which Ulna does not use")
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorInfo(node.name, shape, _DTYPES[node.type])


def open_model(engine: str, files: ModelFiles, options: BackendOptions) -> OrtBackend:
    """What the registry calls; `engine` is NAME."""
    return OrtBackend(files, options)
