"""How long a network takes in an engine, and the largest part of a network that is fast enough.

Operations say little about time: a depthwise convolution with half its channels can take as long as before.
So the target may be a measured time. Both networks are timed in turns, so that whatever else the machine does
falls on both alike.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.options.prune import PruneOptions
from compress.pruning.cut import prune_network
from compress.steps import openvino_tools
from compress.steps.export_onnx import to_onnx
from compress.training.data import LabelledTensors
from compress.zoo.base import FractureNet
from runtime.backends.base import INPUT_NAME, METADATA_NAME, Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError
from runtime.latency import LatencyOptions, measure_in_turns

_HALVINGS = 5
_FROM_MACS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Shares of the operations that may go, the most first: what can go at all depends on the network."""
_TIMING = LatencyOptions(warmup=3, runs=60, budget_s=20.0)


@dataclass(frozen=True)
class Timed:
    """One try: share of the MACs that went, both medians in ms, the median of the ratios of neighbours."""

    macs_removed: float
    whole_ms: float
    pruned_ms: float
    ratio: float

    def to_json(self) -> dict[str, Any]:
        """For the record of a step."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class FastEnough:
    """The network that was chosen, and everything that was timed on the way."""

    network: FractureNet
    tried: tuple[Timed, ...]


Timer = Callable[[FractureNet], tuple[float, float, float]]
"""A network -> (median of the whole one in ms, its own, median of the ratios)."""
Cut = Callable[[float], FractureNet]
"""Share of the MACs -> the network without. Raises StepError where so much cannot go."""


def prune_to_time(
    network: FractureNet,
    options: PruneOptions,
    fit: LabelledTensors,
    kept: Mapping[str, float] | None = None,
    timer: Timer | None = None,
) -> FastEnough:
    """The network with the most MACs that takes at most 1 - `options.ratio` of the time, by bisection.

    kept: see compress.pruning.cut. timer: in place of `options.engine` on this machine. `network` stays as it
    is. Raises StepError where no network is that fast.
    """
    ask, limit = timer or against(network, options.engine), 1 - options.ratio

    def cut(share: float) -> FractureNet:
        smaller = copy.deepcopy(network)
        prune_network(smaller, replace(options, target="macs", ratio=share), fit, kept)
        return smaller

    chosen, high = _smallest(cut)
    tried = [Timed(high, *ask(chosen))]
    if tried[0].ratio > limit:
        raise _too_slow(tried[0], limit)
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        candidate = cut(middle)
        tried.append(Timed(middle, *ask(candidate)))
        if tried[-1].ratio <= limit:
            chosen, high = candidate, middle
        else:
            low = middle
    return FastEnough(chosen, tuple(tried))


def against(network: FractureNet, engine: str) -> Timer:
    """Times exported networks in turns with `network`, in an engine of this machine, batch 1."""
    whole = _opened(network, engine)
    feeds = {
        name: np.zeros(tuple(part.shape), np.float32)
        for name, part in zip((INPUT_NAME, METADATA_NAME), network.example_inputs(), strict=False)
    }

    def timer(other: FractureNet) -> tuple[float, float, float]:
        backend = _opened(other, engine)
        try:
            seen = measure_in_turns(whole, backend, feeds, _TIMING)
        finally:
            backend.close()
        return seen.first.p50_ms, seen.second.p50_ms, seen.ratio

    return timer


def _opened(network: FractureNet, engine: str) -> Backend:
    model = to_onnx(network).SerializeToString()
    if engine == "onnxruntime":
        return OrtBackend(ModelFiles(model))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.onnx"
        source.write_bytes(model)
        return openvino_tools.open_ir(openvino_tools.save(openvino_tools.read_model(source), Path(folder)))


def _smallest(cut: Cut) -> tuple[FractureNet, float]:
    last: StepError | None = None
    for share in _FROM_MACS:
        try:
            return cut(share), share
        except StepError as error:
            last = error
    assert last is not None
    raise last


def _too_slow(seen: Timed, limit: float) -> StepError:
    return StepError(
        f"without {seen.macs_removed:.0%} of its operations it takes {seen.ratio:.0%} of the time "
        f"({seen.pruned_ms:.2f} of {seen.whole_ms:.2f} ms), wanted at most {limit:.0%}",
        "lower [prune] ratio, or take a smaller network",
    )
