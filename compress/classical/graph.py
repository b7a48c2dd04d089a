"""Graphs of the classical baselines: exported, merged, checked, with the doors of every other model."""

from __future__ import annotations

import io
import logging
import warnings

import onnx
import torch
from onnx import compose, helper
from torch import Tensor, nn

from compress.classical.neighbours import cells_along
from compress.steps.export_onnx import OPSET
from compress.steps.export_passes import drop_unused, unshare_weights
from compress.steps.graph import drop_unused_domains, name_nodes
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME

IR_VERSION = 8
"""Of opset 17; what is merged must agree on it."""
Named = dict[str, Tensor]


def export_module(module: nn.Module, feeds: Named, outputs: tuple[str, ...]) -> onnx.ModelProto:
    """The module's graph with a free batch. feeds: an example of each input, in forward's order."""
    buffer = io.BytesIO()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns that a newer one exists
            torch.onnx.export(
                module.eval(),
                tuple(feeds.values()),
                buffer,  # type: ignore[arg-type]
                dynamo=False,
                input_names=list(feeds),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamic_axes={name: {0: "batch"} for name in (*feeds, *outputs)},
            )
    finally:
        logger.setLevel(level)
    model = onnx.load_from_string(buffer.getvalue())
    unshare_weights(model.graph)
    drop_unused(model.graph)
    model.ir_version = IR_VERSION
    return model


def join(first: onnx.ModelProto, second: onnx.ModelProto, wires: dict[str, str]) -> onnx.ModelProto:
    """One graph of two. wires: outputs of `first` to inputs of `second`; outputs left over stay outputs."""
    for model in (first, second):
        tidy_domains(model)
        model.ir_version = IR_VERSION
    _tell_apart(first.graph, second.graph)
    return compose.merge_models(first, second, io_map=list(wires.items()))


def _tell_apart(first: onnx.GraphProto, second: onnx.GraphProto) -> None:
    """Rename what is inside of `second` where `first` uses the same names, in place; doors keep theirs."""
    taken = {name for node in first.node for name in (*node.output, node.name)}
    taken |= {tensor.name for tensor in first.initializer}
    doors = {item.name for item in (*second.input, *second.output)}

    def renamed(name: str) -> str:
        return f"{name}/{len(first.node)}" if name in taken and name not in doors else name

    for node in second.node:
        node.name = renamed(node.name)
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    for tensor in second.initializer:
        tensor.name = renamed(tensor.name)


def tidy_domains(model: onnx.ModelProto) -> None:
    """Each operator set once, in place: skl2onnx declares some twice, and the oldest that would do."""
    versions = {"": OPSET}
    for item in model.opset_import:
        versions[item.domain] = max(item.version, versions.get(item.domain, 0))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*pair) for pair in sorted(versions.items()))
    drop_unused_domains(model)


def finish(model: onnx.ModelProto, size_px: int) -> onnx.ModelProto:
    """Ulna's doors: `image` (N, 1, S, S) -> `logit` (N, 1), `map` (N, 1, S / 8, S / 8),
    rounded up; checked.
    """
    cells = cells_along(size_px)
    del model.graph.output[:], model.graph.value_info[:]
    for name, shape in ((LOGIT_NAME, (1,)), (MAP_NAME, (1, cells, cells))):
        doors = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("batch", *shape))
        model.graph.output.append(doors)
    drop_unused(model.graph)
    tidy_domains(model)
    name_nodes(model)
    model.producer_name, model.producer_version = "ulna", ""
    # Merging keeps the names that skl2onnx draws at random: the same model must give the same bytes.
    model.graph.name, model.graph.doc_string, model.doc_string = "ulna", "", ""
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    return model


def whole_graph(net: nn.Module, size_px: int) -> onnx.ModelProto:
    """A module image -> (logit, map) as a finished graph."""
    example = {INPUT_NAME: torch.zeros(1, 1, size_px, size_px)}
    return finish(export_module(net, example, (LOGIT_NAME, MAP_NAME)), size_px)
