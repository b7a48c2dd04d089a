"""Puts groups of an OpenVINO model with FakeQuantize back to float, with the float model's own constants.

The importer gives a convolution's tensors the ONNX names, and these outlive quantization and saving, while
operations are renamed; so a layer is found in the float model by the name of the tensor that it makes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from compress.fallback.groups import COMPUTING_IR, moved_by_inputs, openvino_groups
from compress.fallback.restore import chosen
from compress.steps.openvino_tools import load_openvino
from runtime.errors import StepError


def restored_openvino(quantized: Any, plain: Any, names: Collection[str]) -> Any:
    """A copy of the ov.Model `quantized` in which the groups `names` compute in float.

    plain: the ov.Model of the float graph that the quantizer was given (ort_tools.prepare). Raises StepError
    for a group that is not there, or whose layer the float model lacks.
    """
    model = quantized.clone()
    operations = {item.get_friendly_name(): item for item in model.get_ordered_ops()}
    layers = [item for item in plain.get_ordered_ops() if item.get_type_name() in COMPUTING_IR]
    makers = {name: layer for layer in layers for name in _tensor_names(layer)}
    moved = moved_by_inputs(plain)
    for group in chosen(openvino_groups(model), names):
        for reading in group.readings:
            port = operations[reading.node].input(reading.index)
            port.replace_source_output(port.get_source_output().get_node().input_value(0))
        layer = operations[group.name]
        _take_constants(layer, _layer_of(layer, makers), moved)
    model.validate_nodes_and_infer_types()
    return model


def _layer_of(layer: Any, makers: dict[str, Any]) -> Any:
    """The same layer of the float model."""
    found = {id(makers[name]): makers[name] for name in _tensor_names(layer) if name in makers}
    if len(found) != 1:
        names = ", ".join(_tensor_names(layer)) or layer.get_friendly_name()
        raise StepError(
            f"the float model has no layer that makes {names}", "quantize again from the same export"
        )
    return next(iter(found.values()))


def _tensor_names(layer: Any) -> tuple[str, ...]:
    """Of what a layer makes, its bias added: then the sum alone carries the name."""
    bias = _bias_of(layer)
    return tuple(sorted((layer if bias is None else bias).output(0).get_names())) if layer.outputs() else ()


def _bias_of(layer: Any) -> Any:
    """The addition of a constant behind a layer without a name of its own, None where there is none."""
    if not layer.outputs() or layer.output(0).get_names():
        return None
    readers = [port.get_node() for port in layer.output(0).get_target_inputs()]
    return readers[0] if len(readers) == 1 and readers[0].get_type_name() == "Add" else None


def _take_constants(layer: Any, wanted: Any, moved: set[str]) -> None:
    """Weights, and the bias where either has one: the quantizer may have shifted it, or rounded both."""
    pairs = [(layer, wanted)]
    biases = _bias_of(layer), _bias_of(wanted)
    if None not in biases:
        pairs.append(biases)
    for own, other in pairs:
        for index, value in enumerate(other.input_values()):
            if value.get_node().get_friendly_name() not in moved:
                own.input(index).replace_source_output(_constant(value))


def _constant(value: Any) -> Any:
    """What the float model computes there, as a constant of its own."""
    library, node = load_openvino(), value.get_node()
    if node.get_type_name() == "Constant":
        return library.opset13.constant(node.data.copy()).output(0)
    computed = library.Model([library.opset13.result(value)], [], "constant")
    request = library.Core().compile_model(computed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return library.opset13.constant(next(iter(request([]).values())).copy()).output(0)
