"""OpenVINO: Intel, AMD and ARM processors, Intel GPUs. Needs the extra `openvino`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends import feeds as feed_checks
from runtime.backends.base import (
    FEATURES_NAME,
    INPUT_NAME,
    LOGIT_NAME,
    MAP_NAME,
    METADATA_NAME,
    BackendOptions,
    ModelFiles,
    TensorInfo,
)
from runtime.backends.quiet import import_openvino
from runtime.errors import DeviceUnavailableError, InferenceError
from runtime.machine import usable_cores

openvino = import_openvino()

NAME = "openvino"
_DEFAULTS = BackendOptions()
_DEVICES = {"cpu": "CPU", "gpu": "GPU"}
_CONTRACT_NAMES = (INPUT_NAME, METADATA_NAME, LOGIT_NAME, MAP_NAME, FEATURES_NAME)


def version(engine: str = NAME) -> str:
    """Of the library, without its build number."""
    return str(openvino.__version__).split("-", 1)[0]


def devices(engine: str = NAME) -> tuple[str, ...]:
    """Those that the library finds here, in Ulna's words."""
    found = {device.split(".")[0] for device in openvino.Core().available_devices}
    return tuple(device for device, target in _DEVICES.items() if target in found)


class OpenVinoBackend:
    """One model in OpenVINO. `main` is the IR's XML, `weights` its .bin.

    Raises DeviceUnavailableError for a device that is not there, BackendError for bytes that are no model.
    """

    name = NAME

    def __init__(self, files: ModelFiles, options: BackendOptions = _DEFAULTS) -> None:
        core = openvino.Core()
        target = _target(core, options.device)
        self.device = options.device
        self._weights = files.weights  # the compiled model may read from this memory, so it stays
        model = _compile(core, files, target, options)
        used = list(model.get_property("EXECUTION_DEVICES"))
        if any(not device.startswith(target) for device in used):
            raise DeviceUnavailableError(f"openvino was asked for {target} and uses {', '.join(used)}")
        self._inputs = tuple(map(_info, model.inputs))
        self._outputs = tuple(map(_info, model.outputs))
        self._request: Any = model.create_infer_request()
        self._lock = threading.Lock()  # a request holds the tensors of one inference

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
        with self._lock:
            if self._request is None:
                raise InferenceError(f"{NAME}: the backend is closed")
            checked = feed_checks.check(NAME, self._inputs, feeds)
            try:
                # By position: an IR may give one tensor several names. Copied in, so a request left over
                # from this call cannot see the caller's array; copied out below.
                positions = {index: checked[info.name] for index, info in enumerate(self._inputs)}
                self._request.infer(positions, share_inputs=False, share_outputs=True)
                return {
                    info.name: np.array(self._request.get_output_tensor(index).data, np.float32)
                    for index, info in enumerate(self._outputs)
                }
            except RuntimeError as error:
                raise InferenceError(f"{NAME} failed: {feed_checks.reason(error)}") from error

    def close(self) -> None:
        """Free the model; see Backend.close."""
        with self._lock:
            self._request = None
            self._weights = b""


def open_model(engine: str, files: ModelFiles, options: BackendOptions) -> OpenVinoBackend:
    """What the registry calls; `engine` is NAME."""
    return OpenVinoBackend(files, options)


def _target(core: Any, device: str) -> str:
    target = _DEVICES.get(device)
    if target is None:
        raise DeviceUnavailableError(f"openvino knows no device {device!r}", 'devices: "cpu", "gpu"')
    available = list(core.available_devices)
    if not any(found.split(".")[0] == target for found in available):
        raise DeviceUnavailableError(
            f"openvino finds no {target} here; it finds {', '.join(available) or 'nothing'}",
            "use the CPU, or install the driver of the Intel GPU",
        )
    return target


def _compile(core: Any, files: ModelFiles, target: str, options: BackendOptions) -> Any:
    try:
        weights = openvino.Tensor(np.frombuffer(files.weights, np.uint8)) if files.weights else None
        return core.compile_model(core.read_model(files.main, weights), target, settings(target, options))
    except RuntimeError as error:
        raise feed_checks.cannot_load(NAME, error) from error


def settings(target: str, options: BackendOptions) -> dict[str, Any]:
    """For one image at a time, in the arithmetic that was gated.

    Without the precision hint OpenVINO computes an fp32 model in bf16 or fp16 where the processor can, which
    is another model than the one whose verdict travels in the bundle.
    """
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if target == "CPU":
        # Not pinned to cores: nothing is gained by it, on a quiet machine or a busy one
        # (benchmarks.engine_settings, docs/performance.md).
        settings |= {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": options.threads or usable_cores(),
            "ENABLE_CPU_PINNING": False,
        }
    return settings


def _info(port: Any) -> TensorInfo:
    shape = tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
    return TensorInfo(_name(port), shape, str(np.dtype(port.get_element_type().to_dtype())))


def _name(port: Any) -> str:
    names = port.get_names()
    return next((name for name in _CONTRACT_NAMES if name in names), None) or port.get_any_name()
