"""Puts groups of a graph with Q and DQ back to float, with the float graph's own weights and biases.

What the quantizer did beside placing pairs is undone where a group needs it: rounded weights and shifted
biases are taken from the float graph, and a Relu or Clip that had been left to the range of its quantizer
stands again where that range no longer cuts.
"""

from __future__ import annotations

import copy
from collections.abc import Collection

import onnx

from compress.fallback.groups import Group, Reading, onnx_groups, original_tensor
from runtime.errors import StepError

_SUFFIX = "_in_float"


def restored_onnx(
    quantized: onnx.ModelProto, prepared: onnx.ModelProto, names: Collection[str]
) -> onnx.ModelProto:
    """A copy of `quantized` in which the groups `names` compute in float.

    prepared: the float graph as the quantizer was given it (ort_tools.prepare), whose nodes' names it kept.
    Raises StepError for a group that is not there, or whose node the float graph lacks.
    """
    work = _Work(copy.deepcopy(quantized), prepared)
    for group in chosen(onnx_groups(quantized), names):
        for reading in group.readings:
            work.read_float(reading)
        work.take_weights(group.name)
    work.sweep()
    return work.model


def chosen(groups: Collection[Group], names: Collection[str]) -> tuple[Group, ...]:
    """Those of the names. Raises StepError that lists every name without a group."""
    known = {group.name: group for group in groups}
    missing = [name for name in names if name not in known]
    if missing:
        raise StepError(f"no quantized group {', '.join(missing)}; there are {', '.join(known) or 'none'}")
    return tuple(group for group in groups if group.name in set(names))


class _Work:
    """A graph under repair."""

    def __init__(self, model: onnx.ModelProto, prepared: onnx.ModelProto) -> None:
        self.model = model
        self._nodes = {node.name: node for node in model.graph.node}
        self._makers = {output: node for node in model.graph.node for output in node.output}
        self._held = {tensor.name for tensor in model.graph.initializer}
        self._float = {node.name: node for node in prepared.graph.node}
        self._float_makers = {output: node for node in prepared.graph.node for output in node.output}
        self._float_held = {tensor.name: tensor for tensor in prepared.graph.initializer}

    def read_float(self, reading: Reading) -> None:
        """Read what stands before Q and DQ."""
        node = self._nodes[reading.node]
        name = original_tensor(node.input[reading.index], self._makers)
        self._require_activations(name)
        node.input[reading.index] = name

    def take_weights(self, name: str) -> None:
        """Weights and bias of a computing node, under new names: the old ones may be others' too."""
        node, wanted = self._nodes[name], self._float.get(name)
        if wanted is None:
            raise StepError(f"the float graph has no node {name}", "quantize again from the same export")
        for index, source in enumerate(wanted.input):
            if source in self._float_held:
                node.input[index] = self._hold(source, f"{source}{_SUFFIX}")

    def sweep(self) -> None:
        """Leave out what nothing reads any more."""
        graph = self.model.graph
        needed = {item.name for item in graph.output}
        kept = []
        for node in reversed(graph.node):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        nodes = [copy.deepcopy(node) for node in reversed(kept)]
        tensors = [copy.deepcopy(tensor) for tensor in graph.initializer if tensor.name in needed]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(nodes)
        graph.initializer.extend(tensors)

    def _require_activations(self, name: str) -> None:
        """Stand a Relu or Clip again that the quantizer took out because its range does the same."""
        wanted = self._float_makers.get(name)
        if wanted is None or wanted.name in self._nodes:
            return
        before = wanted.input[0]
        maker = self._makers[name]
        maker.output[list(maker.output).index(name)] = before
        self._makers[before] = maker
        self._insert_behind(maker, wanted)
        self._require_activations(before)

    def _insert_behind(self, maker: onnx.NodeProto, wanted: onnx.NodeProto) -> None:
        graph, node = self.model.graph, copy.deepcopy(wanted)
        for source in node.input[1:]:
            if source in self._float_held:
                self._hold(source, source)
        place = next(number for number, item in enumerate(graph.node) if item.name == maker.name)
        graph.node.insert(place + 1, node)
        # Inserting moves the nodes behind: what was remembered of them is looked up again.
        self._nodes = {item.name: item for item in graph.node}
        self._makers = {output: item for item in graph.node for output in item.output}

    def _hold(self, source: str, name: str) -> str:
        if name not in self._held:
            tensor = copy.deepcopy(self._float_held[source])
            tensor.name = name
            self.model.graph.initializer.append(tensor)
            self._held.add(name)
        return name
