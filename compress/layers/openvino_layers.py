"""The tensors of an OpenVINO model, an ONNX graph that it read or an IR that NNCF quantized.

Its importer gives the ports the ONNX tensors' names, and saving keeps them, while the operations' own names
change (openvino_tools.save). An extra output keeps the CPU plugin from fusing across it, so what is seen are
the model's layers rather than the fused kernels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from compress.layers.base import INPUT, Feed, LayerTensor, Tap, Values
from compress.steps.openvino_tools import load_openvino
from runtime.backends import feeds as feed_checks
from runtime.backends.base import INPUT_NAME, METADATA_NAME, TensorInfo
from runtime.errors import InferenceError, StepError

_NAME = "openvino"
_QUANTIZE = "FakeQuantize"
_NO_LAYER = ("Constant", "Result", _QUANTIZE)
_SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


class OpenVinoLayers:
    """See base.LayeredModel. model: an ov.Model. Raises BackendMissingError without the library."""

    def __init__(self, model: Any) -> None:
        self._library = load_openvino()
        self._model = model
        self._ports = {name: port for port in _named_ports(model) for name in port.get_names()}

    @property
    def tensors(self) -> tuple[LayerTensor, ...]:
        """See base.LayeredModel. A tensor of several names is listed under each."""
        moved = _moved_by_inputs(self._model)
        return tuple(
            LayerTensor(name, _operator(port), _made_of(port, moved))
            for port in _named_ports(self._model)
            for name in sorted(port.get_names())
            if _key(port) in moved
        )

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """See base.LayeredModel."""
        return tuple(_info(port) for port in self._model.inputs)

    @property
    def quantized(self) -> bool:
        """See base.LayeredModel."""
        return any(operation.get_type_name() == _QUANTIZE for operation in self._model.get_ordered_ops())

    def tap(self, names: Collection[str]) -> Tap:
        """See base.LayeredModel."""
        ordered = list(names)
        results = [
            self._library.opset13.result(_behind_quantizer(self._ports[name])).output(0) for name in ordered
        ]
        parameters = self._model.get_parameters()
        tapped = self._library.Model([port.get_node() for port in results], parameters, "tapped")
        request, inputs = _load(self._library, tapped), self.inputs

        def run(feed: Feed) -> Values:
            checked = feed_checks.check(_NAME, inputs, feed)
            try:
                request.infer({number: checked[info.name] for number, info in enumerate(inputs)})
            except RuntimeError as error:
                raise InferenceError(f"{_NAME} failed: {feed_checks.reason(error)}") from error
            return {
                name: np.array(request.get_output_tensor(number).data, np.float32)
                for number, name in enumerate(ordered)
            }

        return run


def _load(library: Any, model: Any) -> Any:
    """An infer request."""
    try:
        return library.Core().compile_model(model, "CPU", _SETTINGS).create_infer_request()
    except RuntimeError as error:
        raise StepError(f"{_NAME} cannot give the inner tensors: {feed_checks.reason(error)}") from error


def _named_ports(model: Any) -> Iterator[Any]:
    """Float outputs with names, in topological order, without constants."""
    for operation in model.get_ordered_ops():
        if operation.get_type_name() not in _NO_LAYER:
            for port in operation.outputs():
                if port.get_names() and port.get_element_type().get_type_name() == "f32":
                    yield port


def _moved_by_inputs(model: Any) -> set[tuple[str, int]]:
    """Ports that the inputs have a part in."""
    moved: set[tuple[str, int]] = set()
    for operation in model.get_ordered_ops():
        is_input = operation.get_type_name() == "Parameter"
        if is_input or any(_key(value) in moved for value in operation.input_values()):
            moved.update(_key(port) for port in operation.outputs())
    return moved


def _made_of(port: Any, moved: set[tuple[str, int]]) -> tuple[str, ...]:
    """Names of the nearest named ports before this one."""
    waiting, found, seen = list(port.get_node().input_values()), [], set()
    while waiting:
        value = waiting.pop(0)
        if _key(value) in seen or _key(value) not in moved:
            continue
        seen.add(_key(value))
        if value.get_names() and value.get_node().get_type_name() != _QUANTIZE:
            found.append(min(value.get_names()))
        else:
            waiting += value.get_node().input_values()
    return tuple(dict.fromkeys(found))


def _behind_quantizer(port: Any) -> Any:
    """The FakeQuantize behind a port, which the next layer reads, or the port itself."""
    for target in port.get_target_inputs():
        node = target.get_node()
        if node.get_type_name() == _QUANTIZE and target.get_index() == 0:
            return node.output(0)
    return port


def _operator(port: Any) -> str:
    kind = str(port.get_node().get_type_name())
    return INPUT if kind == "Parameter" else kind


def _key(port: Any) -> tuple[str, int]:
    return port.get_node().get_friendly_name(), port.get_index()


def _info(port: Any) -> TensorInfo:
    names = port.get_names()
    name = next((name for name in (INPUT_NAME, METADATA_NAME) if name in names), None) or port.get_any_name()
    shape = tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
    return TensorInfo(name, shape, "float32")
