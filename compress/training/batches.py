"""Batches of augmented images, drawn from a generator so that the same seed gives the same batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from compress.training.augment import change_images, move_masks
from compress.training.course import Course
from compress.training.data import TrainData
from compress.training.device import SideStream
from compress.training.draws import Draws, draw
from compress.training.options import ImbalanceOptions, TrainOptions
from compress.training.processes import Processes
from compress.training.sampling import Rows, epoch_order
from compress.training.windows import WindowSampler
from compress.training.withholding import withhold

_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Batch:
    """images: this process's share, (n, 1, S, S), on the training device. labels (N,), masks (N, 1, m, m): of
    the whole batch.

    metadata: (n, D) facts of the share's patients, some withheld; None where nothing is known.
    """

    images: Tensor
    labels: Tensor
    masks: Tensor
    metadata: Tensor | None = None

    def inputs(self, device: torch.device) -> tuple[Tensor, ...]:
        """What a network is asked."""
        given = (self.images, self.metadata)
        return tuple(value.to(device) for value in given if value is not None)


class BatchSource:
    """All batches of one epoch, in the order in which they are trained on.

    device: where images are changed. Whatever it is, the same is drawn.
    """

    def __init__(
        self,
        data: TrainData,
        options: TrainOptions,
        course: Course,
        processes: Processes,
        device: torch.device = _CPU,
    ) -> None:
        self._data = data
        self._options = options
        self._course = course
        self._processes = processes
        self._device = device
        self._side = SideStream(device)

    def epoch(self, number: int, generator: Generator) -> Iterator[Batch]:
        """The batches of the epoch with this number, from 0."""
        on_windows = self._course.is_on_windows(number)
        return self._windows(generator) if on_windows else self._images(generator)

    def plain_images(self, generator: Generator, most: int) -> Iterator[Tensor]:
        """This process's share of at most so many shuffled batches, without augmentation."""
        for rows in self._rows(generator, shuffle_only=True)[:most]:
            yield self._tensors(rows[self._processes.share(len(rows))])

    def _images(self, generator: Generator) -> Iterator[Batch]:
        """Full batches only, since a small one upsets batch normalisation."""
        fit, size_px = self._data.fit, self._data.preprocess.size_px
        # A generator of its own: with facts or without, images are drawn and changed alike.
        of_facts = np.random.default_rng([generator.initial_seed(), 2])
        for rows in self._rows(generator):
            draws = draw(len(rows), size_px, self._options.augment, generator)
            masks = move_masks(torch.from_numpy(fit.masks[rows]).float()[:, None], draws)
            labels = torch.from_numpy(fit.labels[rows])
            nowhere = ~masks.flatten(1).any(dim=1) & (labels > 0.5)
            share = self._processes.share(len(rows))
            own = draws.sparing(nowhere).share(share)
            changed = self._change(self._tensors(rows[share]), masks[share], own)
            yield Batch(changed, labels, masks, self._facts(rows, share, of_facts))

    def _windows(self, generator: Generator) -> Iterator[Batch]:
        """Twice as many windows in a batch as there would be images: they are small.

        Facts are withheld: they are about the whole picture, and a window is mostly beside its fracture.
        """
        sampler = WindowSampler(self._data.fit, self._data.preprocess)
        # Generators of their own: with made windows or without, those cut from radiographs are the same.
        seeded = np.random.default_rng(generator.initial_seed())
        of_patches = np.random.default_rng([generator.initial_seed(), 1])
        patches = self._data.patches
        count = 2 * self._options.batch_size
        share = self._processes.share(count)
        for _ in range(self._course.windows.batches):
            images, masks = sampler.draw(count, seeded)
            draws = draw(count, images.shape[-1], self._options.augment.in_place(), generator)
            windows = images[share]
            if patches is not None:
                windows = patches.replace_some(images, masks, of_patches, share)
            changed = self._change(windows, masks[share], draws.share(share))
            yield Batch(changed, masks.amax(dim=(1, 2, 3)), masks)

    def _change(self, images: Tensor, masks: Tensor, draws: Draws) -> Tensor:
        def change() -> Tensor:
            there = images.to(self._device), masks.to(self._device), draws.to(self._device)
            return change_images(*there, self._options.augment, self._data.preprocess)

        return self._side.made(change)

    def _rows(self, generator: Generator, shuffle_only: bool = False) -> list[Rows]:
        imbalance = ImbalanceOptions("none") if shuffle_only else self._options.imbalance
        order = epoch_order(self._data.fit, imbalance, generator)
        size = min(self._options.batch_size, len(order))
        return [order[start * size : (start + 1) * size] for start in range(self._course.images.batches)]

    def _facts(self, rows: Rows, share: slice, generator: np.random.Generator) -> Tensor | None:
        """Of this process's share; what is withheld is drawn for the whole batch."""
        known, fusion = self._data.fit.metadata, self._data.fusion
        if known is None or fusion is None:
            return None
        return torch.from_numpy(withhold(known[rows], fusion, generator)[share])

    def _tensors(self, rows: Rows) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._data.fit.tensors[rows]))
