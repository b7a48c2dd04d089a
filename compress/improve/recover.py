"""A network that can learn, from the graph that a bundle ships.

The export has folded batch normalisation into the convolutions. Each normalisation is put back so that the
function stays the same and training can go on: with mean m and variance v of the convolution's output over
images of the training, running mean m, running variance v, weight sqrt(v + epsilon) and bias m plus the
folded one undo each other. All of them can be put back after one pass, since none changes what another sees.
That the network answers as the graph does is proved on real images before anything learns.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.datasets.problems import refuse
from compress.datasets.progress import Progress, silent
from compress.steps.export_onnx import normalisations_of_convolutions
from compress.steps.origin import Origin, read_origin, weights_of
from compress.torch_backend import TorchBackend
from compress.zoo.base import EvidenceHead, FractureNet, pool
from compress.zoo.checkpoint import restore, unfilled
from compress.zoo.options import ModelOptions
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME, Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import CompressError, StepError

TOLERANCE = 1e-3
"""Largest difference of a logit or a map's cell, relative to max(1, largest value)."""
_PROOF_IMAGES = 32
_BATCH = 8
_NO_WEIGHTS = ("num_batches_tracked", "_extra_state")
_LEAST_SHARPNESS, _LARGEST_SHARPNESS = 1e-3, 1e3
_BISECTIONS = 60
_HINT = "name the folder of the run that made the bundle instead (`--from RUN`): it holds the checkpoint"

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Proof:
    """How far network and graph lay apart, relative to max(1, largest value), over so many real images."""

    logit: float
    evidence: float
    images: int

    def to_json(self) -> dict[str, float]:
        """For the record of a step."""
        return asdict(self)


def recover(graph: bytes, model: ModelOptions, images: Images, progress: Progress = silent) -> FractureNet:
    """The network of an exported or ONNX Runtime-optimised FP32 graph, in evaluation mode.

    model: what the recipe says, for graphs that do not say it themselves. images: (N, 1, S, S) of the fit
    set, over which the normalisations are put back. Raises StepError where the graph does not hold every
    weight of the network. Nothing is proved yet: see `prove`.
    """
    proto = _parse(graph)
    said = read_origin(proto)
    origin = said or Origin({"options": asdict(replace(model, weights="")), "size_px": images.shape[-1]})
    try:
        blank = unfilled(origin.network)
        folded = _folded(blank, weights_of(proto, origin))
        network = restore(origin.network, _state(blank, weights_of(proto, origin), origin, folded))
    except (KeyError, TypeError, ValueError, RuntimeError, CompressError) as error:
        raise StepError(f"no network can be made of the bundle's graph: {error}", _HINT) from error
    put_back(network, tuple(folded), images, progress)
    if said is None:
        _find_sharpness(network, graph, images[:_BATCH])
    return network


def put_back(
    network: FractureNet, names: tuple[str, ...], images: Images, progress: Progress = silent
) -> None:
    """Give these normalisations, which change nothing yet, the statistics of what they read, in place."""
    sums = {name: _Moments() for name in names}
    with ExitStack() as hooks, torch.inference_mode():
        for name, moments in sums.items():
            hooks.callback(network.get_submodule(name).register_forward_pre_hook(moments.add).remove)
        for start in range(0, len(images), _BATCH):
            network(torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH])))
            progress(min(start + _BATCH, len(images)), len(images))
    for name, moments in sums.items():
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.BatchNorm2d)
        _seat(layer, *moments.mean_and_variance())


def prove(network: FractureNet, graph: Backend, images: Images) -> Proof:
    """Compare on at most 32 real images (N, 1, S, S), evenly chosen.

    Raises StepError where they differ by more than TOLERANCE.
    """
    rows = np.unique(np.linspace(0, len(images) - 1, min(_PROOF_IMAGES, len(images))).round().astype(int))
    ours, errors = TorchBackend(network), np.zeros(2)
    for row in rows:
        feeds = {INPUT_NAME: np.ascontiguousarray(images[row][None])}
        wanted, got = graph.infer(feeds), ours.infer(feeds)
        found = [_difference(wanted[name], got[name]) for name in (LOGIT_NAME, MAP_NAME)]
        errors = np.maximum(errors, found)
    proof = Proof(float(errors[0]), float(errors[1]), len(rows))
    if not errors.max() <= TOLERANCE:  # NaN is no proof
        raise StepError(
            f"the network to begin with does not answer as the bundle's graph does: logits differ by "
            f"{proof.logit:.3g}, maps by {proof.evidence:.3g}, at most {TOLERANCE:g}",
            _HINT,
        )
    return proof


class _Moments:
    """Mean and variance by channel of everything that came by; batches joined in double precision.

    Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance", The American Statistician 37.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = torch.zeros(())
        self._squares = torch.zeros(())

    def add(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(given[0], dim=(0, 2, 3), correction=0)
        count = given[0].numel() // given[0].shape[1]
        whole, apart = self._count + count, mean.double() - self._mean
        self._squares = (
            self._squares + variance.double() * count + apart.square() * (self._count * count / whole)
        )
        self._mean = self._mean + apart * (count / whole)
        self._count = whole

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        return self._mean, self._squares / self._count


def _seat(layer: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """From the identity with a bias to the same function, seen from where training would have left it."""
    assert layer.running_mean is not None and layer.running_var is not None
    with torch.no_grad():
        bias = layer.bias.double() + mean
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
        layer.weight.copy_((layer.running_var.double() + layer.eps).sqrt())
        layer.bias.copy_(bias)


def _parse(graph: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_from_string(graph)
    except Exception as error:  # protobuf has classes of its own, all straight from Exception
        raise StepError(f"the bundle's graph is no ONNX model: {error}", _HINT) from error


def _folded(blank: FractureNet, weights: dict[str, Tensor]) -> dict[str, str]:
    """{normalisation that the graph does not hold: the convolution that it went into}, by name."""
    read, names = (
        normalisations_of_convolutions(blank),
        {layer: name for name, layer in blank.named_modules()},
    )
    return {
        name: names[read[layer]]
        for layer, name in names.items()
        if isinstance(layer, nn.BatchNorm2d) and f"{name}.weight" not in weights and layer in read
    }


def _state(
    blank: FractureNet, weights: dict[str, Tensor], origin: Origin, folded: dict[str, str]
) -> dict[str, Tensor]:
    """Everything that `load_state_dict` asks for; folded normalisations as the identity plus a bias."""
    own = blank.state_dict()
    extra = origin.extra_states()
    identities: dict[str, Tensor] = {}
    for name, convolution in folded.items():
        layer = blank.get_submodule(name)
        assert isinstance(layer, nn.BatchNorm2d)
        identities |= _identity(name, layer.eps, convolution, weights, f"{convolution}.bias" in own)
    counters = {
        name: value for name, value in own.items() if name.endswith(("num_batches_tracked", "_state"))
    }
    whole = {**counters, **weights, **extra, **identities}
    refuse("the bundle's graph", [f"it holds no {name}" for name in own if name not in whole], _HINT)
    return {name: whole[name] for name in own}


def _identity(
    name: str, epsilon: float, convolution: str, weights: dict[str, Tensor], has_bias: bool
) -> dict[str, Tensor]:
    """A convolution with a bias of its own keeps the folded one; else the normalisation takes it."""
    channels = int(weights[f"{convolution}.weight"].shape[0])
    bias = torch.zeros(channels) if has_bias else weights[f"{convolution}.bias"]
    return {
        f"{name}.weight": torch.full((channels,), (1 + epsilon) ** 0.5),
        f"{name}.bias": bias,
        f"{name}.running_mean": torch.zeros(channels),
        f"{name}.running_var": torch.ones(channels),
    }


def _difference(wanted: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    if wanted.shape != got.shape:
        return float("inf")
    return float(np.abs(wanted - got).max() / max(1.0, float(np.abs(wanted).max())))


def _find_sharpness(network: FractureNet, graph: bytes, images: Images) -> None:
    """Calibration changes a head's sharpness, and an older graph says it only by what it answers.

    Pooling rises with the sharpness, from the map's mean to its maximum: the one that gives the graph's own
    logit from its own map is found by halving.
    """
    head = network.head
    if not isinstance(head, EvidenceHead) or head.sharpness == 0:
        return
    outputs = OrtBackend(ModelFiles(graph)).infer({INPUT_NAME: np.ascontiguousarray(images)})
    evidence = torch.from_numpy(outputs[MAP_NAME]).double()
    wanted = float(outputs[LOGIT_NAME].astype(np.float64).sum())
    low, high = np.log(_LEAST_SHARPNESS), np.log(_LARGEST_SHARPNESS)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = float(pool(evidence, float(np.exp(middle))).sum()) > wanted
        low, high = (low, middle) if above else (middle, high)
    head.sharpness = float(np.exp((low + high) / 2))
