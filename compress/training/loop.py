"""Train or fine-tune a network: AdamW, warm-up and cosine, the best epoch kept.

After every epoch the whole state is on disk, and every epoch draws from a generator of its own seed. A run
that was killed goes on from its last epoch and ends with the weights that it would have had.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from compress.datasets.progress import Progress, silent
from compress.training.augment import augment
from compress.training.data import LabelledTensors, TrainData
from compress.training.history import Epoch, History, auroc
from compress.training.losses import Outputs, Targets, label_loss, total_loss
from compress.training.options import TrainOptions
from compress.training.windows import PER_IMAGE, WindowSampler
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import read_safely, write_atomically
from runtime.errors import StepError
from runtime.machine import usable_cores

STATE_FILE = "training.pt"
_WARM_UP_SHARE = 0.08
_CLIP_NORM = 2.0
_EVALUATION_BATCH = 32
_MAX_POSITIVE_WEIGHT = 10.0
_SETTLED_SHARE = 0.3  # of the learning rate, for whole images after windows: nothing is to be unlearnt
_SEED_STRIDE = 1_000_003  # more than any number of epochs: no two runs share a generator


@dataclass(frozen=True, eq=False)
class TrainRun:
    """Where a training keeps its state, what it draws from, whom it follows and to whom it reports.

    teacher: the network that `distill_weight` follows, not changed. progress: told (done, all) batches.
    """

    folder: Path
    seed: int
    teacher: FractureNet | None = None
    progress: Progress = silent


def train(network: FractureNet, data: TrainData, options: TrainOptions, run: TrainRun) -> History:
    """Train in place and leave the best epoch's weights in `network`, in evaluation mode.

    Goes on from `run.folder` where a run with the same options was interrupted. Raises StepError when the
    loss is no longer a number.
    """
    use_all_cores()
    trainer = _Trainer(network, data, options, run)
    trainer.resume()
    # Channels last is what CPU kernels compute in: a fifth faster. It changes the layout, not the values.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    while trainer.epoch < options.crop_epochs + options.epochs:
        trainer.run_epoch()
    trainer.keep_best()
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return trainer.history


def use_all_cores() -> None:
    """Give torch the cores that this process may use, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(usable_cores())


def positive_weight(labels: NDArray[np.float32]) -> float:
    """Healthy over fractured images, kept between 1 / 10 and 10."""
    positives = float((labels > 0.5).sum())
    weight = (len(labels) - positives) / max(positives, 1.0)
    return min(max(weight, 1 / _MAX_POSITIVE_WEIGHT), _MAX_POSITIVE_WEIGHT)


def predict(network: nn.Module, data: LabelledTensors) -> NDArray[np.float32]:
    """Logits (N,) in evaluation mode."""
    network.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, len(data), _EVALUATION_BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(data.tensors[start : start + _EVALUATION_BATCH]))
            logits.append(network(batch)[0].flatten().numpy())
    return np.concatenate(logits)


@dataclass(frozen=True)
class _Phase:
    """Epochs of one kind, with a learning rate that rises and falls within them."""

    epochs: int
    batches: int
    peak_rate: float

    @property
    def steps(self) -> int:
        return self.epochs * self.batches

    def rate(self, epoch: int, batch: int) -> float:
        return self.peak_rate * schedule(epoch * self.batches + batch, self.steps)


class _Trainer:
    """The state of one training between two epochs."""

    def __init__(self, network: FractureNet, data: TrainData, options: TrainOptions, run: TrainRun) -> None:
        self.network = network
        self.data = data
        self.options = options
        self.run = run
        self.history = History()
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(network, options.weight_decay), lr=options.learning_rate
        )
        self._best: dict[str, Tensor] = {}
        self._weight = positive_weight(data.fit.labels)
        batches, rate = max(1, len(data.fit) // options.batch_size), options.learning_rate
        settled = rate * _SETTLED_SHARE if options.crop_epochs else rate
        self._windows_phase = _Phase(options.crop_epochs, max(1, batches * PER_IMAGE // 2), rate)
        self._images_phase = _Phase(options.epochs, batches, settled)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history.epochs)

    def resume(self) -> None:
        """Take up the state of an interrupted run of the same options, or start."""
        path = self.run.folder / STATE_FILE
        if not path.is_file():
            return
        state = read_safely(path)
        if state["basis"] != self._basis():
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._best = state["best"]
        self.history = History(tuple(Epoch(**row) for row in state["epochs"]))

    def run_epoch(self) -> None:
        """One pass over the fit set, then the calibration set, then the disk."""
        started = time.monotonic()
        loss = self._fit_once()
        logits = predict(self.network, self.data.calibration)
        labels = self.data.calibration.labels
        record = Epoch(
            number=self.epoch + 1,
            loss=loss,
            calibration_loss=self._calibration_loss(logits),
            calibration_auroc=auroc(logits, labels),
            learning_rate=self.optimizer.param_groups[0]["lr"],
            seconds=time.monotonic() - started,
            on_windows=self._is_crop_epoch,
        )
        self.history = replace(self.history, epochs=(*self.history.epochs, record))
        if self.history.best == record.number:
            self._best = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._save()

    def keep_best(self) -> None:
        """Put the best epoch's weights into the network."""
        if self._best:
            self.network.load_state_dict(self._best)
        self.network.eval()

    def _fit_once(self) -> float:
        """Mean loss of one pass."""
        generator = Generator().manual_seed(self.run.seed * _SEED_STRIDE + self.epoch)
        batches = self._windows(generator) if self._is_crop_epoch else self._images(generator)
        self.network.train()
        losses = []
        for number, (images, targets) in enumerate(batches):
            self._set_learning_rate(self._phase.rate(self._phase_epoch, number))
            losses.append(self._update(images, targets))
            self.run.progress(self._done + number + 1, self._total)
        return float(np.mean(losses))

    def _update(self, images: Tensor, targets: Targets) -> float:
        # Windows are drawn half and half; only whole images need the rarer class weighted.
        weight = 1.0 if self._is_crop_epoch else self._weight
        loss = total_loss(self.network(images), targets, self.options, weight)
        if not math.isfinite(loss.item()):
            raise StepError(
                f"training diverged in epoch {self.epoch + 1}: loss {loss.item()}", "lower learning_rate"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)
        self.optimizer.step()
        return float(loss.item())

    def _images(self, generator: Generator) -> Iterator[tuple[Tensor, Targets]]:
        """The fit set shuffled; full batches only, since a small one upsets batch normalisation."""
        order = torch.randperm(len(self.data.fit), generator=generator).numpy()
        size = min(self.options.batch_size, len(order))
        for number in range(self._images_phase.batches):
            rows = order[number * size : (number + 1) * size]
            images = torch.from_numpy(np.ascontiguousarray(self.data.fit.tensors[rows]))
            masks = torch.from_numpy(self.data.fit.masks[rows]).float()[:, None]
            labels = torch.from_numpy(self.data.fit.labels[rows])
            images, masks = augment(images, masks, self.options.augment, self.data.preprocess, generator)
            yield images, Targets(labels, masks, self._ask_teacher(images))

    def _windows(self, generator: Generator) -> Iterator[tuple[Tensor, Targets]]:
        """Twice as many windows in a batch as there would be images: they are small."""
        sampler = WindowSampler(self.data.fit, self.data.preprocess)
        draws = np.random.default_rng(generator.initial_seed())
        exposure = replace(self.options.augment, rotate_degrees=0.0, flip=False, zoom=0.0)
        for _ in range(self._windows_phase.batches):
            images, masks = sampler.draw(2 * self.options.batch_size, draws)
            images, masks = augment(images, masks, exposure, self.data.preprocess, generator)
            labels = masks.amax(dim=(1, 2, 3))
            yield images, Targets(labels, masks, self._ask_teacher(images))

    @property
    def _is_crop_epoch(self) -> bool:
        return self.epoch < self.options.crop_epochs

    @property
    def _phase(self) -> _Phase:
        return self._windows_phase if self._is_crop_epoch else self._images_phase

    @property
    def _phase_epoch(self) -> int:
        return self.epoch if self._is_crop_epoch else self.epoch - self.options.crop_epochs

    @property
    def _done(self) -> int:
        """Batches of all epochs before this one."""
        cropped = min(self.epoch, self.options.crop_epochs)
        return cropped * self._windows_phase.batches + (self.epoch - cropped) * self._images_phase.batches

    @property
    def _total(self) -> int:
        return self._windows_phase.steps + self._images_phase.steps

    def _ask_teacher(self, images: Tensor) -> Outputs | None:
        if self.run.teacher is None or not self.options.distill_weight:
            return None
        with torch.no_grad():
            logit, evidence = self.run.teacher.eval()(images)
        return logit, evidence

    def _set_learning_rate(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = value

    def _calibration_loss(self, logits: NDArray[np.float32]) -> float:
        labels = torch.from_numpy(self.data.calibration.labels)
        return float(label_loss(torch.from_numpy(logits), labels, self._weight))

    def _basis(self) -> dict[str, Any]:
        """What must be equal for an interrupted run to be gone on with."""
        return {"options": asdict(self.options), "seed": self.run.seed, "images": len(self.data.fit)}

    def _save(self) -> None:
        state = {
            "schema": 1,
            "basis": self._basis(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self._best,
            "epochs": [asdict(epoch) for epoch in self.history.epochs],
        }
        write_atomically(self.run.folder / STATE_FILE, state)


def schedule(step: int, total: int) -> float:
    """Share of the learning rate at `step` of `total`: a linear warm-up, then half a cosine to zero."""
    warm_up = max(1, round(total * _WARM_UP_SHARE))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Filters decay; biases and normalisation do not, where decay only shifts the scale."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
