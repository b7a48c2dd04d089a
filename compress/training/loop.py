"""Train or fine-tune a network: AdamW, warm-up and cosine, the best epoch kept.

After every epoch the whole state is on disk, and every epoch draws from a generator of its own seed. A run
that was killed goes on from its last epoch and ends with the weights that it would have had.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from compress.datasets.progress import Progress, silent
from compress.recipe import TrainOptions
from compress.training.augment import augment
from compress.training.data import LabelledTensors, TrainData
from compress.training.history import Epoch, History, auroc
from compress.training.losses import Outputs, Targets, label_loss, total_loss
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import read_safely, write_atomically
from runtime.errors import StepError
from runtime.machine import usable_cores

STATE_FILE = "training.pt"
_WARM_UP_SHARE = 0.08
_CLIP_NORM = 2.0
_EVALUATION_BATCH = 32
_MAX_POSITIVE_WEIGHT = 10.0
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
    # Channels last is what CPU kernels compute in: a fifth faster here. It changes the layout, not the values.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    while trainer.epoch < options.epochs:
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
        self._batches = max(1, len(data.fit) // options.batch_size)

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
        """Mean loss of one shuffled pass; full batches only, since a small one upsets batch normalisation."""
        generator = Generator().manual_seed(self.run.seed * _SEED_STRIDE + self.epoch)
        order = torch.randperm(len(self.data.fit), generator=generator)
        size = min(self.options.batch_size, len(order))
        total = self._batches * self.options.epochs
        self.network.train()
        losses = []
        for number in range(self._batches):
            step = self.epoch * self._batches + number
            self._set_learning_rate(self.options.learning_rate * schedule(step, total))
            losses.append(self._update(order[number * size : (number + 1) * size], generator))
            self.run.progress(step + 1, total)
        return float(np.mean(losses))

    def _update(self, indices: Tensor, generator: Generator) -> float:
        images, targets = self._batch(indices, generator)
        loss = total_loss(self.network(images), targets, self.options, self._weight)
        if not math.isfinite(loss.item()):
            raise StepError(
                f"training diverged in epoch {self.epoch + 1}: loss {loss.item()}", "lower learning_rate"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)
        self.optimizer.step()
        return float(loss.item())

    def _batch(self, indices: Tensor, generator: Generator) -> tuple[Tensor, Targets]:
        rows = indices.numpy()
        images = torch.from_numpy(np.ascontiguousarray(self.data.fit.tensors[rows]))
        masks = torch.from_numpy(self.data.fit.masks[rows]).float()[:, None]
        labels = torch.from_numpy(self.data.fit.labels[rows])
        images, masks = augment(images, masks, self.options.augment, self.data.preprocess, generator)
        return images, Targets(labels, masks, self._ask_teacher(images))

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
