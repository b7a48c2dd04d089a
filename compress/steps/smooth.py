"""Moves the range of outlying channels from activations into the weights that read them, before INT8.

A few channels of a transformer's tokens may be many times as large as all others. One range for the whole
tensor then leaves the others few of its 255 steps, while the weights have a range for every output. Dividing
channel j of a tensor by s_j = max|X_j|^alpha / max|W_j|^(1 - alpha), and multiplying the weights that read it
by s_j, changes no answer and makes both easy to round (Xiao et al. 2023, "SmoothQuant: Accurate and Efficient
Post-Training Quantization for Large Language Models"). Nothing is added to the graph: the division goes into
the layer that makes the tensor. That can be a LayerNormalization, before matrix products as in the paper, or
a convolution before convolutions, through Relu and pooling, which a positive factor passes unchanged. A
tensor is smoothed only where all that reads it is quantized and can take the factors.

ONNX Runtime's own quantizer leaves this to a package that no longer brings it. NNCF has it for models of the
type "transformer" only, not folded, but as a product more at run time.
"""

from __future__ import annotations

import copy
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compress.steps.calibration import CalibrationData
from compress.steps.chatter import collected
from compress.steps.fidelity import compare_backends
from compress.steps.graph import head_nodes, metadata_nodes
from compress.steps.ort_tools import prepare
from compress.steps.probe import require_same
from compress.steps.quantize_features import has_formulas
from compress.steps.rounding import tapped_session
from compress.steps.stand_in import StandInBackend

Array = NDArray[np.float64]
FACT = "smooth"
"""Its name among the facts of a step."""
_NORM = "LayerNormalization"
_READERS = {_NORM: ("Gemm", "MatMul"), "Conv": ("Conv",)}
"""What may read a tensor, by the layer that makes it: the channels are the last axis, or the second."""
_PASSED = {_NORM: (), "Conv": ("AveragePool", "Identity", "MaxPool", "Relu")}
"""What may stand between: f(x / s) = f(x) / s for s > 0, channel by channel."""
_SUFFIX = "_smooth"
_IMAGES = 48
_SHARE_OF_SMALLEST = 0.1
"""Factors below the tenth part of all are raised to it, as NNCF does: a channel that the calibration images
hardly wake would otherwise be enlarged so far that another image is cut off."""


@dataclass(frozen=True)
class Spot:
    """A tensor that can be smoothed. maker, readers: names of nodes.

    tensors: all that is divided, from the maker to the readers. read: those of them that the readers read.
    """

    maker: str
    readers: tuple[str, ...]
    tensors: tuple[str, ...]
    read: tuple[str, ...]


@dataclass(frozen=True)
class Smoothed:
    """model: the float graph that answers as before. kinds: how many tensors of each kind of maker.

    readers: how many layers read a smoothed tensor.
    """

    model: onnx.ModelProto
    alpha: float
    kinds: dict[str, int]
    readers: int

    @property
    def inputs(self) -> int:
        """How many tensors were smoothed."""
        return sum(self.kinds.values())

    def to_json(self) -> dict[str, Any]:
        """For the record of a step."""
        said = {} if self.inputs else {"why": "nothing in this graph can be smoothed"}
        kinds = dict(sorted(self.kinds.items()))
        return {"alpha": self.alpha, "inputs": self.inputs, "layers": self.readers, "behind": kinds, **said}


@contextmanager
def smoothed_file(
    source: Path, calibration: CalibrationData, alpha: float
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The smoothed graph as a file for a while, and the facts; `source` itself where nothing can be smoothed.

    Raises ExportMismatchError where the graph would answer otherwise.
    """
    with collected():
        found = smooth(prepare(source), calibration, alpha)
    if not found.inputs:
        yield source, found.to_json()
        return
    before, after = (StandInBackend(data) for data in (source.read_bytes(), found.model.SerializeToString()))
    parity = compare_backends(before, after, calibration.tensors, calibration.metadata)
    require_same(parity, "the smoothed graph")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / source.name
        path.write_bytes(found.model.SerializeToString(deterministic=True))
        yield path, {**found.to_json(), "logit_snr_db": parity.logit_snr_db}


def smooth(model: onnx.ModelProto, calibration: CalibrationData, alpha: float) -> Smoothed:
    """A copy of `model`, whose nodes have names, with every spot smoothed. alpha: above 0 and at most 1."""
    spots = find_spots(model)
    work = _Work(model)
    for spot, largest in zip(spots, _observe(model, spots, calibration), strict=True):
        work.smooth(spot, largest, alpha)
    kinds = Counter(work.nodes[spot.maker].op_type for spot in spots)
    return Smoothed(work.finish(), alpha, dict(kinds), sum(len(spot.readers) for spot in spots))


def factors(activations: Array, weights: Array, alpha: float) -> Array:
    """s_j of the largest magnitudes (C,) of activations and of the weights that read them; all positive.

    A channel that is always zero, or that nothing reads, keeps its scale.
    """
    found = np.ones_like(activations)
    used = (activations > 0) & (weights > 0)
    if not used.any():
        return found
    raw = activations[used] ** alpha / weights[used] ** (1 - alpha)
    raw = np.maximum(raw, np.quantile(raw, _SHARE_OF_SMALLEST))
    # Only ratios matter; around 1, weights and biases stay in the range that they had.
    found[used] = raw / np.exp(np.log(raw).mean())
    return found


def find_spots(model: onnx.ModelProto) -> tuple[Spot, ...]:
    """In the order of the graph. None in graphs with formulas: those stay in float."""
    if has_formulas(model):
        return ()
    finder = _Finder(model)
    found = (finder.spot(node) for node in model.graph.node if node.op_type in _READERS)
    return tuple(spot for spot in found if spot is not None)


class _Finder:
    """What of a graph must be known to tell whether a tensor can be smoothed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._dims = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
        self._kept = {*head_nodes(model), *metadata_nodes(model)}
        self._outputs = {item.name for item in model.graph.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def spot(self, maker: onnx.NodeProto) -> Spot | None:
        """Of what `maker` makes; None where it cannot be smoothed."""
        if maker.name in self._kept or not self._can_divide(maker):
            return None
        readers: dict[str, str] = {}
        tensors = [maker.output[0]]
        for tensor in tensors:  # which grows meanwhile
            if tensor in self._outputs or tensor not in self._readers:
                return None
            for node in self._readers[tensor]:
                if node.op_type in _PASSED[maker.op_type] and len(node.output) == 1:
                    tensors.append(node.output[0])
                elif self._can_multiply(maker, node, tensor):
                    readers[node.name] = tensor
                else:
                    return None
        read = tuple(dict.fromkeys(readers.values()))
        return Spot(maker.name, tuple(readers), tuple(tensors), read)

    def _can_divide(self, maker: onnx.NodeProto) -> bool:
        if not all(name in self._dims for name in maker.input[1:] if name):
            return False
        if maker.op_type == "Conv":
            return len(self._readers[maker.input[1]]) == 1
        alone = len([name for name in maker.output if name]) == 1
        return alone and _attribute(maker, "axis", -1) == -1 and self._dims[maker.input[1]] == 1

    def _can_multiply(self, maker: onnx.NodeProto, node: onnx.NodeProto, tensor: str) -> bool:
        """Whether it is quantized, reads the tensor as data alone, and has constant weights of its own."""
        if node.op_type not in _READERS[maker.op_type] or node.name in self._kept:
            return False
        read_once = list(node.input).count(tensor) == 1 and node.input[0] == tensor
        if not read_once or node.input[1] not in self._dims or _attribute(node, "transA", 0):
            return False
        own = len(self._readers[node.input[1]]) == 1  # else the graph would hold them twice
        return own and (node.op_type == "Conv" or self._dims[node.input[1]] == 2)


class _Work:
    """A copy of a graph whose layers are scaled. Scaled weights get new names: the old may be others' too."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = copy.deepcopy(model)
        self.nodes = {node.name: node for node in self._model.graph.node}
        self._held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    def smooth(self, spot: Spot, largest: Array, alpha: float) -> None:
        """largest: (C,) magnitude of each channel on the calibration images."""
        readers = [self.nodes[name] for name in spot.readers]
        weights = np.max([self._largest_weights(node) for node in readers], axis=0)
        scale = factors(largest, weights, alpha)
        for node in readers:
            self._multiply(node, 1, _for_weights(scale, self._held[node.input[1]].shape, node))
        maker = self.nodes[spot.maker]
        for index, name in enumerate(maker.input):
            if index and name:
                ones = (1,) * (self._held[name].ndim - 1)
                self._multiply(maker, index, 1 / scale.reshape(-1, *ones))
        self._rename(spot.tensors)

    def _largest_weights(self, node: onnx.NodeProto) -> Array:
        """(C,): over all weights that read a channel."""
        weights = np.abs(self._held[node.input[1]].astype(np.float64))
        if node.op_type != "Conv":
            return cast(Array, weights.max(axis=0 if _attribute(node, "transB", 0) else 1))
        groups = _attribute(node, "group", 1)
        apart = weights.reshape(groups, len(weights) // groups, weights.shape[1], -1)
        return cast(Array, apart.max(axis=(1, 3)).reshape(-1))

    def _multiply(self, node: onnx.NodeProto, index: int, scale: Array) -> None:
        """A convolution between two smoothed tensors is multiplied twice."""
        old = self._held[node.input[index]]
        node.input[index] = f"{node.name}_{index}{_SUFFIX}"
        self._held[node.input[index]] = (old * scale).astype(old.dtype)

    def finish(self) -> onnx.ModelProto:
        """The graph, without the weights that nothing reads any more."""
        graph = self._model.graph
        read = {name for node in graph.node for name in node.input}
        kept = [numpy_helper.from_array(array, name) for name, array in self._held.items() if name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return self._model

    def _rename(self, tensors: tuple[str, ...]) -> None:
        """What is scaled is another tensor than the float graph's, and must not be compared with it."""
        for node in self._model.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name in tensors:
                        names[index] = name + _SUFFIX
        for item in self._model.graph.value_info:
            if item.name in tensors:
                item.name += _SUFFIX


def _for_weights(scale: Array, shape: tuple[int, ...], node: onnx.NodeProto) -> Array:
    """(C,) of input channels -> what weights of `shape` are multiplied by."""
    if node.op_type != "Conv":
        return scale if _attribute(node, "transB", 0) else scale[:, None]
    groups = _attribute(node, "group", 1)
    spread = np.broadcast_to(scale.reshape(groups, 1, -1), (groups, shape[0] // groups, shape[1]))
    return spread.reshape(shape[0], shape[1], *(1,) * (len(shape) - 2))


def _observe(
    model: onnx.ModelProto, spots: tuple[Spot, ...], calibration: CalibrationData
) -> tuple[Array, ...]:
    """(C,) of each spot: the largest magnitude that its readers see in a channel, over at most 48 images."""
    if not spots:
        return ()
    makers = {node.name: node.op_type for node in model.graph.node}
    session = tapped_session(model, [name for spot in spots for name in spot.read])
    names = [item.name for item in session.get_outputs()]
    found: dict[str, Array] = {}
    for feed in calibration.spread(min(_IMAGES, len(calibration))).feeds():
        seen = dict(zip(names, session.run(None, feed), strict=True))
        for spot in spots:
            axis = -1 if makers[spot.maker] == _NORM else 1
            for name in spot.read:
                largest = _by_channel(seen[name], axis)
                found[spot.maker] = np.maximum(found.get(spot.maker, 0.0), largest)
    return tuple(found[spot.maker] for spot in spots)


def _by_channel(tensor: NDArray[np.float32], axis: int) -> Array:
    return cast(Array, np.abs(np.moveaxis(tensor, axis, 0)).reshape(tensor.shape[axis], -1).max(axis=1))


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    found = next((item for item in node.attribute if item.name == name), None)
    return default if found is None else int(helper.get_attribute_value(found))
