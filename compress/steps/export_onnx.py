"""A network as an ONNX graph that every engine and quantizer here reads, proved to compute the same.

Opset 17: the newest that TensorRT 8.5 (JetPack 5) still parses, and old enough for every version of ONNX
Runtime, OpenVINO, NNCF and ONNX Runtime's quantizer that the project admits; it has per-channel Q/DQ (13).
The TorchScript-based exporter is used: its graph holds no file paths or stack traces, so the same network
gives the same bytes, and it is there in every torch version admitted.
"""

from __future__ import annotations

import copy
import io
import itertools
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import fusion

from compress.artifact import StepOutput
from compress.steps.export_passes import drop_unused, fold_padding, unshare_weights
from compress.steps.fidelity import drawn_facts
from compress.steps.origin import write_origin
from compress.torch_backend import TorchBackend
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network
from compress.zoo.watched import WatchedNet
from runtime.backends.base import (
    FEATURES_NAME,
    INPUT_NAME,
    LOGIT_NAME,
    MAP_NAME,
    METADATA_NAME,
    Backend,
    ModelFiles,
)
from runtime.backends.ort import OrtBackend
from runtime.errors import ExportMismatchError, StepError

MODEL_FILE = "model.onnx"
OPSET = 17
TOLERANCE = 1e-3
BATCH_SIZES = (1, 2, 5)


@dataclass(frozen=True)
class Deviation:
    """The largest |torch - ONNX| of one feed, each relative to max(1, largest |value|)."""

    feed: str
    batch: int
    logit: float
    evidence: float
    features: float = 0.0

    @property
    def worst(self) -> float:
        """Of all outputs; NaN counts as infinite."""
        worst = max(self.logit, self.evidence, self.features)
        return worst if np.isfinite(worst) else float("inf")


def export(
    source: Path, folder: Path, samples: NDArray[np.float32], with_features: bool = False
) -> StepOutput:
    """Write `model.onnx` into `folder`: `image` (N, 1, S, S) -> `logit` (N, 1), `map` (N, 1, h, w), any N.
    A network that takes facts of the patient has a second input `metadata` (N, D).

    with_features: a third output `features` (N, F), see compress.zoo.watched. samples: (>= 1, 1, S, S) real
    inputs for the parity check. facts: opset, nodes, map size, parity as
    {batch: max absolute error}. Raises StepError for samples of another shape, ExportMismatchError where
    ONNX Runtime and torch disagree by more than TOLERANCE.
    """
    network = load_network(source)
    size = network.size_px
    if len(samples) == 0 or samples.shape[1:] != (1, size, size):
        raise StepError(f"samples must be (>= 1, 1, {size}, {size}), got {samples.shape}")
    model = to_onnx(network, with_features)
    path = folder / MODEL_FILE
    path.write_bytes(model.SerializeToString(deterministic=True))
    deviations = compare(network, path.read_bytes(), samples)
    _require_parity(deviations)
    return StepOutput(MODEL_FILE, "onnx", facts=_facts(model, network, deviations))


def adopt(source: Path, folder: Path) -> StepOutput:
    """Take over what is an ONNX graph with the doors of every network already."""
    data = source.read_bytes()
    (folder / MODEL_FILE).write_bytes(data)
    return StepOutput(MODEL_FILE, "onnx", facts={"nodes": len(onnx.load_from_string(data).graph.node)})


def to_onnx(network: FractureNet, with_features: bool = False) -> onnx.ModelProto:
    """Export, with batch normalisation and padding folded into the convolutions; checked, shapes inferred."""
    folded = fold_normalisation(network)
    module: nn.Module = WatchedNet(folded) if with_features else folded
    example = network.example_inputs()
    buffer = io.BytesIO()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns that a newer one exists
            settings = _export_settings(len(example), with_features)
            torch.onnx.export(module, example, buffer, **settings)  # type: ignore[arg-type]
    finally:
        logger.setLevel(level)
    model = onnx.load_from_string(buffer.getvalue())
    unshare_weights(model.graph)
    fold_padding(model)
    drop_unused(model.graph)
    del model.graph.value_info[:]  # shapes of tensors that are gone
    model.producer_name, model.producer_version = "ulna", ""
    _declare_map(model, network)
    write_origin(model, network)
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    return model


def _declare_map(model: onnx.ModelProto, network: FractureNet) -> None:
    """Say the map's size, which the exporter loses behind padding."""
    shape = model.graph.output[1].type.tensor_type.shape
    for dimension, size in zip(shape.dim[1:], (1, *network.map_size()), strict=True):
        dimension.dim_value = size


def fold_normalisation(network: FractureNet) -> FractureNet:
    """A copy in which every convolution followed by batch normalisation computes both at once."""
    folded = copy.deepcopy(network).eval()
    read = normalisations_of_convolutions(folded)
    for parent in list(folded.modules()):
        children = list(parent.named_children())
        for (name, layer), (next_name, follower) in itertools.pairwise(children):
            if isinstance(follower, nn.BatchNorm2d) and read.get(follower) is layer:
                assert isinstance(layer, nn.Conv2d)
                setattr(parent, name, fusion.fuse_conv_bn_eval(layer, follower))
                setattr(parent, next_name, nn.Identity())
    return folded


def normalisations_of_convolutions(network: FractureNet) -> dict[nn.Module, nn.Module]:
    """{normalisation: the convolution whose output it reads}, seen in one pass.

    That one stands behind the other in a module does not say that it reads it.
    """
    made: list[tuple[nn.Module, Tensor]] = []  # holding the tensors keeps them apart from later ones
    read: dict[nn.Module, nn.Module] = {}

    def note(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            made.append((layer, output))
        else:
            for maker in (maker for maker, tensor in made if tensor is given[0]):
                read[layer] = maker

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            network(torch.zeros(1, 1, network.size_px, network.size_px))
    finally:
        for hook in hooks:
            hook.remove()
    return read


def compare(network: FractureNet, model: bytes, samples: NDArray[np.float32]) -> tuple[Deviation, ...]:
    """Run both on real inputs, zeros, ones and noise at several batch sizes."""
    theirs = OrtBackend(ModelFiles(model))
    with_features = any(info.name == FEATURES_NAME for info in theirs.outputs)
    ours = TorchBackend(network, with_features)
    deviations = []
    for batch in BATCH_SIZES:
        for name, images in _feeds(samples, batch).items():
            feed = _with_facts(ours, images)
            expected, got = ours.infer(feed), theirs.infer(feed)
            errors = (_error(expected[output], got[output]) for output in expected)
            deviations.append(Deviation(name, batch, *errors))
    return tuple(deviations)


def _feeds(samples: NDArray[np.float32], batch: int) -> dict[str, NDArray[np.float32]]:
    real = np.ascontiguousarray(np.resize(samples[:batch], (batch, *samples.shape[1:])))
    noise = np.random.default_rng(batch).normal(size=real.shape).astype(np.float32)
    return {"samples": real, "zeros": np.zeros_like(real), "ones": np.ones_like(real), "noise": noise}


def _with_facts(backend: Backend, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    facts = drawn_facts(backend, len(images))
    return {INPUT_NAME: images} if facts is None else {INPUT_NAME: images, METADATA_NAME: facts}


def _error(expected: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    if expected.shape != got.shape:
        return float("inf")
    return float(np.abs(expected - got).max() / max(1.0, float(np.abs(expected).max())))


def _require_parity(deviations: tuple[Deviation, ...]) -> None:
    worst = max(deviations, key=lambda deviation: deviation.worst)
    if worst.worst > TOLERANCE:
        raise ExportMismatchError(
            f"the exported graph differs from torch by {worst.worst:.3g}, allowed {TOLERANCE:g} "
            f"(feed {worst.feed}, batch {worst.batch}: logit {worst.logit:.3g}, map {worst.evidence:.3g}, "
            f"features {worst.features:.3g})",
            "do not ship this graph; another torch version may export it rightly",
        )


def _facts(model: onnx.ModelProto, network: FractureNet, deviations: tuple[Deviation, ...]) -> dict[str, Any]:
    parity = {
        str(batch): max(deviation.worst for deviation in deviations if deviation.batch == batch)
        for batch in BATCH_SIZES
    }
    by_feed = {f"{item.feed}/{item.batch}": [item.logit, item.evidence, item.features] for item in deviations}
    return {
        "opset": OPSET,
        "nodes": len(model.graph.node),
        "map_size": list(network.map_size()),
        "parity": parity,
        "parity_by_feed": by_feed,
        "parity_tolerance": TOLERANCE,
    }


def _export_settings(inputs: int, with_features: bool) -> dict[str, Any]:
    given = [INPUT_NAME, METADATA_NAME][:inputs]
    outputs = [LOGIT_NAME, MAP_NAME, *([FEATURES_NAME] if with_features else [])]
    return {
        "dynamo": False,
        "input_names": given,
        "output_names": outputs,
        "opset_version": OPSET,
        "dynamic_axes": {name: {0: "batch"} for name in (*given, *outputs)},
        "do_constant_folding": True,
    }
