"""Puts made windows into a training: the generator learns from that training's own fit set, in its own step.

A recipe cannot name a generator's file. In every fold of a cross-validation, and in the final training, a
generator is trained anew from exactly the images that the network itself learns from, so no held-out patient
can reach a network through one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from compress.patches.networks import PatchGenerator, Wanted, chunks
from compress.patches.options import PatchOptions
from compress.patches.train import TrainedGenerator, noise_for, train_generator
from compress.training.course import plan_course
from compress.training.data import LabelledTensors, TrainData
from compress.training.device import device_of, training_device
from compress.training.loop import TrainRun
from compress.training.options import TrainOptions
from compress.training.windows import WindowSampler
from runtime.preprocess import PreprocessSpec


@dataclass(frozen=True, eq=False)
class Filled:
    """windows (n, 1, w, w): healthy before. filled (n, 1, w, w): with their holes filled. masks
    (n, 1, w / 4, w / 4): where.
    """

    windows: Tensor
    filled: Tensor
    masks: Tensor


class PatchMaker:
    """Fills windows; holds what they are cut from."""

    def __init__(self, network: PatchGenerator, fit: LabelledTensors, spec: PreprocessSpec) -> None:
        self._network = network.to(training_device())
        self.sampler = WindowSampler(fit, spec)

    def fill(self, windows: Tensor, masks: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """windows (n, 1, w, w) filled where masks say, with a fracture where labels (n,) are 1.

        Each row's noise is its own: a part of the rows is filled as it would be among all.
        """
        source = torch.Generator().manual_seed(int(generator.integers(2**62)))
        noise = noise_for(masks, source)
        return self.fill_with(windows, Wanted(masks, labels, noise))

    def fill_with(self, windows: Tensor, wanted: Wanted) -> Tensor:
        """The same, with noise that is given. A few at a time: many large ones do not fit into memory."""
        rows = chunks(len(windows))
        return torch.cat([self._forward(windows[part], wanted.at(part)) for part in rows])

    def _forward(self, windows: Tensor, wanted: Wanted) -> Tensor:
        device = device_of(self._network)
        moved = Wanted(*(part.to(device) for part in (wanted.masks, wanted.labels, wanted.noise)))
        with torch.no_grad():
            filled: Tensor = self._network(windows.to(device), moved)
        return filled.cpu()

    def make(self, masks: Tensor, label: int, generator: Generator) -> Filled:
        """Healthy windows, one a mask, filled with a fracture (label 1) or with none (0)."""
        windows = self.sampler.healthy(masks, generator)
        filled = self.fill(windows, masks, torch.full((len(masks),), float(label)), generator)
        return Filled(windows, filled, masks)


class MadePatches:
    """A compress.training.made_windows.MadeWindows.

    Of fractured and of healthy windows the same share is made. Were only fractures made, a network could tell
    the generator's hand instead of the fracture, and would be right in training.
    """

    def __init__(self, maker: PatchMaker, share: float, digest: str) -> None:
        self._maker, self._share, self._generator_digest = maker, share, digest

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the generator and the share."""
        return hashlib.sha256(f"{self._generator_digest} {self._share!r}".encode()).hexdigest()

    def replace_some(self, windows: Tensor, masks: Tensor, generator: Generator, rows: slice) -> Tensor:
        """Fractured and healthy windows give way to other, healthy ones, filled with a fracture or with none.

        A fracture comes under the mask that its window has, the other holes are borrowed from such masks.
        Both lie where `healthy` puts them: were only one kind on bone, the hole's place would tell the label.
        Labels and masks of the whole batch stay what they are.
        """
        marked = masks.amax(dim=(1, 2, 3)).numpy() > 0
        if not marked.any():
            return windows[rows]
        ill, well = (self._choose(np.flatnonzero(kind), generator) for kind in (marked, ~marked))
        borrowed = generator.choice(np.flatnonzero(marked), len(well))
        chosen = np.concatenate([ill, well])
        holes = masks[np.concatenate([ill, borrowed])]
        below = self._maker.sampler.healthy(holes, generator)
        labels = torch.from_numpy(marked[chosen].astype(np.float32))
        noise = noise_for(holes, torch.Generator().manual_seed(int(generator.integers(2**62))))
        return self._filled(windows, chosen, (below, Wanted(holes, labels, noise)), rows)

    def _choose(self, rows: NDArray[np.int64], generator: Generator) -> NDArray[np.int64]:
        return generator.choice(rows, round(self._share * len(rows)), replace=False)

    def _filled(
        self, windows: Tensor, chosen: NDArray[np.int64], holes: tuple[Tensor, Wanted], rows: slice
    ) -> Tensor:
        """Only what falls into this process's rows is computed."""
        whole = windows.clone()
        own = np.isin(chosen, np.arange(len(windows))[rows])
        if own.any():
            below, wanted = holes
            kept = torch.from_numpy(np.flatnonzero(own))
            part = Wanted(wanted.masks[kept], wanted.labels[kept], wanted.noise[kept])
            whole[chosen[own]] = self._maker.fill_with(below[kept], part)
        return whole[rows]


def with_patches(
    options: PatchOptions, training: TrainOptions, data: TrainData, run: TrainRun
) -> tuple[TrainData, TrainRun]:
    """The data with made windows, and a run that counts the generator's steps before its own batches.

    Nothing changes for a share of 0. Of several processes the first trains the generator. Raises StepError as
    `train_generator` does.
    """
    if not options.share:
        return data, run
    batches = plan_course(training, len(data.fit)).batches
    trained: TrainedGenerator | None = None
    if run.processes.is_first:
        before = replace(run, progress=_shifted(run.progress, 0, batches))
        trained = train_generator(data.fit, data.preprocess, options, before)
    trained = run.processes.agree(trained)
    assert trained is not None
    maker = PatchMaker(trained.network, data.fit, data.preprocess)
    patches = MadePatches(maker, options.share, trained.digest)
    after = replace(run, progress=_shifted(run.progress, options.steps, 0))
    return replace(data, patches=patches), after


def _shifted(progress: Callable[[int, int], None], before: int, after: int) -> Callable[[int, int], None]:
    """Progress of a part of the work, told as progress of the whole."""
    return lambda done, total: progress(before + done, before + total + after)
