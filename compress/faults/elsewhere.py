"""It is not faster, or does not run where it is said to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import onnxruntime
import torch
from torch import nn

from compress.artifact import Artifact
from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.swap import swapped, swapped_target
from compress.options.prune import PruneOptions
from compress.recipe import Recipe
from compress.targets import Opener
from compress.zoo.base import FractureNet
from runtime.backends.base import BackendOptions, ModelFiles
from runtime.backends.registry import open_backend

_MASKED = 0.3
_FORMER_PROVIDERS = onnxruntime.get_available_providers()


def _masked(
    network: FractureNet, options: PruneOptions, fit: object, kept: Mapping[str, float] | None = None
) -> None:
    """The smallest weights of every convolution become zero and stay where they are."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                size = layer.weight.abs()
                layer.weight[size < torch.quantile(size.flatten(), _MASKED)] = 0
    network.eval()


def _masked_only(bed: Bed) -> AbstractContextManager[None]:
    return swapped("compress.steps.prune.prune_network", _masked)


def _tuned_shortly(recipe: Recipe) -> Recipe:
    """What is asked is the time, which training longer does not change."""
    return replace(
        recipe,
        prune=replace(recipe.prune, must_be_faster=True),
        finetune=replace(recipe.finetune, epochs=1),
    )


def _on_gpu(artifact: Artifact) -> Opener:
    files = ModelFiles(artifact.path.read_bytes())
    return Opener(lambda: open_backend("onnxruntime", files, BackendOptions(device="gpu")))


@contextmanager
def _gpu_that_is_none(bed: Bed) -> Iterator[None]:
    """The library lists a GPU provider whose driver is missing: it warns and computes on the processor."""
    claimed: Callable[[], list[Any]] = lambda: ["CUDAExecutionProvider", *_FORMER_PROVIDERS]  # noqa: E731
    with (
        swapped("onnxruntime.get_available_providers", claimed),
        swapped_target("onnxruntime", open=_on_gpu),
    ):
        yield


def _has_gpu() -> str:
    there = "CUDAExecutionProvider" in _FORMER_PROVIDERS and torch.cuda.is_available()
    return "this machine has the GPU that the fault does without" if there else ""


FAULTS = (
    Fault(
        name="masked-pruning",
        title="pruned by zeros that no engine skips",
        seen="masks of unstructured pruning: fewer weights on paper, the same time",
        engines={"onnxruntime": ("fp32",)},
        spoils=("prune", "finetune", "export", "anomaly", "onnxruntime/fp32"),
        caught_by=("not shown to be faster",),
        inject=_masked_only,
        recipe=_tuned_shortly,
    ),
    Fault(
        name="runs-elsewhere",
        title="asked for the GPU, computed on the processor",
        seen="ONNX Runtime falls back to its CPU provider with a warning in the log",
        engines={"onnxruntime": ("fp32",)},
        spoils=(),
        caught_by=("fallback to CPU EP", "runs on"),
        inject=_gpu_that_is_none,
        needs=_has_gpu,
    ),
)
