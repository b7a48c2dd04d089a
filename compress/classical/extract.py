"""Features of many images, computed in ONNX Runtime by the very graph that ships."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.classical.graph import export_module
from compress.datasets.progress import Progress
from compress.training.data import LabelledTensors
from runtime.backends.base import INPUT_NAME, BackendOptions, ModelFiles
from runtime.backends.ort import OrtBackend

_BATCH = 8
Arrays = dict[str, NDArray[np.float32]]


class Counter:
    """Adds up the images of several passes for one report of progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        """`count` more images are done."""
        self._done += count
        self._progress(self._done, self._total)


@dataclass(frozen=True, eq=False)
class Batch:
    """rows: of the set, in order. outputs: by name."""

    rows: slice
    outputs: Arrays


def run_over(
    module: nn.Module, outputs: tuple[str, ...], data: LabelledTensors, counter: Counter
) -> Iterator[Batch]:
    """The module's outputs over a set, batch by batch, in as many threads as torch may use."""
    size = data.tensors.shape[-1]
    model = export_module(module, {INPUT_NAME: torch.zeros(1, 1, size, size)}, outputs)
    options = BackendOptions(threads=torch.get_num_threads())
    backend = OrtBackend(ModelFiles(model.SerializeToString()), options)
    for start in range(0, len(data), _BATCH):
        rows = slice(start, min(start + _BATCH, len(data)))
        images = np.ascontiguousarray(data.tensors[rows])
        yield Batch(rows, backend.infer({INPUT_NAME: images}))
        counter.add(rows.stop - rows.start)
    backend.close()
